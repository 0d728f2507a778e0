"""The sparse U-Net as a graph of plain ONNX operators over index tables; numpy and onnx alone.

A convolution gathers the rows that its table names, lays them side by side and multiplies them by
one matrix. Batch normalisation is folded into the weights. The types of the graph are those it is
to be computed in, so that a strongly typed engine needs no precision flags.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wsss_perception.bundle import ModelSpec
from wsss_perception.errors import BundleError
from wsss_perception.networks.presets import sizes_of
from wsss_perception.tables import table_shapes

OPSET = 17
PRECISIONS: dict[str, type[np.floating]] = {"fp32": np.float32, "fp16": np.float16}
FEATURES, LOGITS = "features", "logits"
_EPSILON = 1e-5  # of torch's BatchNorm1d

Weights = Mapping[str, NDArray]


def lower(spec: ModelSpec, weights: Weights, precision: str = "fp32") -> onnx.ModelProto:
    """Writes a network as an ONNX model.

    Inputs are ``features`` float32 [voxels0, F] and the index tables, int32, with the names and
    shapes of ``table_shapes``. Output is ``logits`` float32 [voxels0, C],
    of a model with an embedding its values instead of the classes' logits.

    Args:
        spec: the model's description.
        weights: of the network by name, as in the bundle.
        precision: ``fp32`` or ``fp16``, in which the graph computes.

    Raises:
        BundleError: the weights are not the network's.
    """
    sizes, kind = sizes_of(spec.network), PRECISIONS[precision]
    graph = _Graph(weights, kind)
    stem_table = "neighbors0" if sizes.stem_kernel == 3 else "stem"
    stem = graph.kernel("stem.0", sizes.stem, len(spec.features))
    x = graph.relu(graph.convolution(graph.cast(FEATURES, kind), stem_table, stem, "stem.1.norm"))
    skips = [(x, sizes.stem)]
    for level in range(4):
        channels, outputs = skips[-1][1], sizes.planes[level]
        kernel = graph.kernel(f"down.{level}.0", channels, channels)
        x = graph.convolution(x, f"children{level}", kernel, f"down.{level}.1.norm")
        table, name = f"neighbors{level + 1}", f"encoder.{level}"
        x = _blocks(graph, graph.relu(x), name, sizes.blocks[level], table, (channels, outputs))
        skips.append((x, outputs))
    x, channels = skips.pop()
    for step in range(4):
        level, outputs = 3 - step, sizes.planes[4 + step]
        kernel = graph.kernel(f"up.{step}.0", outputs, channels)
        x = graph.relu(graph.inverse(x, f"parents{level}", kernel, f"up.{step}.1.norm"))
        skip, joined = skips.pop()
        x = graph.add("Concat", [x, skip], axis=1)
        table, name, shape = f"neighbors{level}", f"decoder.{step}", (outputs + joined, outputs)
        x = _blocks(graph, x, name, sizes.blocks[4 + step], table, shape)
        channels = outputs
    head = graph.weight("head.weight", (spec.outputs, channels))
    graph.cast(graph.linear(x, head.T, graph.weight("head.bias")), np.float32, LOGITS)
    return _model(graph, spec, sizes.stem_kernel)


def _blocks(
    graph: "_Graph", x: str, name: str, count: int, table: str, channels: tuple[int, int]
) -> str:
    """Residual blocks: ``relu(F(x) + shortcut(x))``, of inputs and outputs ``channels``."""
    inputs, outputs = channels
    for number in range(count):
        block = f"{name}.{number}"
        kernel = graph.kernel(f"{block}.conv1", outputs, inputs)
        y = graph.relu(graph.convolution(x, table, kernel, f"{block}.norm1"))
        kernel = graph.kernel(f"{block}.conv2", outputs, outputs)
        y = graph.convolution(y, table, kernel, f"{block}.norm2")
        shortcut = x
        if inputs != outputs:
            scale, shift = graph.norm(f"{block}.shortcut.1")
            matrix = graph.weight(f"{block}.shortcut.0.weight", (outputs, inputs)).T * scale
            shortcut = graph.linear(x, matrix, shift)
        x, inputs = graph.relu(graph.add("Add", [y, shortcut])), outputs
    return x


@dataclass
class _Graph:
    """Collects nodes and constants; every method returns the name of what it computes.

    Attributes:
        weights: of the network.
        dtype: in which the graph computes.
        nodes: so far, in order.
        constants: so far.
    """

    weights: Weights
    dtype: type[np.floating]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def weight(self, name: str, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
        """Reads a weight.

        Raises:
            BundleError: there is none of this name, or of another shape.
        """
        found = self.weights.get(name)
        if found is None or (shape is not None and found.shape != shape):
            has = "no" if found is None else f"{list(found.shape)} for"
            raise BundleError(f"not the weights of model.yaml's network: {has} '{name}'")
        return np.asarray(found, dtype=np.float64)

    def kernel(self, name: str, outputs: int, inputs: int) -> NDArray[np.float64]:
        """Reads a convolution's weights [outputs, positions, inputs]."""
        kernel = self.weight(f"{name}.weight")
        if kernel.ndim != 5 or (len(kernel), kernel.shape[-1]) != (outputs, inputs):
            self.weight(f"{name}.weight", (outputs, *kernel.shape[1:-1], inputs))
        return kernel.reshape(outputs, -1, inputs)

    def norm(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale and shift [C] that a batch normalisation amounts to."""
        deviation = np.sqrt(self.weight(f"{name}.running_var") + _EPSILON)
        scale = self.weight(f"{name}.weight") / deviation
        return scale, self.weight(f"{name}.bias") - self.weight(f"{name}.running_mean") * scale

    def convolution(self, x: str, table: str, kernel: NDArray[np.float64], norm: str) -> str:
        """A convolution over a table [V, K] with the normalisation that follows it."""
        scale, shift = self.norm(norm)
        outputs, _, inputs = kernel.shape
        matrix = kernel.reshape(outputs, -1).T * scale
        zero = self.constant(f"zero{inputs}", np.zeros((1, inputs)))
        rows = self.add("Gather", [self.add("Concat", [x, zero], axis=0), table], axis=0)
        return self.linear(self._reshape(rows, len(matrix)), matrix, shift)

    def inverse(self, x: str, table: str, kernel: NDArray[np.float64], norm: str) -> str:
        """The inverse of a convolution of stride 2: every voxel takes a part of its parent."""
        scale, shift = self.norm(norm)
        outputs, places, inputs = kernel.shape
        parts = kernel * scale[:, None, None]
        matrix = parts.transpose(2, 1, 0).reshape(inputs, places * outputs)
        children = self._reshape(self.linear(x, matrix, np.tile(shift, places)), outputs)
        return self.add("Gather", [children, table], axis=0)

    def linear(self, x: str, matrix: NDArray, shift: NDArray) -> str:
        """``x @ matrix + shift``."""
        product = self.add("MatMul", [x, self.constant(f"matrix{len(self.nodes)}", matrix)])
        return self.add("Add", [product, self.constant(f"shift{len(self.nodes)}", shift)])

    def relu(self, x: str) -> str:
        """The positive part."""
        return self.add("Relu", [x])

    def cast(self, x: str, kind: type[np.floating], output: str | None = None) -> str:
        """Converts to a type."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return self.add("Cast", [x], output, to=to)

    def add(self, operator: str, inputs: list[str], output: str | None = None, **how: Any) -> str:
        """Adds a node."""
        name = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **how))
        return name

    def constant(self, name: str, value: NDArray, kind: type[np.generic] | None = None) -> str:
        """Adds a constant, once a name."""
        array: NDArray = np.ascontiguousarray(value, dtype=kind or self.dtype)
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def _reshape(self, x: str, columns: int) -> str:
        shape = self.constant(f"rows_of_{columns}", np.array([-1, columns]), np.int64)
        return self.add("Reshape", [x, shape])


def _model(graph: _Graph, spec: ModelSpec, stem_kernel: int) -> onnx.ModelProto:
    voxels = "voxels0"
    features: list[str | int | None] = [voxels, len(spec.features)]
    inputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, features)]
    for name, (level, columns) in table_shapes(stem_kernel).items():
        shape: list[str | int | None] = [f"voxels{level}", *([columns] if columns else [])]
        inputs.append(helper.make_tensor_value_info(name, TensorProto.INT32, shape))
    output = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [voxels, spec.outputs])
    body = helper.make_graph(
        graph.nodes, "sparse_unet", inputs, [output], list(graph.constants.values())
    )
    model = helper.make_model(
        body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="wsss_perception"
    )
    model.ir_version = 8  # of opset 17: older runtimes refuse a newer one
    onnx.checker.check_model(model)
    return model
