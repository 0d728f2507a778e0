"""The model bundle on disk: a folder with ``model.yaml`` and the weights it describes.

This file alone knows the schema. Nothing in a bundle is pickled: YAML and safetensors only.
"""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from wsss_perception.errors import BundleError, OntologyError
from wsss_perception.features import GEOMETRIC, PAINTED, Feature, check_painted
from wsss_perception.ontology import Ontology, ontology_from_dict

SCHEMA = 1
MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"
"""The model card, for people; written by hand, so that a bundle may have none."""

_SEAL = b"sha256: "
_ADVICE = "the file was changed or cut short; copy or export the bundle again"


@dataclass(frozen=True)
class NetworkSpec:
    """Which sparse U-Net the weights are for.

    Attributes:
        name: a preset of ``networks.minkunet``.
        width: factor on the preset's channels.
    """

    name: str
    width: float = 1.0


@dataclass(frozen=True)
class ModelSpec:
    """What ``model.yaml`` says of a model.

    Attributes:
        ontology: classes of the output.
        network: the network the weights are for.
        features: input features, in the network's order.
        voxel_size: edge of a voxel in metres.
        point_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres; None for no limit.
        temperature: divides the logits so that the confidence is calibrated.
        cameras: ``none``: images are not an input of the network; ``optional``: the features have
            the channels PAINTED, which the segmenter paints from the images there are.
        input_statistics: of each feature's raw values in training: p01, p50, p99; and of sweeps'
            voxels at each resolution of the network, ``voxels0`` to ``voxels4``.
        provenance: training recipe, data and metrics, for people to read.

    Raises:
        ValueError: features and cameras do not fit, see ``features.check_painted``.
    """

    ontology: Ontology
    network: NetworkSpec
    features: tuple[Feature, ...]
    voxel_size: float
    point_range: tuple[float, ...] | None = None
    temperature: float = 1.0
    cameras: str = "none"
    input_statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_painted(self.features, self.cameras)

    @property
    def takes_images(self) -> bool:
        """Whether images, where there are any, are an input of the network."""
        return self.cameras != "none"

    def channels(self) -> list[str]:
        """Names of the cloud's own channels that the features are made of."""
        names = (feature.name for feature in self.features)
        return [name for name in names if name not in (*GEOMETRIC, *PAINTED)]


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: its folder and what is in it."""

    folder: Path
    spec: ModelSpec

    @property
    def weights(self) -> Path:
        """Path of the network's weights."""
        return self.folder / WEIGHTS_FILE


def default_bundle() -> Path:
    """Returns the folder of the model that comes with the package.

    Raises:
        BundleError: this installation has none.
    """
    folder = Path(str(resources.files("wsss_perception") / "models" / "default"))
    if not (folder / MODEL_FILE).is_file():
        raise BundleError(
            f"{folder}: no default model in this installation; give the folder of a model bundle: "
            "the option --bundle, or the node's parameter 'model'"
        )
    return folder


def read_caution(folder: Path) -> str:
    """Reads what a bundle's model card warns of: its first block quote, in one line.

    Returns:
        The caution; empty where the bundle has no card or the card no block quote.

    Raises:
        BundleError: the card cannot be read.
    """
    card = folder / CARD_FILE
    if not card.exists():
        return ""
    try:
        lines = card.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{card}: cannot be read: {error}") from error
    quote = itertools.dropwhile(lambda line: not line.startswith(">"), lines)
    quoted = itertools.takewhile(lambda line: line.startswith(">"), quote)
    return " ".join(line.removeprefix(">").strip() for line in quoted)


def choose_bundle(folder: str | Path | None, tell: Callable[[str], None]) -> Bundle:
    """Reads the bundle a user asks for and passes on what its model card warns of.

    Args:
        folder: of the bundle; None or empty for the default one.
        tell: shows the user a line: the caution if there is one, and that it is the default model.

    Raises:
        BundleError: there is no such bundle, or it or its card cannot be used.
    """
    bundle = read_bundle(folder or default_bundle())
    caution = read_caution(bundle.folder)
    if caution or not folder:
        kind = "model" if folder else "default model"
        tell(f"{kind} {bundle.folder}. {caution}".rstrip())
    return bundle


