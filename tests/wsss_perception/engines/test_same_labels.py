"""Every engine gives a point the same label, on real sweeps and with the shipped weights."""

from pathlib import Path

import numpy as np
import pytest

from wsss_perception.bundle import Bundle, default_bundle, read_bundle
from wsss_perception.engines import load_engine
from wsss_perception.frame import UNKNOWN, Frame, PointCloud
from wsss_perception.segmenter import Segmenter

KITTI = [
    f"semantic_kitti/sequences/{name}.bin" for name in ("00/velodyne/000012", "30/velodyne/000063")
]
NUSCENES = "nuscenes/samples/LIDAR_TOP/*.pcd.bin"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(default_bundle())


def read_sweeps(root: Path) -> list[PointCloud]:
    """The sweeps as a robot's driver would give them: every point, intensity 0..1."""
    files = [(root / name, 4, 1.0) for name in KITTI]
    files += [(path, 5, 1 / 255) for path in sorted(root.glob(NUSCENES))]
    clouds = []
    for path, columns, scale in files:
        values = np.fromfile(path, dtype=np.float32).reshape(-1, columns)
        clouds.append(PointCloud(values[:, :3].copy(), {"intensity": values[:, 3] * scale}))
    assert len(clouds) > len(KITTI)
    return clouds


@pytest.mark.real_data
@pytest.mark.parametrize(("precision", "share"), [("fp32", 0.999), ("fp16", 0.99)])
def test_lowered_graph_labels_real_sweeps_as_spconv_does(bundle, data_root, precision, share):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: make install")
    trained = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    lowered = Segmenter(bundle.spec, load_engine("onnxruntime", bundle, "cpu", precision))
    for cloud in read_sweeps(data_root):
        expected = trained(Frame(cloud)).labels
        labels = lowered(Frame(cloud)).labels
        assert np.unique(expected).size > 5
        assert (expected != UNKNOWN).mean() > 0.9
        assert (labels == expected).mean() >= share
