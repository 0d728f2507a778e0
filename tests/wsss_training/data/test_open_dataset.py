import shutil

import pytest

from wsss_perception.errors import DatasetError
from wsss_training.config import load_config
from wsss_training.data import DATASETS, open_dataset
from wsss_training.workload import open_workload


@pytest.mark.parametrize("name", ["semantic_kitti", "kitti_raw", "kitti_object", "nuscenes"])
def test_every_reader_keeps_the_protocol(name, request):
    dataset = open_dataset(name, request.getfixturevalue(name))
    assert len(dataset) == len(dataset.sample_ids) == len(set(dataset.sample_ids)) == 2
    for index, sample_id in enumerate(dataset.sample_ids):
        sample = dataset[index]
        assert sample.sample_id == sample_id
        assert sample_id.startswith(f"{sample.scene}/")
        assert (sample.labels is None) == (dataset.ontology is None)
        for image in sample.images:
            assert image.load().image.shape == (image.camera.height, image.camera.width, 3)
    with pytest.raises(IndexError):
        dataset[2]


@pytest.mark.parametrize("name", ["semantic_kitti", "kitti_raw", "kitti_object", "nuscenes"])
def test_a_sample_tells_all_files_but_images_that_it_depends_on(name, request):
    root = request.getfixturevalue(name)
    dataset = open_dataset(name, root)
    told = {path for index in range(2) for path in dataset[index].files}
    there = {path for path in root.rglob("*") if path.suffix in (".bin", ".label", ".txt", ".json")}
    lidarseg = root / "v1.0-mini" / "lidarseg.json"  # tells the label files, which are told
    assert there - told <= {lidarseg}


def test_a_corrected_calibration_is_noticed_by_the_cache(mini_log, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(mini_log.root, root)
    words = [f"cache={tmp_path / 'cache'}", f"sources.0.root={root}", f"teacher.images_root={root}"]
    config = load_config(mini_log.config, words)
    before = open_workload(config).sweeps[0]
    path = root / "sequences" / "00" / "calib.txt"
    path.write_text(path.read_text().replace("80.0", "60.0"))
    after = open_workload(config).sweeps[0]
    assert (before.labels != after.labels).any()


@pytest.mark.parametrize("name", ["semantic_kitti", "kitti_raw"])
def test_hidden_folders_are_no_scenes_and_names_count_once(name, request):
    root = request.getfixturevalue(name)
    expected = open_dataset(name, root).sample_ids
    (root / "sequences" / ".ipynb_checkpoints").mkdir(parents=True)
    option = "sequences" if name == "semantic_kitti" else "drives"
    scene = "00" if name == "semantic_kitti" else "2011_09_26_drive_0001_sync"
    assert open_dataset(name, root).sample_ids == expected
    assert open_dataset(name, root, **{option: [scene, scene]}).sample_ids == expected


@pytest.mark.parametrize("name", ["semantic_kitti", "kitti_raw", "kitti_object", "nuscenes"])
def test_no_reader_opens_images_that_are_not_wanted(name, request):
    root = request.getfixturevalue(name)
    for path in [*root.rglob("*.png"), *root.rglob("*.jpg")]:
        path.unlink()
    assert open_dataset(name, root, images=False)[0].images == ()


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_names_a_root_without_data(name, tmp_path):
    with pytest.raises(DatasetError, match=str(tmp_path)):
        open_dataset(name, tmp_path)


def test_unknown_dataset_lists_the_known():
    with pytest.raises(DatasetError, match=r"'kiti'; known: semantic_kitti, kitti_raw"):
        open_dataset("kiti", ".")


def test_unknown_option_lists_the_known(semantic_kitti):
    with pytest.raises(DatasetError, match=r"no option 'sequence'; it takes: sequences, cameras"):
        open_dataset("semantic_kitti", semantic_kitti, sequence=["00"])
    with pytest.raises(DatasetError, match="no option 'drives'; it takes: cameras"):
        open_dataset("kitti_object", ".", drives=[])


@pytest.mark.parametrize("names", ["30", [30], 30])
def test_names_that_are_not_a_list_of_quoted_words_are_refused(semantic_kitti, names):
    with pytest.raises(DatasetError, match="list of quoted names"):
        open_dataset("semantic_kitti", semantic_kitti, sequences=names)


def test_labels_and_images_are_not_opened_where_they_are_not_wanted(semantic_kitti):
    folder = semantic_kitti / "sequences" / "00"
    (folder / "labels" / "000000.label").write_bytes(b"damaged")
    (folder / "image_2" / "000000.png").write_bytes(b"damaged")
    sample = open_dataset("semantic_kitti", semantic_kitti, labels=False, images=False)[0]
    assert sample.labels is None
    assert sample.images == ()
