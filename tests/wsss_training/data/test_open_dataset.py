import pytest

from wsss_perception.errors import DatasetError
from wsss_training.data import DATASETS, open_dataset


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
    with pytest.raises(DatasetError, match="no option 'drives'; it takes: none"):
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
