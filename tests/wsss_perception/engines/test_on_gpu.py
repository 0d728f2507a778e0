"""What only a real GPU shows; on other machines the stand-ins are tested."""

import numpy as np
import onnxruntime
import pytest
import torch
from made_networks import made_voxels, write_random

from wsss_perception.engines import ENGINES, load_engine
from wsss_perception.engines.gpu_tables import GpuTables
from wsss_perception.tables import build_tables

NEEDS = {
    "onnxruntime": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"),
]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.02)])
@pytest.mark.parametrize("name", ENGINES)
def test_engine_gives_the_logits_of_the_cpu(tmp_path, name, precision, tolerance):
    if name in NEEDS and NEEDS[name] not in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {NEEDS[name]}")
    if name == "tensorrt":
        pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    bundle, _ = write_random(tmp_path / "bundle")
    coords, features = made_voxels()
    expected = load_engine("spconv", bundle, "cpu")(coords, features)
    engine = load_engine(name, bundle, "cuda", precision)
    for count in (len(coords), 1, len(coords)):
        found = engine(coords[:count], features[:count])
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    assert engine.precision == precision
    assert engine.device == "cuda:0"


@pytest.mark.parametrize("kernel", [3, 5])
def test_tables_of_the_gpu_are_those_of_the_cpu(kernel):
    coords, _ = made_voxels()
    expected = build_tables(coords, kernel).named(kernel)
    found = GpuTables(torch.device("cuda"), kernel, [10_000] * 5, "")(coords)
    for name, table in expected.items():
        assert found[name].is_cuda
        np.testing.assert_array_equal(found[name].cpu().numpy(), table, err_msg=name)
