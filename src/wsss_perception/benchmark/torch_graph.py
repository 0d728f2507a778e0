"""Computes the graph that ``lowering`` writes operator by operator in torch, on CPU or CUDA."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from wsss_perception.errors import EngineError

Operator = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class _Step:
    """One node: what it computes, of what, and which values nobody needs after it."""

    operator: Operator
    inputs: tuple[str, ...]
    output: str
    done_with: tuple[str, ...]


class TorchGraph:
    """A loaded graph.

    Args:
        model: of the operators Add, Cast, Concat, Gather, MatMul, Relu and Reshape.
        device: where it runs.

    Raises:
        EngineError: the graph has an operator, or a use of one, that is not known here.
    """

    def __init__(self, model: onnx.ModelProto, device: torch.device) -> None:
        graph = model.graph
        self._constants = {
            value.name: torch.from_numpy(numpy_helper.to_array(value).copy()).to(device)
            for value in graph.initializer
        }
        self._outputs = tuple(output.name for output in graph.output)
        last = {name: number for number, node in enumerate(graph.node) for name in node.input}
        kept = {*self._constants, *self._outputs}
        self._steps = []
        for number, node in enumerate(graph.node):
            ended = {name for name in node.input if last[name] == number} - kept
            step = _Step(_operator(node), tuple(node.input), node.output[0], tuple(ended))
            self._steps.append(step)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Computes the outputs of the graph from its inputs, tensors on its device."""
        values = {**self._constants, **inputs}
        for step in self._steps:
            values[step.output] = step.operator(*(values[name] for name in step.inputs))
            for name in step.done_with:
                del values[name]
        return tuple(values[name] for name in self._outputs)


def now(device: torch.device) -> float:
    """The time, in seconds, when a device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _operator(node: onnx.NodeProto) -> Operator:
    how = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Cast":
        kind = torch.from_numpy(np.empty(0, helper.tensor_dtype_to_np_dtype(how["to"]))).dtype
        return lambda x: x.to(kind)
    if node.op_type == "Concat":
        return lambda *parts: torch.cat(parts, dim=how["axis"])
    if node.op_type == "Gather" and not how.get("axis", 0):
        return _gather
    if node.op_type in _PLAIN:
        return _PLAIN[node.op_type]
    raise EngineError(f"node '{node.name}': torch_graph does not know this {node.op_type}")


def _gather(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    rows = x.index_select(0, index.reshape(-1))
    return rows.reshape(*index.shape, *x.shape[1:])


_PLAIN: dict[str, Operator] = {
    "Add": torch.add,
    "MatMul": torch.matmul,
    "Relu": torch.relu,
    "Reshape": lambda x, shape: x.reshape(shape.tolist()),
}
