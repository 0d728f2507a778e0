"""Images as colours of training points: the same ones that the segmenter paints."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.features import PAINTED
from wsss_perception.frame import Frame
from wsss_perception.segmenter import Segmenter
from wsss_training.config import load_config
from wsss_training.data.camera_colors import COLORS, SEEN, read_colors
from wsss_training.data.sample import DepthSource
from wsss_training.workload import held_back_loader, model_spec, open_workload

OPTIONAL = "model.cameras=optional"


@pytest.fixture
def colourful(mini_log, tmp_path):
    """Opens the mini log's sweeps with images of random colours, again with each call."""
    shutil.copytree(mini_log.root, tmp_path / "data")
    folder = tmp_path / "data" / "sequences" / "00" / "image_2"
    rng = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        Image.fromarray(rng.integers(0, 256, (80, 160, 3), dtype=np.uint8)).save(path)

    def open_sweeps(*overrides):
        config = load_config(mini_log.config, [OPTIONAL, *overrides])
        config.sources[0].root = str(tmp_path / "data")
        if config.teacher is not None:
            config.teacher.images_root = str(tmp_path / "data")
        return open_workload(config).sweeps

    open_sweeps.images = folder
    return open_sweeps


def channels_of(cloud):
    return np.stack([cloud.channels[name] for name in PAINTED], axis=1)


class Recorder:
    """An engine that keeps its input."""

    name = "recorder"

    def __call__(self, coords, features):
        self.coords, self.features = coords, features
        return np.zeros((len(coords), 19), dtype=np.float32)


def test_training_has_the_very_input_that_the_segmenter_makes(mini_log, colourful):
    sweeps, spec = colourful(), model_spec(load_config(mini_log.config, [OPTIONAL]))
    sample, points = sweeps.sources[0].dataset[2], sweeps[2]
    assert 0.1 < points.cloud.channels["image_seen"].mean() < 0.9
    engine = Recorder()
    Segmenter(spec, engine)(Frame(sample.cloud, tuple(image.load() for image in sample.images)))
    workload = open_workload(load_config(mini_log.config, [OPTIONAL]))
    batch = workload.voxelizer([points])
    np.testing.assert_array_equal(batch.coords.numpy()[:, 1:], engine.coords)
    np.testing.assert_array_equal(batch.features.numpy(), engine.features)
    assert len(np.unique(engine.features[:, -2])) > 100


def test_colours_come_from_the_cache_as_they_are_read(colourful, tmp_path):
    cache = f"cache={tmp_path / 'cache'}"
    plain, first, again = colourful()[3], colourful(cache)[3], colourful(cache)[3]
    for points in (first, again):
        assert points.attributes[COLORS].dtype == np.uint8
        assert points.attributes[SEEN].dtype == bool
        np.testing.assert_array_equal(points.attributes[COLORS], plain.attributes[COLORS])
        np.testing.assert_array_equal(channels_of(points.cloud), channels_of(plain.cloud))
    path = colourful.images / "000003.png"
    Image.fromarray(np.full((80, 160, 3), 7, np.uint8)).save(path)
    changed = channels_of(colourful(cache)[3].cloud)
    np.testing.assert_allclose(changed[changed[:, 3] > 0, :3], 7 / 255, rtol=1e-6)
    without = colourful(cache, "model.cameras=none")[3]
    assert not without.attributes
    assert "image_red" not in without.cloud.channels


def test_part_of_a_sweep_keeps_the_colours_of_its_points(colourful):
    sweeps = colourful()
    whole, part = sweeps[1], sweeps.sector(1, 0.1, np.random.default_rng(0))
    assert 0 < len(part) < len(whole)
    place = {tuple(row): number for number, row in enumerate(whole.cloud.xyz.tolist())}
    index = np.array([place[tuple(row)] for row in part.cloud.xyz.tolist()])
    np.testing.assert_array_equal(channels_of(part.cloud), channels_of(whole.cloud)[index])
    np.testing.assert_array_equal(part.attributes[COLORS], whole.attributes[COLORS][index])


def test_images_are_opened_for_sources_with_3d_labels_only_to_paint(colourful):
    labels = ("sources.0.supervision=labels", "teacher=null")
    assert channels_of(colourful(*labels)[0].cloud)[:, 3].any()
    for path in colourful.images.iterdir():
        path.write_bytes(b"damaged")
    assert len(colourful(*labels, "model.cameras=none")[0]) == 3000
    with pytest.raises(DatasetError, match=r"image_2/00000.*cannot be read"):
        colourful(*labels)[0]


def test_held_back_sweeps_are_loaded_with_all_cameras_or_with_none(mini_log):
    workload = open_workload(load_config(mini_log.config, [OPTIONAL]))
    whole, bare = (list(held_back_loader(workload, cameras=each)) for each in (True, False))
    assert len(whole) == len(bare) > 0
    for one, other in zip(whole, bare, strict=True):
        np.testing.assert_array_equal(one.coords, other.coords)
        np.testing.assert_array_equal(one.features[:, :-4], other.features[:, :-4])
        assert one.features[:, -1].any()
        assert not other.features[:, -4:].any()


def test_cameras_with_depth_are_refused_since_robots_see_otherwise(mini_log):
    sample = open_workload(load_config(mini_log.config)).sweeps.sources[0].dataset[0]
    (image,) = sample.images
    measured = replace(image, depth=DepthSource(image.path, image.camera))
    assert read_colors(sample)[SEEN].any()
    with pytest.raises(DatasetError, match=r"'image_2' has depth images.*cameras=none"):
        read_colors(replace(sample, images=(measured,)))


def test_a_sweep_without_images_is_unseen(colourful):
    points = colourful("sources.0.options={cameras: []}")[0]
    assert points.attributes[COLORS].shape == (3000, 0, 3)
    assert not channels_of(points.cloud).any()
