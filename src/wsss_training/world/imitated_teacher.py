"""Looks at true classes the way an imperfect 2D segmenter does.

This is an imitation and no network: it never sees the image's colours. It damages the true
classes by rules whose numbers (``teacher.yaml``) were sized so that visible habits of a real
segmenter's maps come out (``benchmarks/teacher_habits.py`` measures both). What it has of them:

- surfaces, or parts of them, are seen as another class, in one piece and with high confidence
  where the confusion is a habit, and much the same in the next sweep;
- small things are lost to what surrounds them, and thin ones are widened where they are seen;
- everything is computed at an eighth of the resolution and upsampled, so that borders are blobs;
- confidence follows from the probabilities: high inside surfaces, low at borders and in doubt.

What it lacks: errors that come from light, shadows, texture or context, and things seen where
there is nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.frame import UNKNOWN
from wsss_training.world.lasting_noise import NOISE_SIZE, Dice, smooth_noise
from wsss_training.world.teacher_settings import BACKGROUND, CLASSES, TeacherSettings

STRIDE = 8
"""Pixels of the image per pixel of the probabilities."""

_TEXEL = 4  # pixels of the image per texel of the noise


@dataclass(frozen=True)
class ImitatedMaps:
    """What the imitated teacher says of one image.

    Attributes:
        probabilities: float32 [20, ceil(H / 8), ceil(W / 8)]: Cityscapes' classes, then
            background; sum to 1 in every pixel.
        labels: uint8 [H, W], the most probable class after upsampling.
        confidence: float32 [H // 2, W // 2] (at least 1 each), its probability.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


def imitate_teacher(
    classes: NDArray[np.uint8],
    regions: NDArray[np.int32],
    settings: TeacherSettings,
    scene_seed: int,
    frame: int,
) -> ImitatedMaps:
    """Imitates a 2D segmenter's maps of an image.

    What befalls a region is drawn from its number, the scene's seed and, for the part that is not
    persistent, the frame: the same arguments give the same maps, and an object seen wrongly in
    one sweep, or by one camera, is likely seen the same way in the next.

    Args:
        classes: true Cityscapes label of every pixel [H, W], UNKNOWN for none of its classes.
        regions: number of the surface in every pixel [H, W], -1 for the sky; the same surface has
            the same number in all images of a scene. Pixels of one region have one class.
        settings: the habits.
        scene_seed: which scene, 0 or more.
        frame: which of its sweeps, 0 or more.

    Raises:
        ValueError: the arrays differ in shape or are empty, a label is neither a class nor
            UNKNOWN, or a region is below -1.
    """
    _check(classes, regions)
    true = np.where(classes == UNKNOWN, BACKGROUND, classes).astype(np.uint8)
    verdict = _judge_regions(true, regions, settings, scene_seed, frame)
    doubt = _doubt(regions, verdict, settings, scene_seed, frame)
    evidence = _gather_evidence(true, regions, verdict, doubt, settings)
    noise = _cell_noise(evidence.shape, scene_seed, frame)
    probabilities = _probabilities(evidence, noise, settings)
    labels, certainty = upsample(probabilities, classes.shape)
    return ImitatedMaps(probabilities, labels, _halve(certainty))


def upsample(
    probabilities: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Upsamples probabilities [20, h, w] bilinearly to an image of ``shape`` (H, W).

    Returns:
        The most probable class uint8 [H, W] and its probability float32 [H, W].
    """
    size = shape[1], shape[0]
    labels = np.zeros(shape, np.uint8)
    best = np.full(shape, -1.0, np.float32)
    for label, plane in enumerate(probabilities):
        if plane.max() < 1.0 / len(probabilities):
            continue  # the most probable of 20 has more than that everywhere
        full = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
        labels[full > best] = label
        np.maximum(best, full, out=best)
    return labels, best


@dataclass(frozen=True)
class _Verdict:
    """What befalls each region; arrays indexed by its number + 1.

    Attributes:
        rival: uint8, the class it may be seen as.
        doubt: float32, how far the region as a whole is towards being seen as its rival.
        seen: float32, 0 for a region that is lost to its surroundings, else 1.
        anchor: int64 [R, 2], texel of the noise at (row, column) 0 of the image.
    """

    rival: NDArray[np.uint8]
    doubt: NDArray[np.float32]
    seen: NDArray[np.float32]
    anchor: NDArray[np.int64]


def _judge_regions(
    true: NDArray[np.uint8],
    regions: NDArray[np.int32],
    settings: TeacherSettings,
    scene_seed: int,
    frame: int,
) -> _Verdict:
    index = regions.ravel() + 1
    area = np.bincount(index)
    own = np.full(len(area), BACKGROUND, np.uint8)
    own[index] = true.ravel()

    dice = Dice(len(area), scene_seed, frame, settings.persistence)
    cumulative = np.cumsum(settings.confusions, axis=1)[own]
    chosen = dice.uniform("rival") * cumulative[:, -1]
    rival = np.minimum((cumulative <= chosen[:, None]).sum(axis=1), CLASSES - 1)
    doubt = np.sqrt(settings.whole_region) * dice.normal("doubt")
    threshold = settings.thresholds()[own]

    vanishing = np.maximum(settings.vanishing_area[own], 1e-6)
    lost = dice.uniform("lost") < np.exp(-area / vanishing)

    rows, columns = np.ogrid[: regions.shape[0], : regions.shape[1]]
    centre = np.stack(
        [
            np.bincount(index, np.broadcast_to(axis, regions.shape).ravel()) / np.maximum(area, 1)
            for axis in (rows, columns)
        ],
        axis=1,
    )
    start = np.stack([dice.uniform("row"), dice.uniform("column")], axis=1) * NOISE_SIZE
    anchor = np.floor(start - centre / _TEXEL).astype(np.int64)
    return _Verdict(
        rival.astype(np.uint8),
        (doubt - threshold).astype(np.float32),
        (~lost).astype(np.float32),
        anchor,
    )


def _doubt(
    regions: NDArray[np.int32],
    verdict: _Verdict,
    settings: TeacherSettings,
    scene_seed: int,
    frame: int,
) -> NDArray[np.float32]:
    """Share 0..1 of every pixel's [H, W] evidence that speaks for its region's rival."""
    patch = settings.patch_size / _TEXEL
    noise = np.sqrt(settings.persistence) * smooth_noise((scene_seed,), patch)
    noise = noise + np.sqrt(1 - settings.persistence) * smooth_noise((scene_seed, frame), patch)
    noise = (np.sqrt(1 - settings.whole_region) * noise).astype(np.float32)
    index = regions + 1
    rows, columns = np.ogrid[: regions.shape[0], : regions.shape[1]]
    texel_row = (rows // _TEXEL + verdict.anchor[:, 0][index]) % NOISE_SIZE
    texel_column = (columns // _TEXEL + verdict.anchor[:, 1][index]) % NOISE_SIZE
    margin = verdict.doubt[index] + noise.ravel()[texel_row * NOISE_SIZE + texel_column]
    doubt = 1 / (1 + np.exp(np.clip(-margin / settings.softness, -30, 30)))
    above = np.maximum(doubt - np.float32(0.5), 0)
    return doubt - above * np.float32(2 * (1 - settings.rival_limit))


def _gather_evidence(
    true: NDArray[np.uint8],
    regions: NDArray[np.int32],
    verdict: _Verdict,
    doubt: NDArray[np.float32],
    settings: TeacherSettings,
) -> NDArray[np.float32]:
    """Share of every cell [20, h, w] that speaks for each class; may sum to less than 1."""
    height, width = true.shape
    h, w = -(-height // STRIDE), -(-width // STRIDE)
    # stretched to the image's size, as upsampling does, even if it is no multiple of the stride
    cell = (np.arange(height) * h // height)[:, None] * w + np.arange(width) * w // width
    index = regions + 1
    rival, seen = verdict.rival[index], verdict.seen[index]
    total = np.zeros(CLASSES * h * w)
    for label, share in ((true, 1 - doubt), (rival, doubt)):
        weight = share * seen * settings.gain.astype(np.float32)[label]
        total += np.bincount(
            (label.astype(np.int64) * (h * w) + cell).ravel(), weight.ravel(), CLASSES * h * w
        )
    evidence = total.reshape(CLASSES, h, w) / np.bincount(cell.ravel()).reshape(h, w)
    evidence[list(settings.absent)] = 0
    evidence[BACKGROUND] = 0  # what is no class looks like its rival or its surroundings
    return evidence.astype(np.float32)


def _probabilities(
    evidence: NDArray[np.float32], noise: NDArray[np.float32], settings: TeacherSettings
) -> NDArray[np.float32]:
    """Softens evidence [20, h, w], fills its gaps from around them, and normalises it."""
    smooth = _box_blur(evidence, 1) * settings.blur + evidence * (1 - settings.blur)
    # a cell takes what it lacks from its neighbours, from farther ones where those lack it too
    filled = smooth + settings.spread * _box_blur(evidence, 3)
    filled += 1e-4 * _box_blur(evidence, 16) + 1e-7 * evidence.mean(axis=(1, 2), keepdims=True)
    filled[BACKGROUND] += 1e-12  # where there is nothing at all
    filled /= filled.sum(axis=0)
    logits = settings.sharpness * np.log(filled + 1e-9) + settings.border_noise * noise
    logits[[*settings.absent]] = -np.inf
    logits -= logits.max(axis=0)
    probabilities = np.exp(logits)
    return (probabilities / probabilities.sum(axis=0)).astype(np.float32)


def _cell_noise(shape: tuple[int, ...], scene_seed: int, frame: int) -> NDArray[np.float32]:
    generator = np.random.default_rng([4, scene_seed, frame])
    noise = _box_blur(generator.standard_normal(shape, dtype=np.float32), 1)
    return 3 * noise  # mean of nine


def _box_blur(planes: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over a square of 2 * radius + 1 pixels in each plane [C, h, w], edges repeated."""
    for axis in (1, 2):
        pad = [(0, 0)] * 3
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(planes, pad, mode="edge"), axis=axis, dtype=np.float64)
        size = 2 * radius + 1
        upper = np.take(total, np.arange(size, total.shape[axis]), axis=axis)
        lower = np.take(total, np.arange(total.shape[axis] - size), axis=axis)
        planes = ((upper - lower) / size).astype(np.float32)
    return planes


def _halve(certainty: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (max(1, size // 2) for size in certainty.shape)
    step = [min(2, size) for size in certainty.shape]
    cropped = certainty[: height * step[0], : width * step[1]]
    return cropped.reshape(height, step[0], width, step[1]).mean(axis=(1, 3))


def _check(classes: NDArray[np.uint8], regions: NDArray[np.int32]) -> None:
    if classes.ndim != 2 or classes.shape != regions.shape or not classes.size:
        raise ValueError(f"classes are {classes.shape}, regions {regions.shape}; need one [H, W]")
    strange = np.unique(classes[(classes >= BACKGROUND) & (classes != UNKNOWN)])
    if strange.size:
        raise ValueError(f"classes {strange.tolist()} are neither Cityscapes labels nor UNKNOWN")
    if regions.min() < -1:
        raise ValueError(f"regions go down to {regions.min()}; -1 is the sky, surfaces are >= 0")
