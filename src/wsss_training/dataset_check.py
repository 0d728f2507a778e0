"""Looks through a dataset: what there is, what is missing, and whether the calibration fits."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import WsssError
from wsss_perception.frame import UNKNOWN
from wsss_perception.geometry import transform_points
from wsss_training.data import Dataset, ImageSource, Sample, scene_of

MIN_DEPTH = 1.0
"""Nearer points do not count as in an image without a depth image, metres."""


@dataclass
class CameraCheck:
    """One camera's images.

    Attributes:
        images: how many were read, by scene.
        sizes: how often each width and height occurs.
        in_image: share of the points that fall on the image, of each image.
        visible: share of the points that the camera sees, nothing being before them.
        delays: seconds from the sweep to the image.
    """

    images: Counter[str] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    in_image: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


@dataclass
class DatasetCheck:
    """What was found in a dataset.

    Attributes:
        scenes: number of samples by scene, of the whole set.
        read: samples that were read, by scene.
        failures: sample id and reason of those that could not be.
        points: number of points of each sample read.
        invalid: points with a coordinate that is not finite.
        channels: smallest and largest finite value by channel.
        posed: samples with a pose.
        tagged: samples with scene tags.
        label_counts: int64 [256], points by label; None where no sample has labels.
        cameras: by name.
        in_any_image: share of the points that fall on any image, of each sample with images.
    """

    scenes: Counter[str]
    read: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    invalid: int = 0
    channels: dict[str, tuple[float, float]] = field(default_factory=dict)
    posed: int = 0
    tagged: int = 0
    label_counts: NDArray[np.int64] | None = None
    cameras: dict[str, CameraCheck] = field(default_factory=dict)
    in_any_image: list[float] = field(default_factory=list)


def check_dataset(dataset: Dataset, indices: Iterable[int]) -> DatasetCheck:
    """Reads samples with their images and counts; what cannot be read is listed.

    Args:
        dataset: the dataset.
        indices: of the samples to read.
    """
    check = DatasetCheck(Counter(scene_of(sample_id) for sample_id in dataset.sample_ids))
    for index in indices:
        try:
            _add_sample(check, dataset[index])
        except WsssError as error:
            check.failures.append((dataset.sample_ids[index], str(error)))
    return check


def _add_sample(check: DatasetCheck, sample: Sample) -> None:
    cloud = sample.cloud
    on_images = [_add_image(check, sample, image) for image in sample.images]
    if on_images:
        check.in_any_image.append(_share(np.logical_or.reduce(on_images)))
    check.points.append(len(cloud))
    check.invalid += int((~np.isfinite(cloud.xyz).all(axis=1)).sum())
    for name, values in cloud.channels.items():
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = check.channels.get(name, (np.inf, -np.inf))
            check.channels[name] = min(low, float(finite.min())), max(high, float(finite.max()))
    check.posed += sample.T_world_lidar is not None
    check.tagged += sample.tags is not None
    if sample.labels is not None:
        counts = np.bincount(sample.labels, minlength=256)
        check.label_counts = counts if check.label_counts is None else check.label_counts + counts
    check.read[sample.scene] += 1


def _add_image(check: DatasetCheck, sample: Sample, image: ImageSource) -> NDArray[np.bool_]:
    """Counts an image -> which points fall on it, bool [N]."""
    image.load()  # can it be read?
    camera = check.cameras.setdefault(image.name, CameraCheck())
    xyz = sample.cloud.xyz
    with np.errstate(invalid="ignore", over="ignore"):
        points = transform_points(image.T_camera_lidar, xyz.astype(np.float64))
    nearest = {} if image.depth is not None else {"min_depth": MIN_DEPTH}
    _, inside = image.camera.project(points, **nearest)
    camera.images[sample.scene] += 1
    camera.sizes[image.camera.width, image.camera.height] += 1
    camera.in_image.append(_share(inside))
    camera.visible.append(len(image.visible_points(xyz)[0]) / max(len(xyz), 1))
    camera.delays.append((image.stamp - sample.cloud.stamp) * 1e-9)
    return inside


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if mask.size else 0.0


def describe(check: DatasetCheck, dataset: Dataset) -> list[str]:
    """Says what was found, a line each."""
    scenes, read = check.scenes, check.read.total()
    lines = [f"{len(scenes)} scenes, {scenes.total()} samples; {read} read"]
    if not read:
        return lines
    low, middle, high = np.percentile(check.points, [0, 50, 100]).astype(int)
    invalid = f", {check.invalid} of them not finite" if check.invalid else ""
    lines.append(f"points a sample: {low} to {high}, median {middle}{invalid}")
    ranges = (f"{name} {a:.3g} to {b:.3g}" for name, (a, b) in sorted(check.channels.items()))
    lines.append(f"channels: {', '.join(ranges) or 'none'}")
    lines.append(f"poses: {check.posed} of {read}")
    for name, camera in check.cameras.items():
        sizes = ", ".join(f"{width}x{height}" for width, height in camera.sizes)
        delay = f"{1e3 * min(camera.delays):.0f} to {1e3 * max(camera.delays):.0f} ms"
        lines.append(
            f"{name}: {camera.images.total()} images of {sizes}; "
            f"{np.mean(camera.in_image):.1%} of the points in the image, "
            f"{np.mean(camera.visible):.1%} visible; {delay} after the cloud"
        )
    if check.in_any_image:
        lines.append(f"any camera: {np.mean(check.in_any_image):.1%} of the points in an image")
    ontology = dataset.ontology
    if check.label_counts is not None and ontology is not None:
        total = max(int(check.label_counts.sum()), 1)
        lines.append(f"labelled: {1 - check.label_counts[UNKNOWN] / total:.1%} of the points")
        counts = check.label_counts[: len(ontology)]
        shares = (f"{ontology.classes[c]} {counts[c] / total:.2%}" for c in np.argsort(-counts))
        lines.append(f"classes: {', '.join(shares)}")
    return lines


def warnings(check: DatasetCheck, dataset: Dataset) -> list[str]:
    """Says what is missing or strange, a line each."""
    found = []
    repeated = [name for name, count in Counter(dataset.sample_ids).items() if count > 1]
    if repeated:
        found.append(f"sample ids that are not unique: {', '.join(repeated[:5])}")
    if not check.scenes:
        found.append("no samples; are the root and the options right?")
    read = check.read.total()
    if not read:
        return found
    if not check.cameras:
        found.append("no images: no 2D teacher can help; are the image folders there?")
    if check.label_counts is None:
        found.append("no 3D labels: it cannot be scored on, nor tags derived from it")
    if check.posed < read:
        found.append(f"{read - check.posed} samples without a pose: they cannot be joined")
    for name, camera in check.cameras.items():
        lacking = sum(check.read[scene] - count for scene, count in camera.images.items())
        if lacking > 0:
            found.append(f"{name}: {lacking} samples of its scenes without its image")
        if len(camera.sizes) > 1:
            found.append(f"{name}: images of {len(camera.sizes)} sizes")
        if not any(camera.in_image):
            found.append(f"{name}: no point falls on its images: is the calibration right?")
    low, high = check.channels.get("intensity", (0.0, 1.0))
    if low < 0 or high > 1:
        found.append(f"intensity from {low:.3g} to {high:.3g}, not 0..1: scale it")
    return found
