"""What supervises each source, and what is held back."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsss_perception.errors import ConfigError, DatasetError, TagsError
from wsss_perception.frame import UNKNOWN
from wsss_training.augment import supervised_sector
from wsss_training.config import SourceConfig, TeacherConfig, TrainConfig, load_config
from wsss_training.data import open_dataset
from wsss_training.data.draw_order import DrawOrder
from wsss_training.data.sparse_labels import draw_per_class, draw_share
from wsss_training.data.training_set import AugmentedDraws, choose_held_back, count_classes
from wsss_training.data.weak_labels import write_weak_labels
from wsss_training.processes import Place
from wsss_training.pseudo_labels import claim_folder
from wsss_training.stages import PSEUDO_LABELS, segmenter_config
from wsss_training.training import build_augmentation
from wsss_training.workload import Workload, held_back_loader, open_workload


@pytest.fixture
def config(mini_log) -> TrainConfig:
    return load_config(mini_log.config)


@pytest.fixture
def joint(config) -> TrainConfig:
    """The mini log twice: with the teacher, and with its labels for half of the draws."""
    root = config.sources[0].root
    config.sources.append(SourceConfig("semantic_kitti", root, supervision="labels", share=0.5))
    return config


def width(azimuth: np.ndarray) -> float:
    """Angle of the smallest sector that has all azimuths in it."""
    around = np.sort(azimuth)
    return float(2 * np.pi - np.diff(around, append=around[0] + 2 * np.pi).max())


def labels_alone(config: TrainConfig) -> TrainConfig:
    config.sources[0].supervision, config.teacher = "labels", None
    return config


def test_labels_supervise_every_point_with_weight_one(config, mini_log):
    points = open_workload(labels_alone(config)).sweeps[2]
    truth = open_dataset("semantic_kitti", mini_log.root)[2].labels
    np.testing.assert_array_equal(points.labels, truth)
    assert (points.labels != UNKNOWN).all()
    assert (points.weights == 1).all()
    assert points.weights.dtype == np.float32


def test_supervision_by_labels_opens_no_image(config, mini_log, tmp_path):
    shutil.copytree(mini_log.root, tmp_path / "data")
    for path in (tmp_path / "data" / "sequences" / "00" / "image_2").iterdir():
        path.write_bytes(b"damaged")
    config.sources[0].root = str(tmp_path / "data")
    assert len(open_workload(labels_alone(config)).sweeps[0]) == 3000


def test_supervision_by_labels_of_other_classes_names_both(config, mini_log, tmp_path):
    path = tmp_path / "mine.yaml"
    ontology = open_dataset("semantic_kitti", mini_log.root).ontology.to_dict()
    path.write_text(
        yaml.safe_dump(
            {**ontology, "name": "mine", "classes": ontology["classes"][:3], "ground": []}
        )
    )
    config.ontology = str(path)
    with pytest.raises(ConfigError, match=r"'semantic_kitti'.*'mine'"):
        open_workload(labels_alone(config))


def test_supervision_by_labels_of_a_set_without_says_so(config, mini_log, tmp_path):
    (tmp_path / "training" / "velodyne").mkdir(parents=True)
    (tmp_path / "training" / "velodyne" / "000000.bin").touch()
    config.sources[0] = SourceConfig("kitti_object", str(tmp_path))
    with pytest.raises(ConfigError, match="no 3D labels"):
        open_workload(labels_alone(config))
    shutil.copytree(mini_log.root, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "sequences" / "00" / "labels")
    config.sources[0] = SourceConfig("semantic_kitti", str(tmp_path / "data"))
    with pytest.raises(DatasetError, match="00/000000: no 3D labels"):
        open_workload(labels_alone(config)).sweeps[0]


def test_a_source_takes_its_own_teacher_before_that_of_the_config(config, mini_log, tmp_path):
    shutil.copytree(mini_log.teacher, tmp_path / "unsure")
    for path in (tmp_path / "unsure").rglob("*.conf.png"):
        shutil.copyfile(mini_log.teacher / path.relative_to(tmp_path / "unsure"), path)
    own = TeacherConfig(**{**vars(config.teacher), "root": str(tmp_path / "none")})
    root = config.sources[0].root
    config.sources.append(SourceConfig("semantic_kitti", root, teacher=own))
    with pytest.raises(DatasetError, match="none: no such folder of teacher maps"):
        open_workload(config)
    own.root = str(tmp_path / "unsure")
    (tmp_path / "unsure" / "sequences" / "00" / "image_2" / "000001.label.png").unlink()
    sweeps = open_workload(config).sweeps
    assert len(sweeps[1]) == 3000
    with pytest.raises(DatasetError, match="unsure"):
        sweeps[6 + 1]


def test_only_sweeps_with_a_teacher_are_held_back_beside_labelled_ones(joint):
    joint.held_back = 0.5
    workload = open_workload(joint)
    assert len(workload.held_back) == 3
    assert (workload.held_back < 6).all()
    assert workload.reference == "teacher"
    assert set(workload.train) | set(workload.held_back) == set(range(12))
    assert len(workload.train) == 9


def test_sweeps_with_labels_are_held_back_where_none_has_a_teacher(config):
    workload = open_workload(labels_alone(config))
    assert len(workload.held_back) == 1
    assert workload.reference == "labels"


def last_stage(config: TrainConfig, folder: Path) -> Workload:
    """The workload of the segmenter that learns from a configuration's pseudo-labels."""
    config.output = str(folder)
    for number in range(len(config.sources)):
        claim_folder(folder / PSEUDO_LABELS / str(number), {"ontology": "semantic_kitti"})
    return open_workload(segmenter_config(config))


