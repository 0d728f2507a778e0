from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_training.data import Dataset, open_dataset
from wsss_training.data.tagged_dataset import TaggedDataset
from wsss_training.dataset_check import check_dataset, describe, warnings
from wsss_training.dataset_pictures import (
    _bands,
    _distance,
    _edges,
    _place,
    draw_sample,
    spread,
)
from wsss_training.tags import SceneTags


class Changed:
    """A dataset whose samples are changed on the way."""

    def __init__(self, dataset: Dataset, change) -> None:
        self.ontology, self.sample_ids = dataset.ontology, dataset.sample_ids
        self._dataset, self._change = dataset, change

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index):
        return self._change(self._dataset[index])


@pytest.fixture
def dataset(mini_log) -> Dataset:
    return open_dataset("semantic_kitti", mini_log.root)


def test_check_counts_what_there_is(dataset):
    check = check_dataset(dataset, range(0, 6, 2))
    assert (check.scenes, check.read) == ({"00": 6}, {"00": 3})
    assert (check.points, check.invalid, check.posed, check.failures) == ([3000] * 3, 0, 0, [])
    assert check.channels["intensity"] == pytest.approx((0.2, 0.6))
    road, building = dataset.ontology.index("road"), dataset.ontology.index("building")
    assert {c: n for c, n in enumerate(check.label_counts) if n} == {road: 4500, building: 4500}
    camera = check.cameras["image_2"]
    assert (camera.images, camera.sizes) == ({"00": 3}, {(160, 80): 3})
    assert camera.delays == [0.0] * 3
    text = "\n".join(describe(check, dataset))
    for part in (
        "1 scenes, 6 samples; 3 read",
        "intensity 0.2 to 0.6",
        "of their points 100.0% labelled",
    ):
        assert part in text


def test_share_in_the_image_counts_points_before_the_camera_from_one_metre_on(dataset):
    def change(sample):
        xyz = np.float32([[5, 0, 0], [1.1, 0, 0], [0.9, 0, 0], [-5, 0, 0], [np.nan, 0, 0]])
        return replace(sample, cloud=PointCloud(xyz), labels=None)

    check = check_dataset(Changed(dataset, change), [0])
    assert check.cameras["image_2"].in_image == [0.4]
    assert check.in_any_image == [0.4]
    assert check.invalid == 1


def test_sample_that_cannot_be_read_is_listed_and_the_others_count(mini_log, tmp_path, dataset):
    path = mini_log.root / "sequences" / "00" / "image_2" / "000002.png"
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        check = check_dataset(dataset, range(6))
    finally:
        path.write_bytes(content)
    assert check.read == {"00": 5}
    ((sample_id, reason),) = check.failures
    assert sample_id == "00/000002"
    assert str(path) in reason


def test_warnings_name_what_is_missing(dataset):
    def strip(sample):
        channels = {"intensity": sample.cloud.channels["intensity"] * 255}
        cloud = PointCloud(sample.cloud.xyz, channels)
        return replace(sample, cloud=cloud, images=(), labels=None)

    bare = Changed(dataset, strip)
    text = "\n".join(warnings(check_dataset(bare, range(2)), bare))
    for part in (
        "no images",
        "2 samples without 3D labels",
        "2 samples without a pose",
        "not 0..1",
    ):
        assert part in text


def test_warnings_name_untagged_scenes_and_invalid_points(dataset):
    def spoil(sample):
        xyz = sample.cloud.xyz.copy()
        xyz[:300] = np.nan
        return replace(sample, cloud=PointCloud(xyz))

    tags = SceneTags(dataset.ontology, {"01": frozenset({"car"})})
    tagged = TaggedDataset(Changed(dataset, spoil), tags)
    found = warnings(check_dataset(tagged, range(2)), tagged)
    assert "2 samples of scenes that the tags lack: see check-tags" in found
    assert "10.0% of the points are not finite: they stay unlabelled" in found
    tagged.tags = SceneTags(dataset.ontology, {"00": frozenset({"car"})})
    check = check_dataset(tagged, range(2))
    assert "scene tags: 2 of 2" in describe(check, tagged)


def test_sample_that_fails_half_way_is_not_counted_at_all(dataset):
    def spoil(sample):
        (image,) = sample.images
        missing = replace(image, name="b", path=image.path.with_name("absent.png"))
        return replace(sample, images=(image, missing))

    check = check_dataset(Changed(dataset, spoil), range(2))
    assert len(check.failures) == 2
    assert (check.cameras, check.points, check.in_any_image) == ({}, [], [])


def test_images_that_some_samples_lack_are_counted_within_their_scenes(dataset):
    lacking = Changed(
        dataset,
        lambda sample: replace(sample, images=()) if sample.sample_id == "00/000001" else sample,
    )
    found = warnings(check_dataset(lacking, range(3)), lacking)
    assert "image_2: 1 samples of its scenes without its image" in found
    elsewhere = Changed(
        dataset,
        lambda sample: (
            replace(sample, images=(), scene="b") if sample.sample_id == "00/000001" else sample
        ),
    )
    found = warnings(check_dataset(elsewhere, range(3)), elsewhere)
    assert not any("without its image" in line for line in found)


def test_camera_that_sees_no_point_is_suspicious(dataset):
    def turn(sample):
        around = np.diag([-1.0, 1, -1, 1])
        images = [replace(i, T_camera_lidar=around @ i.T_camera_lidar) for i in sample.images]
        ahead = sample.cloud.select(sample.cloud.xyz[:, 0] > 1)
        return replace(sample, cloud=ahead, labels=None, images=tuple(images))

    turned = Changed(dataset, turn)
    found = warnings(check_dataset(turned, [0]), turned)
    assert any("no point falls on its images" in line for line in found)


def test_pictures_are_by_distance_and_by_class(dataset, tmp_path):
    by_distance, by_class = draw_sample(dataset[0], dataset.ontology, tmp_path / "new")
    assert by_distance.name == "00_000000_distance.png"
    pictures = [np.asarray(Image.open(path)) for path in (by_distance, by_class)]
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()
    unlabelled = replace(dataset[0], labels=None)
    assert len(draw_sample(unlabelled, None, tmp_path)) == 1


def test_near_and_far_points_differ_in_colour_and_invalid_ones_have_none():
    distance = np.array([1, 1.01, 40, np.nan])
    bands = _bands(distance, _edges(distance))
    assert bands[0] == bands[1] < bands[2] < UNKNOWN == bands[3]


def test_distance_over_an_image_is_from_its_camera(dataset, tmp_path):
    (image,) = dataset[0].images
    beside = image.T_camera_lidar.copy()
    beside[2, 3] -= 30  # a camera 30 m ahead
    moved = replace(dataset[0], images=(replace(image, T_camera_lidar=beside),))
    view = moved.images[0].load()
    np.testing.assert_allclose(_place(view), [30, 0, 0], atol=1e-9)
    expected = np.linalg.norm(moved.cloud.xyz - [30, 0, 0], axis=1)
    np.testing.assert_allclose(_distance(moved, _place(view)), expected, rtol=1e-5)
    assert draw_sample(moved, None, tmp_path)[0].exists()


def test_views_are_spread_over_the_images(dataset):
    (image,) = dataset[0].images
    many = tuple(replace(image, stamp=number) for number in range(11))
    assert [chosen.stamp for chosen in spread(many, 3)] == [0, 5, 10]
    assert spread((image,), 6) == [image]
    assert spread((), 6) == []
