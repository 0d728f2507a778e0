"""Fewer numbers a pixel: the directions in which a teacher's embeddings differ most (PCA)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Basis:
    """An affine subspace of the embedding space.

    Attributes:
        mean: float32 [D].
        basis: float32 [K, D], orthonormal rows.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    def reduce(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coefficients [..., K] of the nearest points of the subspace to vectors [..., D]."""
        return (vectors - self.mean) @ self.basis.T

    def restore(self, total: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray:
        """Vectors [n, D] of coefficients.

        Args:
            total: sums of coefficients, each times a weight [n, K].
            weight: sum of those weights [n, 1]; 1 for plain coefficients.
        """
        return total @ self.basis + weight * self.mean


class BasisFit:
    """Fits a basis to vectors that come bit by bit: mean and covariance are all that is kept.

    Args:
        size: D.
    """

    def __init__(self, size: int) -> None:
        self._count = 0
        self._sum = np.zeros(size)
        self._products = np.zeros((size, size))

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Counts vectors [n, D]; those of length 0, where a teacher says nothing, are left out."""
        rows = vectors[vectors.any(axis=1)].astype(np.float64)
        self._count += len(rows)
        self._sum += rows.sum(axis=0)
        self._products += rows.T @ rows

    def fit(self, components: int) -> tuple[Basis, float]:
        """Finds the directions of greatest variance.

        Args:
            components: K.

        Returns:
            The basis, and the share of the variance that it keeps, 0..1.
        """
        mean = self._sum / max(self._count, 1)
        covariance = self._products / max(self._count, 1) - np.outer(mean, mean)
        variances, directions = np.linalg.eigh(covariance)  # ascending
        kept = directions[:, ::-1][:, :components].T.astype(np.float32)
        total = max(variances.sum(), 1e-300)
        share = float(variances[::-1][:components].sum() / total)
        return Basis(mean.astype(np.float32), kept), share