@pytest.mark.parametrize("kinds", ["lt", "ltg", "lg", "wg", "g"])
def test_all_stages_hold_back_the_same_sweeps(mini_log, weak, tmp_path, kinds):
    folder, config = weak.sources[0].weak_labels, load_config(mini_log.config)
    root = config.sources[0].root
    made = {
        "l": SourceConfig("semantic_kitti", root, supervision="labels"),
        "w": SourceConfig("semantic_kitti", root, supervision="labels", weak_labels=folder),
        "t": SourceConfig("semantic_kitti", root, 2),
        "g": SourceConfig("semantic_kitti", root, supervision="tags"),
    }
    config.sources = [made[kind] for kind in kinds]
    config.method, config.held_back = "wsegpc", 0.4
    first, last = open_workload(config), last_stage(config, tmp_path / "run")

    def names(workload: Workload) -> list[tuple[int, str]]:
        sources = workload.sweeps.sources
        listed = [
            (number, source.dataset.sample_ids[index])
            for number, source in enumerate(sources)
            for index in source.indices
        ]
        return [listed[index] for index in workload.held_back]

    assert names(first) == names(last)
    unlabelled = {kinds.index(kind) for kind in kinds if kind in "tg"}
    assert {number for number, _ in names(last)} <= unlabelled
    assert first.reference == ("teacher" if "t" in kinds else "pseudo-labels")
    assert last.reference == "pseudo-labels"


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_the_held_back_sweeps_and_load_as_many(config, processes):
    config.held_back = 0.5
    workload = open_workload(config)
    expected = [batch.labels for batch in held_back_loader(workload)]
    assert len(expected) == 3
    loaders = [held_back_loader(workload, Place(rank, processes)) for rank in range(processes)]
    batches = [list(loader) for loader in loaders]
    assert {len(mine) for mine in batches} == {-(-3 // processes)}
    assert all(batch.features.shape[1] == 2 for mine in batches for batch in mine)
    sizes = sorted(len(batch.labels) for mine in batches for batch in mine if len(batch.labels))
    assert sizes == sorted(map(len, expected))


@pytest.mark.parametrize("seed", [0, 3])
def test_held_back_sweeps_follow_from_the_seed_as_ever(config, seed):
    config.seed, config.held_back = seed, 0.4
    expected = np.sort(np.random.default_rng(seed).permutation(6)[:2])
    np.testing.assert_array_equal(open_workload(config).held_back, expected)
    np.testing.assert_array_equal(choose_held_back(10 + np.arange(6), 0.4, seed), 10 + expected)


def test_a_single_sweep_with_a_teacher_is_too_few(joint):
    joint.sources[0].every = 6
    with pytest.raises(ConfigError, match="1 sweeps with a teacher"):
        open_workload(joint)


def test_a_share_of_a_source_with_no_sweep_to_train_on_is_named(joint):
    joint.sources[1].options = {"sequences": []}
    with pytest.raises(ConfigError, match=r"sources\[1\] \(semantic_kitti\).*no sweep"):
        open_workload(joint)


def test_classes_are_counted_as_draws_see_them(joint):
    joint.sources[1].share = 0.75
    workload = open_workload(joint)
    first, second = workload.groups

    def mean(group):
        return count_classes(workload.sweeps, [group], 0.1, 19) / len(group.indices)

    both = count_classes(workload.sweeps, workload.groups, 0.1, 19)
    np.testing.assert_allclose(both, 0.25 * mean(first) + 0.75 * mean(second), rtol=1e-5)


def test_a_labelled_sweep_is_trained_on_by_sectors_of_a_cameras_width(joint):
    sweeps = open_workload(joint).sweeps
    rng = np.random.default_rng(0)
    labelled = [sweeps.sector(8, 0.175, rng) for _ in range(20)]
    assert len({len(points) for points in labelled}) > 10
    azimuths = [np.arctan2(p.cloud.xyz[:, 1], p.cloud.xyz[:, 0]) for p in labelled]
    assert np.ptp(np.concatenate(azimuths)) > 6
    for points, azimuth in zip(labelled, azimuths, strict=True):
        known = points.labels != UNKNOWN
        assert width(azimuth[known]) <= np.radians(90.1)
        assert np.radians(105) < width(azimuth) <= np.radians(120.1)  # the margin to both sides
    assert len(sweeps.sector(8, None, rng)) == 3000
    state = rng.bit_generator.state
    sweeps.sector(2, 0.175, rng)
    assert rng.bit_generator.state == state, "a teacher's sector took a random number"


def test_draws_of_a_recipe_without_shares_follow_the_plain_formula(config):
    workload, augmentation = open_workload(config), build_augmentation(config.augment)
    order = DrawOrder(workload.groups, 3, 12)
    draws = AugmentedDraws(workload.sweeps, order, augmentation, 0.175, 3)
    for draw in (0, 4, 7):
        turn, place = divmod(draw, 5)
        sweep = np.random.default_rng([3, 0, turn]).permutation(workload.train)[place]
        points = supervised_sector(workload.sweeps[int(sweep)], 0.175)
        expected = augmentation(points, np.random.default_rng([3, 1, draw]))
        np.testing.assert_array_equal(draws[draw].cloud.xyz, expected.cloud.xyz)
        np.testing.assert_array_equal(draws[draw].labels, expected.labels)


@pytest.fixture
def weak(config, mini_log, tmp_path) -> TrainConfig:
    """The mini log with three labelled points in each of sweeps 1, 2 and 4, and none elsewhere."""
    dataset = open_dataset("semantic_kitti", mini_log.root, images=False)
    nothing = np.zeros(0, np.uint8)
    choices = list(draw_share(dataset, 0.001, seed=0))
    for index in (0, 3, 5):
        choices[index] = replace(choices[index], indices=np.uint32(nothing), labels=nothing)
    write_weak_labels(tmp_path / "weak_3", choices, dataset.ontology, {})
    labels_alone(config).sources[0].weak_labels = str(tmp_path / "weak_3")
    return config


def test_sweeps_without_a_weak_label_are_neither_drawn_nor_held_back(weak, caplog):
    caplog.set_level("INFO")
    workload = open_workload(weak)
    assert workload.sweeps.sources[0].indices == [1, 2, 4]
    assert (len(workload.held_back), len(workload.train)) == (1, 2)
    for index in range(3):
        assert (workload.sweeps[index].labels != UNKNOWN).sum() == 3
    assert "3 of 6 sweeps left out" in caplog.text


def test_a_source_of_which_no_sweep_taken_has_a_weak_label_is_refused(weak):
    weak.sources[0].every = 2
    assert open_workload(weak).sweeps.sources[0].indices == [2, 4]
    weak.sources[0].every = 5
    with pytest.raises(ConfigError, match=r"none of its 2 sweeps has a labelled point in .*weak_3"):
        open_workload(weak)


def test_sweeps_without_a_weak_label_stay_where_tags_and_images_teach(weak):
    (source,) = open_workload(weak).sweeps.sources
    assert not source.dataset[0].images
    weak.method = "wsegpc"
    (source,) = open_workload(weak).sweeps.sources
    assert len(source.indices) == 6
    assert source.dataset[0].images, "no image guides the points of weakly labelled sweeps"


def test_pseudo_labels_which_list_no_sweeps_supervise_all(weak):
    (Path(weak.sources[0].weak_labels) / "unlabelled.txt").unlink()
    assert len(open_workload(weak).sweeps) == 6


def test_weak_labels_supervise_their_points_alone(config, mini_log, tmp_path):
    dataset = open_dataset("semantic_kitti", mini_log.root, images=False)
    choices = draw_per_class(dataset, 10, seed=0)
    write_weak_labels(tmp_path / "weak", choices, dataset.ontology, {})
    labels_alone(config).sources[0].weak_labels = str(tmp_path / "weak")
    sweeps = open_workload(config).sweeps
    assert len(sweeps) == 6
    labels = np.concatenate([sweeps[index].labels for index in range(6)])
    truth = np.concatenate([dataset[index].labels for index in range(6)])
    assert (labels != UNKNOWN).sum() == 20
    np.testing.assert_array_equal(labels[labels != UNKNOWN], truth[labels != UNKNOWN])


def test_tags_of_a_source_reach_its_samples(config, tmp_path):
    path = tmp_path / "tags.yaml"
    tags = {"schema": 1, "ontology": "semantic_kitti", "scenes": {"00": ["road", "building"]}}
    path.write_text(yaml.safe_dump(tags))
    config.sources[0].tags = str(path)
    sample = open_workload(config).sweeps.sources[0].dataset[0]
    assert np.flatnonzero(sample.tags).tolist() == [8, 12]
    config.sources[0].tags = str(tmp_path / "none.yaml")
    with pytest.raises(TagsError, match=r"none\.yaml"):
        open_workload(config)


@pytest.mark.parametrize(
    ("ontology", "scene", "message"),
    [
        ("nuscenes", "00", r"tags are of 'nuscenes', the model of 'semantic_kitti'"),
        ("semantic_kitti", "0", r"tags none of the 1 scenes of semantic_kitti at .* such as '00'"),
    ],
)
def test_tags_of_other_classes_or_of_other_scenes_are_refused(
    config, tmp_path, ontology, scene, message
):
    path = tmp_path / "tags.yaml"
    tags = {"schema": 1, "ontology": ontology, "scenes": {scene: ["car"], "other": []}}
    path.write_text(yaml.safe_dump(tags))
    config.sources[0].tags = str(path)
    with pytest.raises(ConfigError, match=message):
        open_workload(config)
