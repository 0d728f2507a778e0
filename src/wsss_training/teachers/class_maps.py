"""From a segmenter's output, at any resolution, to the maps that a teacher's folder holds."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wsss_perception.frame import UNKNOWN

_CLASSES_AT_ONCE = 16


@dataclass(frozen=True)
class ClassMaps:
    """What a segmenter says of one image; see ``teachers.precomputed``.

    Attributes:
        labels: uint8 [H, W], the most probable class of every pixel, UNKNOWN for none.
        confidence: float32 [H / 2, W / 2], its probability.
        probabilities: float32 [C, H / 8, W / 8].
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities [C, h, w] of classes of which each pixel has one."""
    powers = logits - logits.max(axis=0)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=0)
    return powers


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities [C, h, w] of classes that were asked for one by one.

    Where they sum to more than 1 they are scaled to 1; what they lack to 1 is that of no class.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return scores / np.maximum(scores.sum(axis=0), 1)


def one_hot(labels: NDArray, classes: int) -> NDArray[np.float32]:
    """Probabilities [C, h, w] of a label map [h, w]; 0 for labels that are no class."""
    return (labels == np.arange(classes)[:, None, None]).astype(np.float32)


def class_maps(probabilities: NDArray[np.float32], size: tuple[int, int]) -> ClassMaps:
    """Makes the maps of an image.

    Probabilities are interpolated. What they lack to 1 is the probability of no class; where that
    is the greatest the pixel is UNKNOWN, and its confidence 0.

    Args:
        probabilities: [C, h, w], of the whole image, at any resolution.
        size: its width and height in pixels.
    """
    width, height = size
    known = torch.from_numpy(probabilities)
    none = 1 - known.sum(dim=0, keepdim=True)
    best = _resized(none, (height, width))[0]
    labels = torch.full((height, width), UNKNOWN, dtype=torch.uint8)
    confidence = torch.zeros(height, width)
    for start in range(0, len(known), _CLASSES_AT_ONCE):  # all at once may not fit in memory
        part = _resized(known[start : start + _CLASSES_AT_ONCE], (height, width))
        values, index = part.max(dim=0)
        better = values > best
        best = torch.where(better, values, best)
        confidence = torch.where(better, values, confidence)
        labels = torch.where(better, (index + start).to(torch.uint8), labels)
    half = (max(height // 2, 1), max(width // 2, 1))
    eighth = (-(-height // 8), -(-width // 8))
    halved = functional.interpolate(confidence[None, None], half, mode="area")[0, 0]
    return ClassMaps(labels.numpy(), halved.numpy(), _resized(known, eighth).numpy())


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resizes maps [C, h, w] bilinearly, averaging where they shrink."""
    if tuple(maps.shape[1:]) == size:
        return maps
    return functional.interpolate(
        maps[None], size, mode="bilinear", align_corners=False, antialias=True
    )[0]
