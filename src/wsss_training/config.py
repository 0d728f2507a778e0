"""The training configuration: its schema, its YAML files, its command-line overrides."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from wsss_perception.errors import ConfigError
from wsss_training.config_methods import wrong_method
from wsss_training.config_model import AugmentConfig, ModelConfig, wrong_model
from wsss_training.config_msdkt import MSDKTConfig
from wsss_training.config_vlg import EmbeddingsConfig, VLGConfig
from wsss_training.config_wsegpc import WSegPCConfig

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")
SUPERVISIONS = ("teacher", "labels", "tags", "texts")
SHARE_TOLERANCE = 1e-6
"""How far the shares' sum may be from 1, since thirds have no exact decimals."""


@dataclass
class TeacherConfig:
    """A 2D teacher's maps on disk, see ``teachers.precomputed``.

    Attributes:
        root: the teacher's folder.
        images_root: the folder that the images' paths are relative to.
        ontology: the teacher's classes.
        mapping: how they map to the model's classes: a name or a YAML file.
    """

    root: str = MISSING
    images_root: str = MISSING
    ontology: str = MISSING
    mapping: str = MISSING


@dataclass
class SourceConfig:
    """One dataset to read sweeps from.

    Attributes:
        dataset: a reader's name, see ``wsss_training.data``.
        root: its folder.
        every: take every so manieth sweep; those between hardly differ.
        options: what else the reader takes, such as ``sequences`` or ``cameras``.
        supervision: ``teacher``: a 2D teacher's projected maps, 3D labels are not opened; or
            ``labels``: the dataset's own 3D labels, images are not opened, but for ``msdkt`` those
            that the teacher has maps of; or ``tags``: the scene tags alone, for the methods
            ``wsegpc`` and ``vlg``; or ``texts``: not even those, but the names of the classes, for
            ``vlg``.
        teacher: this source's 2D teacher; that of the whole config if None.
        embeddings: this source's maps of a vision-language teacher, for ``vlg``; those of
            ``vlg.embeddings`` if None.
        share: of all draws, the share that is of this source's sweeps, 0..1; if None it shares
            what the others leave, by its number of sweeps.
        tags: file of its scenes' tags, see ``wsss_training.tags``; None leaves them untagged.
        weak_labels: folder of a few labelled points a sweep, see ``data.weak_labels``, that stand
            for the 3D labels; None takes the dataset's own. Needs ``supervision: labels``.
        pseudo_labels: folder of the labels that WSegPC or 3DSS-VLG made from this source's
            teacher, tags or texts, which then supervise in their place; None where it has not
            yet. Their last stages set it.
    """

    dataset: str = MISSING
    root: str = MISSING
    every: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    supervision: str = "teacher"
    teacher: TeacherConfig | None = None
    embeddings: EmbeddingsConfig | None = None
    share: float | None = None
    tags: str | None = None
    weak_labels: str | None = None
    pseudo_labels: str | None = None


@dataclass
class OptimizationConfig:
    """How long and how fast to train.

    Attributes:
        steps: optimizer steps.
        batch_size: sweeps per step and process.
        learning_rate: peak of the one-cycle schedule (AdamW).
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        ema_decay: of the averaged weights, the ones that are exported.
        lovasz_weight: of the Lovasz loss beside the cross-entropy, or ``vlg``'s cosine loss.
        class_balance: how much rare classes weigh more in the cross-entropy, or in ``vlg``'s cosine
            loss, see ``losses.class_balance``; 0 not at all, 1 as much as frequent ones.
        precision: ``32-true``, or on a GPU ``16-mixed`` or ``bf16-mixed``.
        workers: processes that read and augment sweeps.
        checkpoint_every: steps between checkpoints, from which a killed run resumes.
        validate_every: steps between validations on the held-back sweeps.
    """

    steps: int = 1000
    batch_size: int = 4
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    gradient_clip: float = 5.0
    ema_decay: float = 0.99
    lovasz_weight: float = 1.0
    class_balance: float = 0.5
    precision: str = "32-true"
    workers: int = 1
    checkpoint_every: int = 100
    validate_every: int = 200


@dataclass
class TrainConfig:
    """A whole training run.

    Attributes:
        output: folder of the run: checkpoints, logs, the bundle.
        data_root: for use by paths of the file, as ``${data_root}/...``.
        seed: of everything random.
        method: ``projected_prior``: the 3D network learns from the labels of its sources; or
            ``wsegpc``: it learns from pseudo-labels, which tags, images and priors lead to; or
            ``vlg``: it learns a vision-language teacher's embeddings; or ``msdkt``: it learns from
            a few labelled points, and from a 2D teacher's maps at several scales.
        wsegpc: that method's settings.
        vlg: that method's settings.
        msdkt: that method's settings.
        ontology: the model's classes: a name or a YAML file.
        cache: folder to keep prepared sweeps in, about 21 bytes a point; if None each is read and
            labelled anew whenever it is drawn.
        sources: the logs; 3D labels they may have are used with ``supervision: labels`` alone.
        held_back: share of the sweeps with a teacher kept from training, to watch agreement with
            it and to calibrate the confidence; of those with tags alone where none has a teacher;
            of all sweeps where all have labels.
        teacher: the 2D teacher of the sources that name none of their own.
        model: the network.
        augment: augmentation.
        optimization: schedule.
    """

    output: str = MISSING
    data_root: str = "."
    seed: int = 0
    method: str = "projected_prior"
    wsegpc: WSegPCConfig = field(default_factory=WSegPCConfig)
    vlg: VLGConfig = field(default_factory=VLGConfig)
    msdkt: MSDKTConfig = field(default_factory=MSDKTConfig)
    ontology: str = MISSING
    cache: str | None = None
    sources: list[SourceConfig] = field(default_factory=list)
    held_back: float = 0.1
    teacher: TeacherConfig | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimization: OptimizationConfig = field(default_factory=OptimizationConfig)


