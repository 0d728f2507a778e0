"""The files of a bundle whose network answers texts: the texts, and the basis of its outputs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wsss_perception.embedding import Array, ClassTexts
from wsss_perception.errors import BundleError, TextsError
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.texts import TextEmbeddings, encode_texts, parse_texts

_BASIS = "basis"
_ORTHONORMAL = 1e-3
"""How far a product of two columns of the basis may be off."""


def embedding_files(
    embedding: EmbeddingSpec, texts: TextEmbeddings, basis: Array
) -> dict[str, bytes]:
    """Makes the content of the files that a bundle of this embedding needs beside its weights.

    Args:
        embedding: names the files.
        texts: of all classes, and other phrases.
        basis: of ``reduce_head``, [D, K].
    """
    return {
        embedding.text_file: encode_texts(texts),
        embedding.basis_file: save({_BASIS: np.ascontiguousarray(basis, dtype=np.float32)}),
    }


def load_class_texts(
    embedding: EmbeddingSpec, classes: tuple[str, ...], files: Mapping[str, bytes], folder: Path
) -> ClassTexts:
    """Reads what ``embedding_files`` made, and checks that it fits.

    Args:
        embedding: what the bundle says.
        classes: of the bundle.
        files: content of each file by name.
        folder: of the bundle, named in errors.

    Raises:
        BundleError: a file is missing or damaged, or of another space, teacher or classes.
    """
    for name in (embedding.text_file, embedding.basis_file):
        if name not in files:
            raise BundleError(f"{folder}: the model's embedding needs the file {name!r}")
    where = folder / embedding.text_file
    try:
        texts = parse_texts(files[embedding.text_file], str(where))
    except TextsError as error:
        raise BundleError(str(error)) from error
    if texts.teacher != embedding.teacher:
        raise BundleError(
            f"{where}: made by '{texts.teacher}', the model's space by '{embedding.teacher}'; "
            "only texts of the same teacher can be compared"
        )
    basis = _parse_basis(files[embedding.basis_file], folder / embedding.basis_file)
    if basis.shape[1] != embedding.size:
        raise BundleError(
            f"{folder / embedding.basis_file}: {basis.shape[1]} columns, the network has "
            f"{embedding.size} outputs"
        )
    try:
        return ClassTexts(texts, basis, classes)
    except TextsError as error:
        raise BundleError(f"{where}: {error}") from error


def _parse_basis(content: bytes, where: Path) -> Array:
    try:
        basis = load(content)[_BASIS]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{where}: no basis ({type(error).__name__}: {error})") from error
    if basis.ndim != 2 or basis.dtype != np.float32:
        raise BundleError(f"{where}: not float32 [D, K] but {basis.dtype} {list(basis.shape)}")
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(basis.T @ basis - np.eye(basis.shape[1])).max(initial=0.0)
    if not off < _ORTHONORMAL:
        raise BundleError(f"{where}: its columns are not orthonormal; export the bundle again")
    return basis
