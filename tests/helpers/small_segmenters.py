"""Tiny ONNX segmenters: the mean colour of each square of pixels, through one matrix."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper, save

CELL = 4


def write_segmenter(folder: Path, matrix: np.ndarray, **settings: Any) -> Path:
    """Writes a graph and its settings.

    Args:
        folder: to write to.
        matrix: [C, 3], from mean colours as the graph gets them to the output's channels.
        settings: of the YAML file; ``shape`` [N, 3, H, W] and ``type`` are of the graph's input.

    Returns:
        The YAML file.
    """
    folder.mkdir(exist_ok=True)
    shape = settings.pop("shape", ["n", 3, "h", "w"])
    number = settings.pop("type", TensorProto.FLOAT)
    kind = settings.get("output", {}).get("kind", "logits")
    given, wanted = (settings.get(key, {}).get("layout", "nchw") for key in ("input", "output"))
    inner = number if number == TensorProto.FLOAT16 else TensorProto.FLOAT
    dtype = helper.tensor_dtype_to_np_dtype(inner)
    weight = numpy_helper.from_array(matrix.astype(dtype)[:, :, None, None], "weight")
    nodes, last = [], "images"

    def then(operator: str, *more: str, **attributes: Any) -> None:
        nonlocal last
        nodes.append(helper.make_node(operator, [last, *more], [f"x{len(nodes)}"], **attributes))
        last = f"x{len(nodes) - 1}"

    if given == "nhwc":
        then("Transpose", perm=[0, 3, 1, 2])
        shape = [shape[0], shape[2], shape[3], shape[1]]
    if inner != number:
        then("Cast", to=inner)
    then("AveragePool", kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    then("Conv", "weight")
    if kind == "labels":
        then("ArgMax", axis=1, keepdims=1)
    elif wanted == "nhwc":
        then("Transpose", perm=[0, 2, 3, 1])
    result = TensorProto.INT64 if kind == "labels" else inner
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", [last], ["out"])],
        "segmenter",
        [helper.make_tensor_value_info("images", number, shape)],
        [helper.make_tensor_value_info("out", result, None)],
        [weight],
    )
    opset = helper.make_opsetid("", 17)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), folder / "graph.onnx")
    path = folder / "segmenter.yaml"
    path.write_text(yaml.safe_dump({"model": "graph.onnx", **settings}))
    return path
