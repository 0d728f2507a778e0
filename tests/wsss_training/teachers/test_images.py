from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera
from wsss_training.data.sample import ImageSource, Sample
from wsss_training.teachers.images import ImageFile, list_images, read_images


@dataclass
class Samples:
    """Samples whose images are the files of these names."""

    folder: object
    names: list

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        cloud = PointCloud(np.zeros((1, 3), np.float32))
        camera = Camera(3, 2, np.eye(3))
        images = [
            ImageSource(name, self.folder / name, camera, np.eye(4), 0)
            for name in self.names[index]
        ]
        return Sample(f"a/{index}", "a", cloud, tuple(images))


@pytest.fixture
def folder(tmp_path):
    for number in range(12):
        picture = Image.new("RGB", (3 + number, 2), (number, 0, 0))
        picture.save(tmp_path / f"{number}.png")
    return tmp_path


def test_images_of_all_samples_are_listed_once_with_their_sizes(folder):
    dataset = Samples(folder, [["0.png", "3.png"], [], ["3.png", "1.png"]])
    found = list_images(dataset, folder.parent)
    assert [image.relative.as_posix() for image in found] == [
        f"{folder.name}/{number}.png" for number in (0, 3, 1)
    ]
    assert [image.size for image in found] == [(3, 2), (6, 2), (4, 2)]


@pytest.mark.parametrize(
    ("names", "message"),
    [([[]], "no sample of the dataset has an image"), ([["none.png"]], r"none\.png")],
)
def test_missing_images_are_noticed_when_they_are_listed(folder, names, message):
    with pytest.raises(DatasetError, match=message):
        list_images(Samples(folder, names), folder)


def test_images_are_read_in_their_order_and_few_ahead(folder):
    asked = []

    def files():
        for number in range(12):
            asked.append(number)
            yield ImageFile(folder / f"{number}.png", None, (3, 2))

    for number, pixels in enumerate(read_images(files())):
        assert pixels.shape == (2, 3 + number, 3)
        assert pixels[0, 0, 0] == number
        assert len(asked) - number <= 6


def test_a_damaged_image_is_named_when_it_is_its_turn(folder):
    (folder / "2.png").write_bytes(b"damaged")
    files = [ImageFile(folder / f"{number}.png", None, (3, 2)) for number in range(5)]
    read = read_images(files)
    assert [next(read)[0, 0, 0] for _ in range(2)] == [0, 1]
    with pytest.raises(DatasetError, match=r"2\.png"):
        next(read)
