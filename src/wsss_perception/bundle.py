"""The model bundle on disk: a folder with ``model.yaml`` and the weights it describes.

This file alone knows the schema. Nothing in a bundle is pickled: YAML and safetensors only.
"""

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from wsss_perception.bundle_texts import load_class_texts
from wsss_perception.errors import BundleError, OntologyError
from wsss_perception.features import Feature
from wsss_perception.model_spec import EmbeddingSpec, ModelSpec, NetworkSpec
from wsss_perception.ontology import ontology_from_dict

SCHEMA, EMBEDDING_SCHEMA = 1, 2
"""Version of the format, and of that of bundles with ``embedding``: a program that knows nothing of
those would take the embeddings for logits, and must refuse them."""

MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"
"""The model card, for people; written by hand, so that a bundle may have none."""

_EMBEDDING_KEYS = ("size", "logit_scale", "teacher", "text_file", "basis_file")
_SEAL = b"sha256: "
_ADVICE = "the file was changed or cut short; copy or export the bundle again"


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
        files: content of each file beside ``model.yaml``; must hold the weights, and those that
            ``spec.embedding`` names, see ``bundle_texts.embedding_files``.

    Returns:
        The bundle; with its texts loaded.

    Raises:
        BundleError: the folder holds something else or cannot be written, or what should go
            into it is no bundle.
    """
    folder = Path(folder)
    for name in files:
        _check_name(folder, name)
    if WEIGHTS_FILE not in files or MODEL_FILE in files:
        raise BundleError(f"{folder}: the files need {WEIGHTS_FILE}, and no {MODEL_FILE}")
    spec = _with_texts(folder, spec, files)
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
    version = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(data, dict) or version not in (SCHEMA, EMBEDDING_SCHEMA):
        raise BundleError(
            f"{path}: schema {version} is not {SCHEMA} or {EMBEDDING_SCHEMA}; export the model "
            "again, or take a newer version of this program"
        )
    if content != _sealed(content.rpartition(_SEAL)[0]):
        raise BundleError(f"{path}: not as it was written: {_ADVICE}")
    spec = _from_dict(data, path)
    files = data.get("files")
    if not isinstance(files, dict) or WEIGHTS_FILE not in files:
        raise BundleError(f"{path}: lists no {WEIGHTS_FILE}")
    embedding = spec.embedding
    needed = () if embedding is None else (embedding.text_file, embedding.basis_file)
    contents = {}
    for name, digest in files.items():
        content = _read_checked(folder, name, digest)
        if name in needed:  # the weights are large, and the engine's business
            contents[name] = content
    return Bundle(folder, _with_texts(folder, spec, contents))


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


def _read_checked(folder: Path, name: str, digest: str) -> bytes:
    _check_name(folder, name)
    try:
        content = (folder / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder}: lists {name!r}, which cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError(f"{folder / name}: its sha256 is not the one in {MODEL_FILE}: {_ADVICE}")
    return content


def _with_texts(folder: Path, spec: ModelSpec, files: Mapping[str, bytes]) -> ModelSpec:
    """Loads the texts of a model that answers them."""
    if spec.embedding is None:
        return spec
    texts = load_class_texts(spec.embedding, spec.ontology.classes, files, folder)
    return replace(spec, embedding=replace(spec.embedding, texts=texts))


def _to_dict(spec: ModelSpec) -> dict[str, Any]:
    embedding = {} if spec.embedding is None else {"embedding": _embedding_to_dict(spec.embedding)}
    return {
        "schema": EMBEDDING_SCHEMA if embedding else SCHEMA,
        "ontology": spec.ontology.to_dict(),
        "network": asdict(spec.network),
        "features": [asdict(feature) for feature in spec.features],
        "voxel_size": spec.voxel_size,
        "point_range": None if spec.point_range is None else list(spec.point_range),
        "temperature": spec.temperature,
        "cameras": spec.cameras,
        "input_statistics": spec.input_statistics,
        "provenance": spec.provenance,
        **embedding,
    }


def _embedding_to_dict(embedding: EmbeddingSpec) -> dict[str, Any]:
    return {name: getattr(embedding, name) for name in _EMBEDDING_KEYS}


def _embedding_from_dict(data: dict[str, Any]) -> EmbeddingSpec | None:
    if (data["schema"] == EMBEDDING_SCHEMA) != ("embedding" in data):
        raise ValueError(f"only schema {EMBEDDING_SCHEMA} has 'embedding', and it must")
    if "embedding" not in data:
        return None
    given = data["embedding"]
    if not isinstance(given, dict) or set(given) != set(_EMBEDDING_KEYS):
        raise ValueError(f"embedding needs {', '.join(_EMBEDDING_KEYS)}")
    return EmbeddingSpec(**given)


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
            embedding=_embedding_from_dict(data),
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
