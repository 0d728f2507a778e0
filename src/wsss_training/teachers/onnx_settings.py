"""The YAML file that says how a segmenter in an ONNX file is asked, and what it answers.

model: segmenter.onnx        # relative to this file
classes: cityscapes          # a shipped ontology, a file of one, or a list of names
input: {multiple_of: 32}     # or size: [512, 1024]; nothing for a graph of fixed size
output: {kind: logits}
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import Ontology, load_ontology

KINDS = ("logits", "probabilities", "labels", "embeddings")
LAYOUTS = ("nchw", "nhwc")
_ENDINGS = (".yaml", ".yml")


@dataclass
class InputSettings:
    """What the graph takes.

    Attributes:
        size: height and width that images are resized to.
        multiple_of: what height and width are multiples of; images are resized to the nearest.
        mean: subtracted from values 0..1, in the order of ``colors``.
        std: what they are divided by then.
        colors: ``rgb`` or ``bgr``.
        layout: ``nchw`` or ``nhwc``.
    """

    size: list[int] | None = None
    multiple_of: int | None = None
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])
    colors: str = "rgb"
    layout: str = "nchw"


@dataclass
class OutputSettings:
    """What the graph gives.

    Attributes:
        name: of the output; None for the first.
        kind: ``logits``, ``probabilities``, ``labels`` (class indices) or ``embeddings``.
        layout: ``nchw`` or ``nhwc``; labels have no channels.
        scores: makes probabilities of logits: ``softmax``, or ``sigmoid`` for classes that were
            trained one by one.
    """

    name: str | None = None
    kind: str = "logits"
    layout: str = "nchw"
    scores: str = "softmax"


@dataclass
class OnnxSettings:
    """A segmenter.

    Attributes:
        model: path of the ONNX file.
        classes: name or file of the ontology, or names; None for embeddings.
        logit_scale: of embeddings: what cosines are multiplied by to be logits.
        space: of embeddings: the model whose texts they can be compared with, as ``embed-texts``
            describes it.
        input: what the graph takes.
        output: what it gives.
    """

    model: str = MISSING
    classes: Any = None
    logit_scale: float | None = None
    space: str | None = None
    input: InputSettings = field(default_factory=InputSettings)
    output: OutputSettings = field(default_factory=OutputSettings)


def load_onnx_settings(path: str | Path) -> OnnxSettings:
    """Reads the settings; paths in them become relative to where this process is.

    Raises:
        ConfigError: the file cannot be read, or a key or value does not fit.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(OnnxSettings), OmegaConf.load(path))
        missing = OmegaConf.missing_keys(merged)
        if missing:
            raise ConfigError(f"{path}: no value for {', '.join(sorted(missing))}")
        settings: Any = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, YAMLError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {str(error).strip()}") from error
    problems = _wrong(settings)
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    settings.model = str(Path(path).parent / settings.model)
    if isinstance(settings.classes, str) and Path(settings.classes).suffix in _ENDINGS:
        settings.classes = str(Path(path).parent / settings.classes)
    return settings


def ontology_of(settings: OnnxSettings) -> Ontology:
    """The classes that a segmenter knows.

    Raises:
        OntologyError: there is no such ontology, or the list of names makes none.
    """
    if isinstance(settings.classes, str):
        return load_ontology(settings.classes)
    names = tuple(settings.classes)
    colors = tuple(_color(index) for index in range(len(names)))
    raw_ids = tuple((index,) for index in range(len(names)))
    return Ontology(Path(settings.model).stem, names, colors, raw_ids, ignored_raw_ids=(255,))


def _wrong(settings: OnnxSettings) -> list[str]:
    """Says what makes no sense."""
    given, output = settings.input, settings.output
    is_embedding = output.kind == "embeddings"
    names = settings.classes if isinstance(settings.classes, list) else []
    wrong = {
        f"output.kind: known are {', '.join(KINDS)}": output.kind not in KINDS,
        "output.scores: known are softmax, sigmoid": output.scores not in ("softmax", "sigmoid"),
        f"layout: known are {', '.join(LAYOUTS)}": (
            {given.layout, output.layout} - set(LAYOUTS) != set()
        ),
        "input.colors: known are rgb, bgr": given.colors not in ("rgb", "bgr"),
        "input: either 'size' or 'multiple_of'": None not in (given.size, given.multiple_of),
        "input.size: needs height and width": given.size is not None
        and (len(given.size) != 2 or min(given.size) < 1),
        "input.multiple_of: must be positive": given.multiple_of is not None
        and given.multiple_of < 1,
        "input: mean and std need three values, std positive ones": (
            len(given.mean) != 3 or len(given.std) != 3 or min(given.std) <= 0
        ),
        "classes: needs an ontology or a list of names": not is_embedding
        and not (isinstance(settings.classes, str) or (names and _are_texts(names))),
        "embeddings need logit_scale, above 0, and space, the model of their texts": is_embedding
        and not (settings.logit_scale and settings.logit_scale > 0 and settings.space),
        "embeddings have no classes": is_embedding and settings.classes is not None,
    }
    return [message for message, is_wrong in wrong.items() if is_wrong]


def _are_texts(names: list[Any]) -> bool:
    return all(isinstance(name, str) and name for name in names)


def _color(index: int) -> tuple[int, int, int]:
    """A colour unlike those of other classes: hues by the golden angle."""
    hue = index * 0.618034 % 1 * 6
    red, green, blue = (
        round(255 * min(max(value, 0), 1))
        for value in (abs(hue - 3) - 1, 2 - abs(hue - 2), 2 - abs(hue - 4))
    )
    return red, green, blue
