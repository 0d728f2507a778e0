"""The images of a dataset, for teachers to look at."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_training.data.sample import Dataset, read_image_size, read_pixels
from wsss_training.teachers.image_paths import path_below

_THREADS = 2


@dataclass(frozen=True)
class ImageFile:
    """An image on disk.

    Attributes:
        path: of the file.
        relative: its path below the folder of all images.
        size: width and height in pixels.
    """

    path: Path
    relative: Path
    size: tuple[int, int]

    def load(self) -> NDArray[np.uint8]:
        """Reads the pixels, RGB [H, W, 3].

        Raises:
            DatasetError: the image cannot be read.
        """
        return read_pixels(self.path, "RGB")


def list_images(
    dataset: Dataset,
    images_root: Path,
    shown: Callable[[range], Iterable[int]] = lambda indices: indices,
) -> list[ImageFile]:
    """Lists the images of all samples, each once, in the samples' order.

    Every sample is read, one at a time: no reader knows its images before.

    Args:
        dataset: the samples.
        images_root: the folder that all images lie in.
        shown: shows how far the numbers of the samples are.

    Raises:
        DatasetError: there are no images, one is missing or elsewhere, or a sample is damaged.
    """
    found: dict[Path, ImageFile] = {}
    for index in shown(range(len(dataset))):
        for image in dataset[index].images:
            if image.path not in found:
                relative = path_below(image.path, images_root)
                found[image.path] = ImageFile(image.path, relative, read_image_size(image.path))
    if not found:
        raise DatasetError(f"{images_root}: no sample of the dataset has an image")
    return list(found.values())


def read_images(images: Iterable[ImageFile]) -> Iterator[NDArray[np.uint8]]:
    """Reads images in their order, the next ones while one is looked at.

    Raises:
        DatasetError: an image cannot be read; when it is its turn.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque[Future[NDArray[np.uint8]]] = deque()
        for image in images:
            ahead.append(pool.submit(image.load))
            if len(ahead) > 2 * _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
