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
from wsss_training.data.tagged_dataset import TaggedDataset

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
        labelled: samples with labels.
        label_counts: int64 [256], their points by label.
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
    labelled: int = 0
    label_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
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
    seen = [_look_at(image, cloud.xyz) for image in sample.images]  # before anything is counted
    on_images = [inside for inside, _ in seen]
    for image, (inside, visible) in zip(sample.images, seen, strict=True):
        camera = check.cameras.setdefault(image.name, CameraCheck())
        camera.images[sample.scene] += 1
        camera.sizes[image.camera.width, image.camera.height] += 1
        camera.in_image.append(_share(inside))
        camera.visible.append(visible)
        camera.delays.append((image.stamp - cloud.stamp) * 1e-9)
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
        check.labelled += 1
        check.label_counts += np.bincount(sample.labels, minlength=256)
    check.read[sample.scene] += 1


def _look_at(image: ImageSource, xyz: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
    """Which points fall on an image, bool [N], and the share that its camera sees.

    Raises:
        DatasetError: the image, or its depth, cannot be read.
    """
    image.load()
    with np.errstate(invalid="ignore", over="ignore"):
        points = transform_points(image.T_camera_lidar, xyz.astype(np.float64))
    nearest = {} if image.depth is not None else {"min_depth": MIN_DEPTH}
    _, inside = image.camera.project(points, **nearest)
    return inside, len(image.visible_points(xyz)[0]) / max(len(xyz), 1)


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
    if check.tagged:
        lines.append(f"scene tags: {check.tagged} of {read}")
    if check.labelled and ontology is not None:
        total = max(int(check.label_counts.sum()), 1)
        known = 1 - check.label_counts[UNKNOWN] / total
        lines.append(f"labels: {check.labelled} of {read}; of their points {known:.1%} labelled")
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
    read = check.read.total()
    if not read:
        return found
    if not check.cameras:
        found.append("no images: no 2D teacher can help; are the image folders there?")
    elif len(check.in_any_image) < read:
        found.append(
            f"{read - len(check.in_any_image)} samples without any image: a 2D teacher says "
            "nothing of them"
        )
    if check.labelled < read:
        found.append(f"{read - check.labelled} samples without 3D labels: they cannot be scored on")
    if check.posed < read:
        found.append(f"{read - check.posed} samples without a pose: they cannot be joined")
    if isinstance(dataset, TaggedDataset) and check.tagged < read:
        found.append(f"{read - check.tagged} samples of scenes that the tags lack: see check-tags")
    if check.invalid:
        share = check.invalid / max(sum(check.points), 1)
        found.append(f"{share:.1%} of the points are not finite: they stay unlabelled")
    if min(check.points) == 0:
        found.append(f"{check.points.count(0)} samples without points")
    found += [
        line for name, camera in check.cameras.items() for line in _doubts(name, camera, check)
    ]
    return found + intensity_doubts(check)


def intensity_doubts(check: DatasetCheck) -> list[str]:
    """What is strange about the intensities."""
    low, high = check.channels.get("intensity", (0.0, 1.0))
    if low < 0 or high > 1:
        return [f"intensity from {low:.3g} to {high:.3g}, not 0..1: scale it"]
    return []


def _doubts(name: str, camera: CameraCheck, check: DatasetCheck) -> list[str]:
    """What is strange about a camera's images."""
    found = []
    lacking = sum(check.read[scene] - count for scene, count in camera.images.items())
    if lacking > 0:
        found.append(f"{name}: {lacking} samples of its scenes without its image")
    if len(camera.sizes) > 1:
        found.append(f"{name}: images of {len(camera.sizes)} sizes")
    if not any(camera.in_image):
        found.append(f"{name}: no point falls on its images: is the calibration right?")
    return found
