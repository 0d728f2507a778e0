"""Text embeddings: class names and phrases as vectors of a vision-language space, on disk.

One ``.safetensors`` file: the tensor ``vectors`` float32 [n, D], and as metadata ``schema`` 1,
``names`` (a JSON list) and ``teacher``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wsss_perception.errors import TextsError

SCHEMA = "1"
BACKGROUND = "background:"
"""What the names of background prompts start with; they compete in pseudo-labels alone."""

_UNIT = 1e-3
"""How far a vector's length may be from 1."""


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """Names and their vectors.

    Attributes:
        names: class names or phrases; a name that comes again is a synonym: of its vectors the
            nearest counts.
        vectors: float32 [n, D], rows of length 1.
        teacher: model that made them, in words; only vectors of one teacher can be compared.

    Raises:
        TextsError: there is no name, an empty one, no teacher, or the vectors are not ``n`` finite
            rows of length 1.
    """

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    teacher: str

    def __post_init__(self) -> None:
        vectors = self.vectors
        if not self.names or not self.teacher:
            raise TextsError("text embeddings need names and a teacher")
        if not all(isinstance(name, str) and name.strip() for name in self.names):
            raise TextsError(f"text embeddings need names that are not empty: {self.names}")
        if vectors.ndim != 2 or len(vectors) != len(self.names) or vectors.dtype != np.float32:
            raise TextsError(
                f"{len(self.names)} names need as many rows of float32, not {vectors.dtype} "
                f"{list(vectors.shape)}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(vectors, axis=1)
            wrong = np.flatnonzero(~(np.abs(lengths - 1) < _UNIT))  # NaN is wrong
        if len(wrong):
            raise TextsError(
                f"the vector of '{self.names[wrong[0]]}' has the length {lengths[wrong[0]]:.4g}, "
                "not 1"
            )

    @property
    def size(self) -> int:
        """Size D of the space."""
        return self.vectors.shape[1]

    def of(self, name: str) -> NDArray[np.float32]:
        """Returns the vectors [m, D] of a name; none if it is not known."""
        return self.vectors[[index for index, known in enumerate(self.names) if known == name]]


def read_texts(path: str | Path) -> TextEmbeddings:
    """Reads text embeddings.

    Raises:
        TextsError: the file cannot be read, is damaged, or does not fit the schema.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TextsError(f"{path}: text embeddings cannot be read: {error.strerror}") from error
    return parse_texts(content, str(path))


def parse_texts(content: bytes, where: str) -> TextEmbeddings:
    """Reads text embeddings from a file's content; ``where`` names it in errors.

    Raises:
        TextsError: it is damaged, or does not fit the schema.
    """
    try:
        vectors = load(content)["vectors"]
        metadata = _metadata(content)
        if metadata["schema"] != SCHEMA:
            raise TextsError(f"{where}: schema {metadata['schema']} is not {SCHEMA}")
        names = json.loads(metadata["names"])
        if not isinstance(names, list):
            raise TextsError(f"{where}: 'names' is no list")
        return TextEmbeddings(tuple(names), vectors, metadata["teacher"])
    except TextsError as error:
        prefix = "" if str(error).startswith(where) else f"{where}: "
        raise TextsError(f"{prefix}{error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TextsError(
            f"{where}: not text embeddings ({type(error).__name__}: {error}); give a file that "
            "'wsss_training embed-texts' wrote"
        ) from error


def write_texts(path: str | Path, texts: TextEmbeddings) -> None:
    """Writes text embeddings, whole or not at all.

    Raises:
        TextsError: the file cannot be written.
    """
    path = Path(path)
    scratch = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            scratch = Path(stream.name)
            stream.write(encode_texts(texts))
        scratch.replace(path)
    except OSError as error:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        raise TextsError(f"{path}: cannot be written: {error.strerror}") from error


def encode_texts(texts: TextEmbeddings) -> bytes:
    """Makes the content of a file of text embeddings."""
    names: Sequence[str] = list(texts.names)
    metadata = {
        "schema": SCHEMA,
        "names": json.dumps(names, ensure_ascii=False),
        "teacher": texts.teacher,
    }
    return save({"vectors": np.ascontiguousarray(texts.vectors)}, metadata)


def _metadata(content: bytes) -> dict[str, str]:
    """Reads what safetensors holds beside the tensors; the content has been checked by ``load``."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]
