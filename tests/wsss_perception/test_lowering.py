import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import BundleError
from wsss_perception.features import Feature
from wsss_perception.lowering import LOGITS, lower
from wsss_perception.networks.minkunet import MinkUNet
from wsss_perception.networks.presets import PRESETS, sizes_of
from wsss_perception.ontology import load_ontology
from wsss_perception.tables import build_tables

TENSORRT_OPERATORS = {
    "Add": {"float32", "float16", "int32"},
    "Cast": {"float32", "float16", "int32"},
    "Concat": {"float32", "float16", "int32"},
    "Gather": {"float32", "float16", "int32"},
    "MatMul": {"float32", "float16"},
    "Relu": {"float32", "float16"},
    "Reshape": {"float32", "float16", "int32"},
}
"""Those of the graph, with the types that TensorRT takes, by docs/operators.md of onnx-tensorrt."""


def made_network(name: str, width: float) -> tuple[ModelSpec, MinkUNet]:
    """A network whose normalisations are not the identity."""
    torch.manual_seed(0)
    features = (Feature("intensity"), Feature("z"))
    spec = ModelSpec(load_ontology("nuscenes"), NetworkSpec(name, width), features, 0.2)
    network = MinkUNet(spec.network, 2, len(spec.ontology)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for values, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):
                torch.nn.init.uniform_(values, low, high)
    return spec, network


def weights_of(network: MinkUNet) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in network.state_dict().items()}


def made_voxels(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    coords = np.unique(generator.integers(-20, 20, (900, 3)), axis=0).astype(np.int32)
    return coords, generator.standard_normal((len(coords), 2)).astype(np.float32)


def run(model: onnx.ModelProto, coords: np.ndarray, features: np.ndarray, kernel: int):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {"features": features, **build_tables(coords, kernel).named(kernel)}
    return session.run([LOGITS], feed)[0]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_lowered_network_gives_the_logits_of_the_sparse_one(name):
    spec, network = made_network(name, 0.25)
    coords, features = made_voxels()
    batched = torch.from_numpy(np.pad(coords, ((0, 0), (1, 0))))
    with torch.no_grad():
        expected = network(batched, torch.from_numpy(features)).numpy()
    model = lower(spec, weights_of(network))
    found = run(model, coords, features, sizes_of(spec.network).stem_kernel)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_half_precision_stays_near_and_lives_in_the_graph():
    spec, network = made_network("small", 0.5)
    coords, features = made_voxels()
    whole = run(lower(spec, weights_of(network)), coords, features, 3)
    model = lower(spec, weights_of(network), "fp16")
    half = run(model, coords, features, 3)
    assert 0 < np.abs(half - whole).max() < 0.02 * np.abs(whole).max()
    kinds = {t.data_type for t in model.graph.initializer if not t.name.startswith("rows")}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert half.dtype == np.float32


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_graph_has_operators_that_tensorrt_lists_alone(precision):
    spec, network = made_network("minkunet18a", 0.25)
    model = lower(spec, weights_of(network), precision)
    assert {node.op_type for node in model.graph.node} == TENSORRT_OPERATORS.keys()
    assert not model.functions
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input)}
    known |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for node in inferred.node:
        first = onnx.helper.tensor_dtype_to_np_dtype(known[node.input[0]])
        assert str(first) in TENSORRT_OPERATORS[node.op_type]
        if node.op_type in ("Add", "MatMul", "Concat"):  # strongly typed: no mixed inputs
            assert len({known[name] for name in node.input}) == 1


def test_all_sizes_are_dynamic_and_named_by_level():
    spec, network = made_network("minkunet14a", 0.25)
    model = lower(spec, weights_of(network))
    shapes = {
        i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in model.graph.input
    }
    assert shapes["features"] == ["voxels0", 2]
    assert shapes["stem"] == ["voxels0", 125]
    assert shapes["children0"] == ["voxels1", 8]
    assert shapes["parents3"] == ["voxels3"]
    assert all(re.fullmatch(r"voxels[0-4]", shape[0]) for shape in shapes.values())
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    assert len(inferred.graph.value_info) > 100


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("encoder.2.0.conv2.weight", None),
        ("encoder.2.0.conv2.weight", (32, 3, 3, 3, 8)),
        ("stem.0.weight", (8, 3, 3, 3, 3)),
        ("up.1.0.weight", (16, 8, 24)),
        ("decoder.0.0.shortcut.0.weight", None),
        ("head.weight", (19, 16)),
    ],
)
def test_weights_of_another_network_are_refused(name, shape):
    spec, network = made_network("small", 0.5)
    weights = weights_of(network)
    del weights[name]
    if shape is not None:
        weights[name] = np.zeros(shape, dtype=np.float32)
    with pytest.raises(BundleError, match=re.escape(name)):
        lower(spec, weights)
