"""A network's output as vectors of a vision-language space, and what texts they are like.

The head of such a network is linear, so that its D outputs lie in a subspace of at most P + 1
dimensions, P being its inputs: ``[W b] = Q R`` with orthonormal columns Q [D, K]. The network
then gives ``e = R [h; 1]`` of K values alone: ``|e| = |W h + b|`` and
``e . (Q^T t) = (W h + b) . t`` for every text t. No engine depends on the texts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import TextsError
from wsss_perception.texts import TextEmbeddings

Array = NDArray[np.float32]


def reduce_head(weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """Reduces an affine head ``W h + b`` without loss to the dimensions that it can reach.

    Args:
        weight: W [D, P].
        bias: b [D].

    Returns:
        Weight [K, P] and bias [K] of the smaller head, and the basis Q [D, K], float32;
        K = min(D, P + 1).

    Raises:
        ValueError: the shapes do not fit, or a value is not finite.
    """
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"no affine head: {list(weight.shape)} and {list(bias.shape)}")
    affine = np.column_stack([weight, bias]).astype(np.float64)
    if not np.isfinite(affine).all():
        raise ValueError("the head has values that are not finite")
    basis, reduced = np.linalg.qr(affine)
    small, basis = reduced.astype(np.float32), basis.astype(np.float32)
    return np.ascontiguousarray(small[:, :-1]), np.ascontiguousarray(small[:, -1]), basis


class ClassTexts:
    """The texts of a model: those of its classes, and phrases, in the network's output space.

    Args:
        texts: vectors of every class, and of any other phrase.
        basis: Q [D, K] of ``reduce_head``.
        classes: names of the classes, in the order of their labels.

    Attributes:
        texts: as given.
        basis: as given.

    Raises:
        TextsError: a class has no vector, or vectors and basis are of different spaces.
    """

    def __init__(self, texts: TextEmbeddings, basis: Array, classes: tuple[str, ...]) -> None:
        if texts.size != len(basis):
            raise TextsError(
                f"the texts have vectors of {texts.size} numbers, the model's space has "
                f"{len(basis)}"
            )
        missing = [name for name in classes if name not in texts.names]
        if missing:
            raise TextsError(f"no text of the classes {missing}; there are {list(texts.names)}")
        self.texts, self.basis = texts, basis
        self._count = len(classes)
        self._layers = _layers(texts.names, classes)
        order = np.concatenate([layer.rows for layer in self._layers])
        self._vectors = self.project(texts.vectors[order])

    def project(self, vectors: Array) -> Array:
        """Brings vectors [n, D] of texts into the output space, [n, K]; they may get shorter."""
        return np.ascontiguousarray(vectors @ self.basis, dtype=np.float32)

    def find(self, phrase: str) -> Array | None:
        """Returns the vectors [m, K] of a known name; None if it is not known."""
        found = self.texts.of(phrase)
        return self.project(found) if len(found) else None

    def logits(self, embeddings: Array, scale: float) -> Array:
        """Computes ``scale * cos(e, t)``, the largest of each class's vectors.

        Args:
            embeddings: outputs e [V, K] of the network; one of length 0 has logits of NaN.
            scale: factor on the cosine.

        Returns:
            Logits float32 [V, C]. They lie in memory class by class, which is faster here and in
            what sums over classes.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            products = self._vectors @ embeddings.T
        logits = products[: self._count]
        start = self._count
        for layer in self._layers[1:]:
            part = products[start : start + len(layer.rows)]
            start += len(layer.rows)
            if len(part) == self._count:
                np.maximum(logits, part, out=logits)
            else:
                logits[layer.classes] = np.maximum(logits[layer.classes], part)
        logits *= _inverse_lengths(embeddings, scale)
        return logits.T


def similarities(embeddings: Array, vectors: Array) -> Array:
    """Cosine of each voxel to a phrase.

    Args:
        embeddings: outputs e [V, K] of the network.
        vectors: of the phrase, projected, [m, K]; of several the nearest counts.

    Returns:
        float32 [V], -1 to 1; NaN where an embedding has the length 0 or is not finite.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        nearest = (vectors @ embeddings.T).max(axis=0)
    nearest *= _inverse_lengths(embeddings, 1.0)
    return nearest


@dataclass(frozen=True)
class _Layer:
    """The k-th vectors of all classes that have so many: rows among the texts, and the classes."""

    rows: NDArray[np.intp]
    classes: NDArray[np.intp]


def _layers(names: tuple[str, ...], classes: tuple[str, ...]) -> list[_Layer]:
    rows = [[index for index, known in enumerate(names) if known == name] for name in classes]
    layers = []
    for depth in range(max(map(len, rows))):
        having = [label for label, each in enumerate(rows) if len(each) > depth]
        layers.append(_Layer(np.array([rows[c][depth] for c in having]), np.array(having)))
    return layers


def _inverse_lengths(embeddings: Array, scale: float) -> Array:
    """``scale / |e|`` of each row; NaN where that is not finite."""
    # not np.linalg.norm: that is several times slower
    with np.errstate(invalid="ignore", over="ignore"):
        squares = np.einsum("ij,ij->i", embeddings, embeddings)
        squares[~((squares > 0) & (squares < np.inf))] = np.nan
    return np.float32(scale) / np.sqrt(squares)
