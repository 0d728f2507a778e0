"""The sparse U-Net as a graph of plain ONNX operators over index tables; numpy and onnx alone.

A convolution gathers the rows that its table names, lays them side by side and multiplies them by
one matrix. Batch normalisation is folded into the weights. The types of the graph are those it is
to be computed in, so that a strongly typed engine needs no precision flags.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import BundleError
from wsss_perception.networks.presets import sizes_of
from wsss_perception.tables import table_shapes

OPSET = 17
PRECISIONS = {"fp32": np.float32, "fp16": np.float16}
FEATURES, LOGITS = "features", "logits"
_EPSILON = 1e-5  # of torch's BatchNorm1d

Weights = Mapping[str, NDArray]


def lower(spec: ModelSpec, weights: Weights, precision: str = "fp32") -> onnx.ModelProto:
    """Writes a network as an ONNX model.

    Inputs are ``features`` float32 [voxels0, F] and the index tables, int32, with the names and
    shapes of ``table_shapes``. Output is ``logits`` float32 [voxels0, C].

    Args:
        spec: the model's description.
        weights: of the network by name, as in the bundle.
        precision: ``fp32`` or ``fp16``, in which the graph computes.

    Raises:
        BundleError: the weights are not the network's.
    """
    sizes = sizes_of(spec.network)
    graph = _Graph(weights, PRECISIONS[precision])
    stem_table = "neighbors0" if sizes.stem_kernel == 3 else "stem"
    x = graph.cast(FEATURES, PRECISIONS[precision])
    x = graph.relu(graph.convolution(x, stem_table, "stem.0", "stem.1.norm"))
    skips = []
    for level in range(4):
        skips.append(x)
        x = graph.relu(
            graph.convolution(x, f"children{level}", f"down.{level}.0", f"down.{level}.1.norm")
        )
        x = _blocks(graph, x, f"encoder.{level}", sizes.blocks[level], f"neighbors{level + 1}")
    for step in range(4):
        level = 3 - step
        x = graph.relu(graph.inverse(x, f"parents{level}", f"up.{step}.0", f"up.{step}.1.norm"))
        x = graph.add("Concat", [x, skips.pop()], axis=1)
        x = _blocks(graph, x, f"decoder.{step}", sizes.blocks[4 + step], f"neighbors{level}")
    x = graph.linear(x, graph.weight("head.weight").T, graph.weight("head.bias"))
    graph.cast(x, np.float32, LOGITS)
    return _model(graph, spec, sizes.stem_kernel)


def _blocks(graph: "_Graph", x: str, name: str, count: int, table: str) -> str:
    """Residual blocks: ``relu(F(x) + shortcut(x))``."""
    for number in range(count):
        block = f"{name}.{number}"
        y = graph.relu(graph.convolution(x, table, f"{block}.conv1", f"{block}.norm1"))
        y = graph.convolution(y, table, f"{block}.conv2", f"{block}.norm2")
        shortcut = x
        if f"{block}.shortcut.0.weight" in graph.weights:
            scale, shift = graph.norm(f"{block}.shortcut.1")
            matrix = graph.weight(f"{block}.shortcut.0.weight").T * scale
            shortcut = graph.linear(x, matrix, shift)
        x = graph.relu(graph.add("Add", [y, shortcut]))
    return x


@dataclass
class _Graph:
    """Collects nodes and constants; every method returns the name of what it computes.

    Attributes:
        weights: of the network.
        type: in which the graph computes.
        nodes: so far, in order.
        constants: so far.
    """

    weights: Weights
    type: type
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def weight(self, name: str) -> NDArray[np.float64]:
        """Reads a weight.

        Raises:
            BundleError: there is none of this name.
        """
        if name not in self.weights:
            raise BundleError(f"weights: no '{name}', which the network of model.yaml has")
        return np.asarray(self.weights[name], dtype=np.float64)

    def norm(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale and shift [C] that a batch normalisation amounts to."""
        deviation = np.sqrt(self.weight(f"{name}.running_var") + _EPSILON)
        scale = self.weight(f"{name}.weight") / deviation
        return scale, self.weight(f"{name}.bias") - self.weight(f"{name}.running_mean") * scale

    def convolution(self, x: str, table: str, name: str, norm: str) -> str:
        """A convolution over a table [V, K] with the normalisation that follows it."""
        kernel = self.weight(f"{name}.weight")  # [outputs, k, k, k, inputs]
        scale, shift = self.norm(norm)
        matrix = kernel.reshape(len(kernel), -1).T * scale
        zero = self.constant(f"zero{kernel.shape[-1]}", np.zeros((1, kernel.shape[-1])))
        rows = self.add("Gather", [self.add("Concat", [x, zero], axis=0), table], axis=0)
        return self.linear(self._reshape(rows, len(matrix)), matrix, shift)

    def inverse(self, x: str, table: str, name: str, norm: str) -> str:
        """The inverse of a convolution of stride 2: every voxel takes a part of its parent."""
        kernel = self.weight(f"{name}.weight")
        scale, shift = self.norm(norm)
        outputs, inputs = len(kernel), kernel.shape[-1]
        parts = kernel.reshape(outputs, 8, inputs) * scale[:, None, None]
        matrix = parts.transpose(2, 1, 0).reshape(inputs, 8 * outputs)
        children = self._reshape(self.linear(x, matrix, np.tile(shift, 8)), outputs)
        return self.add("Gather", [children, table], axis=0)

    def linear(self, x: str, matrix: NDArray, shift: NDArray) -> str:
        """``x @ matrix + shift``."""
        product = self.add("MatMul", [x, self.constant(f"matrix{len(self.nodes)}", matrix)])
        return self.add("Add", [product, self.constant(f"shift{len(self.nodes)}", shift)])

    def relu(self, x: str) -> str:
        """The positive part."""
        return self.add("Relu", [x])

    def cast(self, x: str, kind: type, output: str | None = None) -> str:
        """Converts to a type."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return self.add("Cast", [x], output, to=to)

    def add(self, operator: str, inputs: list[str], output: str | None = None, **how: int) -> str:
        """Adds a node."""
        name = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **how))
        return name

    def constant(self, name: str, value: NDArray, kind: type | None = None) -> str:
        """Adds a constant, once a name."""
        array = np.ascontiguousarray(value, dtype=kind or self.type)
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def _reshape(self, x: str, columns: int) -> str:
        shape = self.constant(f"rows_of_{columns}", np.array([-1, columns]), np.int64)
        return self.add("Reshape", [x, shape])


def _model(graph: _Graph, spec: ModelSpec, stem_kernel: int) -> onnx.ModelProto:
    voxels, classes = "voxels0", len(spec.ontology)
    features = [voxels, len(spec.features)]
    inputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, features)]
    for name, (level, columns) in table_shapes(stem_kernel).items():
        shape: list[str | int] = [f"voxels{level}", *([columns] if columns else [])]
        inputs.append(helper.make_tensor_value_info(name, TensorProto.INT32, shape))
    output = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [voxels, classes])
    body = helper.make_graph(
        graph.nodes, "sparse_unet", inputs, [output], list(graph.constants.values())
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="wsss_perception"
    )
    model.ir_version = 8  # of opset 17: older runtimes refuse a newer one
    onnx.checker.check_model(model)
    return model
