import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from made_networks import made_voxels, write_random
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from wsss_perception.benchmark.torch_graph import TorchGraph
from wsss_perception.errors import EngineError
from wsss_perception.lowering import FEATURES, LOGITS, lower
from wsss_perception.networks.presets import sizes_of
from wsss_perception.tables import build_tables

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-2)])
def test_the_graph_gives_the_logits_of_onnx_runtime(tmp_path, precision, tolerance):
    bundle, _ = write_random(tmp_path / "bundle")
    model = lower(bundle.spec, load_file(bundle.weights), precision)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    graph, kernel = TorchGraph(model, CPU), sizes_of(bundle.spec.network).stem_kernel
    for seed in range(3):
        coords, features = made_voxels(seed, extent=8)
        inputs = {FEATURES: features, **build_tables(coords, kernel).named(kernel)}
        (expected,) = session.run([LOGITS], inputs)
        (found,) = graph({name: torch.from_numpy(value) for name, value in inputs.items()})
        assert found.dtype == torch.float32
        spread = np.abs(expected).max()
        np.testing.assert_allclose(found.numpy(), expected, atol=tolerance * spread)


def small_graph(*nodes):
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [None])
    entry = helper.make_tensor_value_info("in", TensorProto.FLOAT, [None])
    return helper.make_model(helper.make_graph(list(nodes), "small", [entry], [output]))


def test_a_value_is_kept_until_the_last_node_that_takes_it():
    graph = small_graph(
        helper.make_node("Relu", ["in"], ["a"]),
        helper.make_node("Add", ["a", "in"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["out"]),
    )
    (found,) = TorchGraph(graph, CPU)({"in": torch.tensor([-1.0, 2.0])})
    assert found.tolist() == [-1.0, 6.0]


def test_a_value_is_given_up_when_nobody_takes_it_any_more(monkeypatch):
    """What a convolution gathers is most of the memory that a network needs."""
    alive, most = set(), []

    class Counted:
        def __init__(self):
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self):
            alive.discard(id(self))

    monkeypatch.setitem(TorchGraph.__init__.__globals__["_PLAIN"], "Relu", lambda x: Counted())
    chain = [helper.make_node("Relu", [f"v{k}" if k else "in"], [f"v{k + 1}"]) for k in range(20)]
    chain.append(helper.make_node("Relu", ["v20"], ["out"]))
    TorchGraph(small_graph(*chain), CPU)({"in": torch.zeros(1)})
    assert max(most) <= 2


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Softmax", ["in"], ["out"], name="this one"),
        helper.make_node("Gather", ["in", "in"], ["out"], name="this one", axis=1),
    ],
)
def test_what_the_lowering_does_not_write_is_refused(node):
    with pytest.raises(EngineError, match="'this one': torch_graph does not know"):
        TorchGraph(small_graph(node), CPU)


def test_the_graph_of_every_network_is_known(tmp_path):
    bundle, _ = write_random(tmp_path / "bundle")
    model = lower(bundle.spec, load_file(bundle.weights))
    onnx.checker.check_model(model)
    assert {node.op_type for node in model.graph.node} == {
        *("Add", "Cast", "Concat", "Gather", "MatMul", "Relu", "Reshape")
    }
