"""What images of the synthetic worlds show, in cells, for the imitated vision-language teacher."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import load_mapping, load_ontology
from wsss_training.data.sample import Dataset, ImageSource
from wsss_training.teachers.embedding_maps import EmbeddingWriter, claim_folder
from wsss_training.teachers.image_paths import path_below
from wsss_training.teachers.imitated_clip import ImitatedClip, ImitationSettings, imitation_info
from wsss_training.teachers.precomputed import PrecomputedTeacher

STRIDE = 8
"""Pixels of an image per cell."""

Array = NDArray[np.float32]
View = tuple[Array, NDArray[np.int64]]
"""Shares [C + 1, h, w] of the classes, and at last of all else; and patches [h, w]."""


def write_imitated_maps(
    root: Path,
    images_root: Path,
    views: Iterator[tuple[int, int, ImageSource, View]],
    names: Sequence[str],
    settings: ImitationSettings,
) -> int:
    """Writes the imitated teacher's maps of images.

    Args:
        root: folder of the maps; must have none.
        images_root: the folder that the images' paths are relative to.
        views: number of the scene and of the image in it, the image, and what it shows.
        names: of the classes, and at last of all else.
        settings: how the teacher sees.

    Returns:
        How many maps were written.

    Raises:
        DatasetError: the folder has maps already, or cannot be written to.
    """
    claim_folder(root, imitation_info(settings), None)
    writer, teacher, count = EmbeddingWriter(root), ImitatedClip(names, settings), 0
    for scene, number, image, (shares, patches) in views:
        relative = path_below(image.path, images_root)
        writer.write(relative, teacher(shares, patches, scene, number))
        count += 1
    return count


def labelled_views(
    dataset: Dataset, classes: int, patch: float
) -> Iterator[tuple[int, int, ImageSource, View]]:
    """Yields what the images of a labelled dataset show of its points, see ``view_of_points``.

    Args:
        dataset: with labels.
        classes: C.
        patch: size of the patches, metres.

    Raises:
        DatasetError: a sample has no labels, or cannot be read.
    """
    for index in range(len(dataset)):
        sample = dataset[index]
        if sample.labels is None:
            raise DatasetError(f"{sample.sample_id}: no labels to imitate a teacher with")
        xyz, labels = sample.cloud.xyz, np.minimum(sample.labels, classes)  # UNKNOWN is all else
        patches = patches_of(xyz, labels, patch)
        for number, image in enumerate(sample.images):
            yield index, number, image, view_of_points(xyz, labels, patches, image, classes)


def patches_of(
    xyz: NDArray[np.float32], labels: NDArray[np.uint8], size: float
) -> NDArray[np.int64]:
    """Numbers parts of surfaces, int64 [N]: one label in a cube of ``size`` metres has one."""
    cubes = np.floor(xyz / size).astype(np.int64)
    rows = np.column_stack([cubes, labels.astype(np.int64)])
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def view_of_points(
    xyz: NDArray[np.float32],
    labels: NDArray[np.uint8],
    patches: NDArray[np.int64],
    image: ImageSource,
    classes: int,
) -> View:
    """Finds what an image shows from the labelled points that it sees.

    Cells without a point are as the nearest cell that has one.

    Args:
        xyz: points [N, 3].
        labels: of the points [N], ``classes`` for all else.
        patches: of the points [N].
        image: that sees some of them.
        classes: C.
    """
    camera = image.camera
    height, width = -(-camera.height // STRIDE), -(-camera.width // STRIDE)
    index, uv = image.visible_points(xyz)
    scale = np.array([width / camera.width, height / camera.height])
    place = np.clip(np.floor((uv + 0.5) * scale), 0, [width - 1, height - 1]).astype(np.int64)
    cell, cells = place[:, 1] * width + place[:, 0], height * width
    pairs = labels[index].astype(np.int64) * cells + cell
    counts = np.bincount(pairs, minlength=(classes + 1) * cells).reshape(-1, height, width)
    total = counts.sum(axis=0)
    shares = (counts / np.maximum(total, 1)).astype(np.float32)
    last = np.full(cells, -1, dtype=np.int64)
    last[cell] = patches[index]
    patch = last.reshape(height, width)
    if not len(index):
        return shares, patch
    row, column = distance_transform_edt(total == 0, return_distances=False, return_indices=True)
    return shares[:, row, column], patch[row, column]


def driving_views(
    dataset: Dataset, teacher: Path, images_root: Path, target: str
) -> Iterator[tuple[int, int, ImageSource, View]]:
    """Yields what the driving world's imitated 2D teacher says of its images: its probabilities.

    They have the errors of that teacher, in patches that last; the views have no patches.

    Args:
        dataset: whose images.
        teacher: folder of the 2D teacher's maps, of Cityscapes' classes.
        images_root: the folder that the images' paths are relative to.
        target: ontology to translate to.
    """
    source, ontology = load_ontology("cityscapes"), load_ontology(target)
    mapping = load_mapping(f"cityscapes_to_{target}", source, ontology)[: len(source)]
    rows = np.where(mapping == UNKNOWN, len(ontology), mapping).astype(np.int64)
    maps = PrecomputedTeacher(teacher, images_root, source)
    for index in range(len(dataset)):
        for number, image in enumerate(dataset[index].images):
            probabilities = maps.probabilities(image.path)
            shares = np.zeros((len(ontology) + 1, *probabilities.shape[1:]), dtype=np.float32)
            np.add.at(shares, rows, probabilities)
            patches = np.full(shares.shape[1:], -1, dtype=np.int64)
            yield index, number, image, (shares, patches)
