"""Writes the embedding maps of many images: how much it will be, the basis, then map by map."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.processes import place, wait_for_all
from wsss_training.teachers.basis import Basis, BasisFit
from wsss_training.teachers.embedding_info import INFO_FILE, claim_folder, read_info
from wsss_training.teachers.embedding_maps import EmbeddingInfo, EmbeddingWriter, map_bytes
from wsss_training.teachers.images import ImageFile, read_images

BASIS_IMAGES = 200
"""How many images, evenly chosen, a basis is fitted to."""

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Embedder:
    """A teacher that embeds images.

    Attributes:
        embed: from images RGB [H, W, 3] to maps [h, w, D], in their order.
        cells: from (width, height) of an image to the height and width of its map.
        info: what its maps are of.
    """

    embed: Callable[[Iterable[Pixels]], Iterator[Maps]]
    cells: Callable[[tuple[int, int]], tuple[int, int]]
    info: EmbeddingInfo


def write_embeddings(embedder: Embedder, images: Sequence[ImageFile], root: Path) -> None:
    """Embeds images, each process its share of them, and returns when all are there.

    Maps that are there are left as they are, so that what was killed goes on.

    Args:
        embedder: the teacher.
        images: the images.
        root: the folder of the maps; made if absent.

    Raises:
        ConfigError: the disk has too little space.
        DatasetError: the folder has maps of another teacher, an image cannot be read, or the
            teacher gives values of it that are not finite.
    """
    here = place()
    if here.is_first:
        _announce(embedder, images, root)
        _prepare(embedder, images, root)
    wait_for_all()
    writer = EmbeddingWriter(root)
    mine = [image for image in here.share(images) if not writer.is_there(image.relative)]
    maps = zip(mine, _embedded(embedder, mine), strict=True)
    for image, vectors in here.tracked(maps, "images", len(mine)):
        writer.write(image.relative, vectors)
    wait_for_all()
    here.say(f"embeddings of {len(images):,d} images: {root}")


def needed_bytes(embedder: Embedder, images: Iterable[ImageFile]) -> int:
    """About how many bytes the maps of images take."""
    cells = (embedder.cells(image.size) for image in images)
    return sum(map_bytes(rows * columns, embedder.info.stored) for rows, columns in cells)


def evenly_chosen(images: Sequence[ImageFile], number: int) -> list[ImageFile]:
    """Chooses at most so many images, evenly spread over all."""
    chosen = np.unique(np.linspace(0, len(images) - 1, number).round().astype(int))
    return [images[index] for index in chosen]


def fit_basis(embedder: Embedder, images: Sequence[ImageFile]) -> tuple[Basis, float]:
    """Fits a basis to the embeddings of images; see ``BasisFit.fit``."""
    fit = BasisFit(embedder.info.size)
    maps = _embedded(embedder, images)
    for vectors in place().tracked(maps, "images for the basis", len(images)):
        flat = vectors.reshape(-1, vectors.shape[-1])
        fit.add(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))
    return fit.fit(embedder.info.stored)


def _embedded(embedder: Embedder, images: Sequence[ImageFile]) -> Iterator[Maps]:
    """Embeds images; raises DatasetError for what would be taken for cells that say nothing."""
    for image, vectors in zip(images, embedder.embed(read_images(images)), strict=True):
        if not np.isfinite(vectors).all():
            raise DatasetError(
                f"{image.path}: the teacher gives values for it that are not finite; a model in "
                "half precision may not reach so far"
            )
        yield vectors


def _announce(embedder: Embedder, images: Sequence[ImageFile], root: Path) -> None:
    """Says how much there is to do, and checks that the disk has room for it."""
    left = list(images)
    if (root / INFO_FILE).exists():
        writer = EmbeddingWriter(root)
        left = [image for image in images if not writer.is_there(image.relative)]
    needed = needed_bytes(embedder, left)
    made = f", {len(images) - len(left):,d} of them are there" if len(left) < len(images) else ""
    print(f"{len(images):,d} images{made}; {_size(needed)} to be written to {root}")
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ConfigError(
            f"{root}: {_size(needed)} are needed and {_size(free)} free; take a disk with "
            "more, fewer numbers a cell (--pca), or a smaller --scale"
        )


def _prepare(embedder: Embedder, images: Sequence[ImageFile], root: Path) -> None:
    """Claims the folder, with a basis where one is wanted, or checks whose it is."""
    if not (root / INFO_FILE).exists():
        basis = None
        if embedder.info.stored < embedder.info.size:
            basis, share = fit_basis(embedder, evenly_chosen(images, BASIS_IMAGES))
            print(f"{embedder.info.stored} numbers a cell keep {share:.1%} of the variance")
        claim_folder(root, embedder.info, basis)
    there, _ = read_info(root)
    if there != embedder.info:
        raise DatasetError(
            f"{root}: has embeddings of another teacher or of other settings "
            f"({_differences(there, embedder.info)}); remove it to make it anew, or choose another "
            "folder"
        )


def _differences(there: EmbeddingInfo, wanted: EmbeddingInfo) -> str:
    """Says what two kinds of maps differ in."""
    old, new = ({**info.teacher, **vars(info), "teacher": None} for info in (there, wanted))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(f"{key}: {old.get(key)}, not {new.get(key)}" for key in keys)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