def write_bundle(folder: Path, spec: ModelSpec, files: dict[str, bytes]) -> Bundle:
    """Writes a bundle, whole or not at all: what fails leaves an earlier bundle as it was.

    Args:
        folder: where the bundle goes; an earlier bundle there is replaced, but for its model card.
        spec: what the bundle says of the model.
        files: content of each file beside ``model.yaml``; must hold the weights.

    Raises:
        BundleError: the folder holds something else or cannot be written, or what should go
            into it is no bundle.
    """
    folder = Path(folder)
    for name in files:
        _check_name(folder, name)
    if WEIGHTS_FILE not in files or MODEL_FILE in files:
        raise BundleError(f"{folder}: the files need {WEIGHTS_FILE}, and no {MODEL_FILE}")
    model = _model_yaml(folder, spec, files)
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / MODEL_FILE).exists():
            raise BundleError(f"{folder}: not empty and not a model bundle; choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            for name, content in {**files, MODEL_FILE: model}.items():
                (new / name).write_bytes(content)
            card = folder / CARD_FILE
            if card.exists() and CARD_FILE not in files:
                shutil.copyfile(card, new / CARD_FILE)
            _swap(new, folder, Path(scratch) / "old")
    except OSError as error:
        raise BundleError(f"{folder}: cannot write the bundle: {error}") from error
    return Bundle(folder, spec)


def read_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle and checks its schema and the hash of every file.

    Raises:
        BundleError: what is missing, unknown or altered, and what to do about it.
    """
    folder = Path(folder)
    path = folder / MODEL_FILE
    try:
        content = path.read_bytes()
        data = yaml.safe_load(content)
    except OSError as error:
        raise BundleError(
            f"{folder}: not a model bundle ({error.strerror}: {path}); give the folder that "
            "'wsss_training export' wrote"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        version = data.get("schema") if isinstance(data, dict) else None
        raise BundleError(f"{path}: schema {version} is not {SCHEMA}; export the model again")
    if content != _sealed(content.rpartition(_SEAL)[0]):
        raise BundleError(f"{path}: not as it was written: {_ADVICE}")
    spec = _from_dict(data, path)
    files = data.get("files")
    if not isinstance(files, dict) or WEIGHTS_FILE not in files:
        raise BundleError(f"{path}: lists no {WEIGHTS_FILE}")
    for name, digest in files.items():
        _check_file(folder, name, digest)
    return Bundle(folder, spec)


def _swap(new: Path, folder: Path, old: Path) -> None:
    """Puts a folder in the place of another, which moves to ``old``, or back on failure."""
    replaces = folder.exists()
    if replaces:
        os.rename(folder, old)
    try:
        os.rename(new, folder)
    except OSError:
        if replaces:
            os.rename(old, folder)
        raise


def _model_yaml(folder: Path, spec: ModelSpec, files: dict[str, bytes]) -> bytes:
    data = _to_dict(spec)
    data["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    try:
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise BundleError(
            f"{folder}: {MODEL_FILE} holds plain numbers, texts, lists and mappings only: {error}"
        ) from error
    return _sealed(text.encode())


def _sealed(body: bytes) -> bytes:
    """Ends ``model.yaml`` with a line that holds the sha256 of all lines above it."""
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + b"\n"


def _check_name(folder: Path, name: Any) -> None:
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise BundleError(f"{folder}: file name {name!r} leaves the bundle")


def _check_file(folder: Path, name: str, digest: str) -> None:
    _check_name(folder, name)
    try:
        content = (folder / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder}: lists {name!r}, which cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError(f"{folder / name}: its sha256 is not the one in {MODEL_FILE}: {_ADVICE}")


def _to_dict(spec: ModelSpec) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ontology": spec.ontology.to_dict(),
        "network": asdict(spec.network),
        "features": [asdict(feature) for feature in spec.features],
        "voxel_size": spec.voxel_size,
        "point_range": None if spec.point_range is None else list(spec.point_range),
        "temperature": spec.temperature,
        "cameras": spec.cameras,
        "input_statistics": spec.input_statistics,
        "provenance": spec.provenance,
    }


def _from_dict(data: dict[str, Any], path: Path) -> ModelSpec:
    try:
        point_range = data["point_range"]
        spec = ModelSpec(
            ontology=ontology_from_dict(data["ontology"], str(path)),
            network=NetworkSpec(**data["network"]),
            features=tuple(Feature(**feature) for feature in data["features"]),
            voxel_size=float(data["voxel_size"]),
            point_range=None if point_range is None else tuple(map(float, point_range)),
            temperature=float(data["temperature"]),
            cameras=data["cameras"],
            input_statistics=dict(data["input_statistics"]),
            provenance=dict(data["provenance"]),
        )
    except (KeyError, TypeError, ValueError, OntologyError) as error:
        raise BundleError(
            f"{path}: does not fit the schema: {type(error).__name__}: {error}"
        ) from error
    if spec.point_range is not None and len(spec.point_range) != 6:
        raise BundleError(f"{path}: point_range needs 6 numbers, has {len(spec.point_range)}")
    if not spec.voxel_size > 0 or not spec.temperature > 0 or not spec.features:
        raise BundleError(f"{path}: voxel_size and temperature must be positive, features given")
    return spec
