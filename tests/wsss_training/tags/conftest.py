"""A dataset in memory, with images on disk where a test wants some."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.ontology import Ontology
from wsss_training.data.sample import ImageSource, Sample

THINGS = Ontology(
    "things",
    ("floor", "wall", "shower curtain", "table", "tall_shelf"),
    ((10, 200, 30), (200, 30, 10), (30, 10, 200), (200, 200, 30), (30, 200, 200)),
    ((1,), (2,), (3,), (4,), (5,)),
)


@dataclass
class FakeDataset:
    """Samples, and which of them were read."""

    samples: list[Sample]
    ontology: Ontology | None = THINGS
    read: list[int] = field(default_factory=list)

    @property
    def sample_ids(self):
        return [sample.sample_id for sample in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(index)
        return self.samples[index]


@pytest.fixture(scope="session")
def things():
    """Ontology of five classes, among them one of two words."""
    return THINGS


@pytest.fixture(scope="session")
def fake_dataset():
    return FakeDataset


@pytest.fixture(scope="session")
def make_sample():
    """Makes a sweep of points in a 20 m square; ``x`` is where the sensor was, None: unknown."""

    def make(scene="a", number=0, labels=None, points=60, images=(), x=None, channels=None):
        rng = np.random.default_rng(number)
        xyz = rng.uniform([-10, -10, 0], [10, 10, 3], (points, 3)).astype(np.float32)
        pose = None if x is None else make_transform(np.eye(3), [x, 0, 0])
        cloud = PointCloud(xyz, channels or {}, stamp=number * 10**9)
        labels = None if labels is None else np.asarray(labels, np.uint8)
        return Sample(f"{scene}/{number:06d}", scene, cloud, tuple(images), pose, labels)

    return make


@pytest.fixture
def make_image(tmp_path):
    """Makes an image of one colour on disk."""

    def make(name="front", color=(250, 120, 10), stamp=0, width=64, height=36):
        path = tmp_path / "images" / f"{name}_{stamp}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (width, height), color).save(path)
        matrix = np.array([[50.0, 0, width / 2], [0, 50.0, height / 2], [0, 0, 1]])
        return ImageSource(name, path, Camera(width, height, matrix), np.eye(4), stamp)

    return make
