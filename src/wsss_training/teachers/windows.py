"""Embeds large images window by window, as a tower sees best what is as large as it trained on."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import ConfigError

Size = tuple[int, int]


class PixelEncoder(Protocol):
    """Embeds images of any size cell by cell, such as ``clip.model.ClipModel``."""

    def encode_pixels(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """From RGB [B, H, W, 3], multiples of the stride, to rows of length 1 [B, h, w, D]."""


@dataclass(frozen=True)
class Windows:
    """How images are cut.

    Attributes:
        window: width and height of a window in pixels; images that are smaller are one window.
        stride: pixels that a cell of the encoder is wide and high.
        overlap: least share of a window that the next one covers too, 0 to below 1.
        scale: by what images are enlarged before; objects much smaller than a window are seen
            better then.
        batch: windows that are embedded at once, of one image or several.

    Raises:
        ConfigError: a value makes no sense.
    """

    window: int
    stride: int
    overlap: float = 0.5
    scale: float = 1.0
    batch: int = 16

    def __post_init__(self) -> None:
        if self.window < self.stride or self.window % self.stride:
            near = max(round(self.window / self.stride), 1) * self.stride
            raise ConfigError(
                f"window {self.window}: the model has a cell per {self.stride} pixels, and a "
                f"window is a whole number of them, such as {near}"
            )
        if not 0 <= self.overlap < 1 or not self.scale > 0 or self.batch < 1:
            raise ConfigError(
                f"windows need an overlap of 0 to below 1, a scale above 0 and a batch of at least "
                f"1, not {self.overlap}, {self.scale} and {self.batch}"
            )

    def cells(self, size: Size) -> Size:
        """Height and width in cells of the map of an image of (width, height) pixels."""
        width, height = size
        rows, columns = (max(round(side * self.scale / self.stride), 1) for side in (height, width))
        return rows, columns

    def starts(self, cells: int) -> NDArray[np.int64]:
        """First cells of the windows along a side of so many cells: evenly spread, both ends."""
        window = self.window // self.stride
        if cells <= window:
            return np.zeros(1, dtype=np.int64)
        step = max(int(window * (1 - self.overlap)), 1)
        count = -(-(cells - window) // step) + 1
        return np.round(np.linspace(0, cells - window, count)).astype(np.int64)


class WindowedEmbedder:
    """Embeds images of any size.

    Where windows overlap, their embeddings are averaged, each with a weight that falls linearly
    towards its window's border, where a tower sees least around.

    Args:
        encoder: embeds windows.
        windows: how images are cut.
    """

    def __init__(self, encoder: PixelEncoder, windows: Windows) -> None:
        self._encoder, self._windows = encoder, windows

    def __call__(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Embeds images; a batch of windows is in memory, and the images that they are of.

        Args:
            images: RGB [H, W, 3], of any sizes.

        Yields:
            float32 [h, w, D] for each image, in their order; lengths are 1 or, between windows
            that disagree, less.
        """
        waiting: deque[_Canvas] = deque()
        batch: list[_Window] = []
        for image in images:
            canvas = _Canvas(image, self._windows)
            waiting.append(canvas)
            for window in canvas.windows():
                if batch and (
                    len(batch) == self._windows.batch
                    or window.pixels.shape != batch[0].pixels.shape
                ):
                    self._embed(batch)
                    batch = []
                batch.append(window)
            while waiting and waiting[0].is_done:
                yield waiting.popleft().mean()
        if batch:
            self._embed(batch)
        for canvas in waiting:
            yield canvas.mean()

    def _embed(self, batch: list["_Window"]) -> None:
        embeddings = self._encoder.encode_pixels(np.stack([window.pixels for window in batch]))
        for window, of_window in zip(batch, embeddings.cpu().numpy(), strict=True):
            window.canvas.add(window.place, of_window)


@dataclass(frozen=True, eq=False)
class _Window:
    canvas: "_Canvas"
    place: Size
    pixels: NDArray[np.uint8]


class _Canvas:
    """The map of one image, and what windows have added to it."""

    def __init__(self, image: NDArray[np.uint8], windows: Windows) -> None:
        self._stride = windows.stride
        rows, columns = windows.cells((image.shape[1], image.shape[0]))
        self._pixels = np.asarray(
            Image.fromarray(image).resize(
                (columns * self._stride, rows * self._stride), Image.Resampling.BICUBIC
            )
        )
        cells = windows.window // self._stride
        self._window = min(cells, rows), min(cells, columns)
        self._starts = windows.starts(rows), windows.starts(columns)
        self._left = len(self._starts[0]) * len(self._starts[1])
        self._weight = np.zeros((rows, columns, 1), dtype=np.float32)
        self._total: NDArray[np.float32] | None = None

    @property
    def is_done(self) -> bool:
        """Whether all windows were added."""
        return not self._left

    def windows(self) -> Iterator[_Window]:
        """Cuts the image."""
        height, width = (size * self._stride for size in self._window)
        for row in self._starts[0].tolist():
            for column in self._starts[1].tolist():
                top, left = row * self._stride, column * self._stride
                pixels = self._pixels[top : top + height, left : left + width]
                yield _Window(self, (row, column), pixels)

    def add(self, place: Size, embeddings: NDArray[np.float32]) -> None:
        """Adds a window's embeddings [h, w, D] at its first row and column."""
        if self._total is None:
            shape = (*self._weight.shape[:2], embeddings.shape[2])
            self._total = np.zeros(shape, dtype=np.float32)
        (row, column), (height, width) = place, embeddings.shape[:2]
        here = np.s_[row : row + height, column : column + width]
        weight = np.outer(_hat(height), _hat(width))[:, :, None]
        self._total[here] += embeddings * weight
        self._weight[here] += weight
        self._left -= 1

    def mean(self) -> NDArray[np.float32]:
        """The blended map [h, w, D]."""
        assert self._total is not None
        return self._total / self._weight


def _hat(size: int) -> NDArray[np.float32]:
    """Weights along a window's side: 1 at its borders' cells, and 1 more a cell inwards."""
    distance = np.arange(1, size + 1)
    return np.minimum(distance, distance[::-1]).astype(np.float32)