def load_config(path: str | Path, overrides: list[str] | None = None) -> TrainConfig:
    """Reads a config file and applies overrides.

    Args:
        path: a YAML file of the schema ``TrainConfig``.
        overrides: ``key=value`` with dotted keys, such as ``optimization.steps=500`` or
            ``sources.0.every=2`` for the first entry of a list.

    Raises:
        ConfigError: the file cannot be read, or a key or value does not fit the schema.
    """
    for override in overrides or []:
        if "=" not in override:
            raise ConfigError(f"override '{override}' is not of the form key=value")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(path))
        for key, _, value in (override.partition("=") for override in overrides or []):
            parsed = OmegaConf.create(f"value: {value}").value
            OmegaConf.update(merged, key, parsed, merge=True)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{path}: no value for {', '.join(missing)}")
        config: Any = OmegaConf.to_object(merged)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such config file; shipped ones are in config/train"
        ) from None
    except (OmegaConfBaseException, YAMLError, OSError, TypeError, ValueError, IndexError) as error:
        given = f" with {' '.join(overrides)}" if overrides else ""
        raise ConfigError(f"{path}{given}: {str(error).strip()}") from error
    _check(config, path)
    return config


def _check(config: TrainConfig, path: str | Path) -> None:
    """Raises ConfigError for values of the right type that make no sense."""
    optimization = config.optimization
    wrong = {
        "sources: needs at least one": not config.sources,
        "sources: 'every' must be at least 1": any(s.every < 1 for s in config.sources),
        "held_back: must lie between 0 and 1": not 0 < config.held_back < 1,
        f"optimization.precision: known are {', '.join(PRECISIONS)}": (
            optimization.precision not in PRECISIONS
        ),
        "optimization: steps, batch_size, checkpoint_every and validate_every must be positive": (
            min(
                optimization.steps,
                optimization.batch_size,
                optimization.checkpoint_every,
                optimization.validate_every,
            )
            < 1
        ),
    }
    messages = [message for message, is_wrong in wrong.items() if is_wrong]
    messages += wrong_model(config.model, config.augment)
    messages += _wrong_sources(config.sources, config.teacher, config.method == "msdkt")
    messages += wrong_method(config)
    if messages:
        raise ConfigError(f"{path}: {'; '.join(messages)}")


def _wrong_sources(
    sources: list[SourceConfig], teacher: TeacherConfig | None, both: bool
) -> list[str]:
    """Says what is wrong with each source's supervision, and with all their shares.

    Args:
        sources: the sources.
        teacher: of those that name none.
        both: whether labels and a teacher may teach together.
    """
    messages = []
    for number, source in enumerate(sources):
        name = f"sources[{number}] ({source.dataset})"
        if source.supervision not in SUPERVISIONS:
            known = ", ".join(SUPERVISIONS)
            messages.append(f"{name}: supervision '{source.supervision}'; known are {known}")
        elif source.supervision == "labels" and source.teacher is not None and not both:
            messages.append(f"{name}: has a teacher, which supervision 'labels' makes no use of")
        elif source.supervision == "teacher" and (source.teacher or teacher) is None:
            messages.append(
                f"{name}: supervision 'teacher' needs a teacher, the source's own or the config's"
            )
        if source.weak_labels is not None and source.supervision != "labels":
            messages.append(f"{name}: has weak_labels, which need supervision 'labels'")
        if source.pseudo_labels is not None and source.supervision == "labels":
            messages.append(f"{name}: has pseudo_labels, but supervision 'labels' already")
        if source.share is not None and not 0 < source.share <= 1:
            messages.append(f"{name}: share {source.share} is not above 0 and at most 1")
    shares = [source.share for source in sources if source.share is not None]
    total, rest = sum(shares), len(sources) - len(shares)
    if rest and total > 1 - SHARE_TOLERANCE:
        messages.append(f"sources: shares of {total:g} leave nothing to those without a share")
    if shares and not rest and abs(total - 1) > SHARE_TOLERANCE:
        messages.append(f"sources: all have a share, and the sum is {total:g}, not 1")
    return messages


def config_to_yaml(config: TrainConfig) -> str:
    """Writes a config as YAML, every value spelled out."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))
