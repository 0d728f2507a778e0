"""Fuses a vision-language teacher's image embeddings onto the points that its images show."""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix
from wsss_training.data.sample import Sample
from wsss_training.teachers.basis import Basis

_SMALLEST = 1e-6
"""Length below which a mean of unit vectors says nothing: the views contradict each other."""


class ImageEmbeddings(Protocol):
    """Embeddings of images, see ``teachers.embedding_maps``."""

    @property
    def size(self) -> int:
        """Size D of the space."""

    def read(
        self, image: Path, uv: NDArray[np.float64], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Samples unit vectors [n, D] at pixels [n, 2] of an image of (width, height)."""


def fuse_embeddings(
    sample: Sample, maps: ImageEmbeddings, span: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Gives every visible point the mean of its pixels' embeddings, scaled to length 1.

    A running sum over the images, one at a time: memory is that of [N, R] float32 and of one
    image's points, however many images there are.

    Args:
        sample: a sweep or a room with its images.
        maps: the images' embeddings.
        span: orthonormal columns [D, R] of a subspace that all embeddings lie in, see ``span_of``;
            None for the whole space, R = D.

    Returns:
        Coordinates in the span, float32 [N, R]: unit vectors, or 0 for points that no image shows
        or of which the teacher says nothing.

    Raises:
        DatasetError: a map or a depth image cannot be read.
    """
    size = maps.size if span is None else span.shape[1]
    total = np.zeros((len(sample.cloud), size), dtype=np.float32)
    for image in sample.images:
        index, uv = image.visible_points(sample.cloud.xyz)
        if len(index):
            camera = image.camera
            rows = maps.read(image.path, uv, (camera.width, camera.height))
            # a point is at most once among those of an image
            total[index] += rows if span is None else rows @ span
    length = np.sqrt(np.einsum("nd,nd->n", total, total))
    known = length > _SMALLEST
    total /= np.where(known, length, np.float32(1))[:, None]
    total[~known] = 0
    return total


def geometry_of(sample: Sample) -> str:
    """Digest of what decides which pixels show a sample's points: the points, and all cameras."""
    digest = hashlib.sha256(np.ascontiguousarray(sample.cloud.xyz).tobytes())
    for image in sample.images:
        views: list[object] = [str(image.path), *_numbers(image.camera, image.T_camera_lidar)]
        if image.depth is not None:
            depth = image.depth
            views += [str(depth.path), *_numbers(depth.camera, depth.T_camera_depth)]
            views += [depth.unit, depth.tolerance]
        digest.update(repr(views).encode())
    return digest.hexdigest()


def _numbers(camera: Camera, transform: Matrix | None) -> list[object]:
    place = None if transform is None else transform.tolist()
    size = (camera.width, camera.height)
    return [size, camera.matrix.tolist(), camera.model, tuple(camera.distortion), place]


def span_of(basis: Basis | None) -> NDArray[np.float32] | None:
    """Orthonormal columns [D, K + 1] of all that maps of a basis can say; None without a basis.

    What is restored from K numbers, ``mean + c basis``, lies in that subspace, and so does any mean
    of such vectors. Its coordinates lose nothing.
    """
    if basis is None:
        return None
    columns = np.vstack([basis.basis, basis.mean]).T.astype(np.float64)
    return np.linalg.qr(columns)[0].astype(np.float32)
