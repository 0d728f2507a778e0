"""Any segmenter in an ONNX file as a teacher; see ``onnx_settings`` for how it is described."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image

from wsss_perception.errors import ConfigError
from wsss_training.files import digest_files
from wsss_training.teachers.class_maps import one_hot, sigmoid, softmax
from wsss_training.teachers.onnx_settings import OnnxSettings

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_BATCH = 4
_BATCH_BYTES = 256e6
"""Most images at once, and about how much their answers may take: many classes at full size fill
the memory."""

Size = tuple[int, int]


class OnnxSegmenter:
    """Runs a segmenter in ONNX Runtime, on a GPU where there is one.

    Args:
        settings: how it is asked, and what it answers.

    Attributes:
        settings: the same.

    Raises:
        ConfigError: the graph cannot be used, or is not what the settings say.
    """

    def __init__(self, settings: OnnxSettings) -> None:
        self.settings = settings
        self._session = _open(settings.model)
        given = self._session.get_inputs()
        if len(given) != 1 or given[0].type not in _TYPES or len(given[0].shape) != 4:
            shapes = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in given)
            raise ConfigError(
                f"{settings.model}: takes {shapes}; needs one input of 4 dimensions, float or "
                "float16: batch, colours, height and width"
            )
        self._input = given[0]
        names = [entry.name for entry in self._session.get_outputs()]
        self._output = names[0] if settings.output.name is None else settings.output.name
        if self._output not in names:
            raise ConfigError(
                f"{settings.model}: has no output '{self._output}'; it has {', '.join(names)}"
            )
        self._check_size()

    def describe(self) -> dict[str, Any]:
        """What tells it from other teachers: what it is asked, a digest of graph and weights."""
        path = Path(self.settings.model)
        digest = digest_files([path, *_files_of_weights(path)])
        asked = {"input": asdict(self.settings.input), "output": asdict(self.settings.output)}
        return {"graph": f"{path.name}, {digest[:16]}", **asked}

    def input_size(self, size: Size) -> Size:
        """Height and width that an image of (width, height) is resized to."""
        settings = self.settings.input
        if settings.multiple_of is not None:
            step = settings.multiple_of
            return max(round(size[1] / step), 1) * step, max(round(size[0] / step), 1) * step
        fixed = self._fixed_size()
        if settings.size is not None:
            return settings.size[0], settings.size[1]
        return fixed if fixed is not None else (size[1], size[0])

    def outputs(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """Runs images, as many at once as have the same size and the graph allows.

        Args:
            images: RGB [H, W, 3].

        Yields:
            For each image, in their order: [C, h, w]; or label maps [h, w].

        Raises:
            ConfigError: the runtime fails, or the output is of another shape than it should.
        """
        batch: list[NDArray] = []
        most = self._batch() or 1  # until it is known how large an answer is
        for image in images:
            pixels = self._prepare(image)
            if batch and (len(batch) == most or pixels.shape != batch[0].shape):
                for answer in self._run(batch):
                    most = self._batch() or int(np.clip(_BATCH_BYTES / answer.nbytes, 1, _BATCH))
                    yield answer
                batch = []
            batch.append(pixels)
        if batch:
            yield from self._run(batch)

    def probabilities(
        self, images: Iterable[NDArray[np.uint8]], classes: int
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities [C, h, w] of each image; see ``outputs``.

        Raises:
            ConfigError: as for ``outputs``; or the graph has another number of classes.
        """
        output = self.settings.output
        for answer in self.outputs(images):
            if output.kind == "labels":
                yield one_hot(answer, classes)
                continue
            if len(answer) != classes:
                raise ConfigError(
                    f"{self.settings.model}: output '{self._output}' has {len(answer)} channels "
                    f"(layout {output.layout}), the settings name {classes} classes"
                )
            if output.kind == "logits":
                answer = (softmax if output.scores == "softmax" else sigmoid)(answer)
            yield answer

    def output_shape(self, size: Size) -> tuple[int, ...]:
        """Shape of what it gives of an image of (width, height) pixels; by running it once."""
        return self._shape_of(self.input_size(size))

    @lru_cache  # noqa: B019  one segmenter lives as long as the process
    def _shape_of(self, input_size: Size) -> tuple[int, ...]:
        return next(self.outputs([np.zeros((*input_size, 3), np.uint8)])).shape

    def _prepare(self, image: NDArray[np.uint8]) -> NDArray:
        settings = self.settings.input
        height, width = self.input_size((image.shape[1], image.shape[0]))
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        values = np.asarray(resized, dtype=np.float32) / 255
        if settings.colors == "bgr":
            values = values[:, :, ::-1]
        mean, std = (np.array(of, dtype=np.float32) for of in (settings.mean, settings.std))
        values = (values - mean) / std
        values = values.transpose(2, 0, 1) if settings.layout == "nchw" else values
        return values.astype(_TYPES[self._input.type])

    def _run(self, batch: list[NDArray]) -> Iterator[NDArray[np.float32]]:
        fixed = self._batch()
        filled = batch + [batch[-1]] * ((fixed or len(batch)) - len(batch))
        try:
            found = self._session.run([self._output], {self._input.name: np.stack(filled)})[0]
        except Exception as error:  # the runtime's own errors have no common base but this
            shape = list(batch[0].shape)
            raise ConfigError(f"{self.settings.model}: images {shape}: {error}") from error
        output = self.settings.output
        if output.kind == "labels" and found.ndim == 4 and 1 in (found.shape[1], found.shape[3]):
            found = found.squeeze(1 if found.shape[1] == 1 else 3)
        wanted = 3 if output.kind == "labels" else 4
        if found.ndim != wanted or len(found) != len(filled):
            raise ConfigError(
                f"{self.settings.model}: output '{self._output}' is {list(found.shape)} for "
                f"{len(filled)} images; {output.kind} have {wanted} dimensions, the first of images"
            )
        if wanted == 4 and output.layout == "nhwc":
            found = found.transpose(0, 3, 1, 2)
        for answer in found[: len(batch)]:
            yield answer if output.kind == "labels" else answer.astype(np.float32)

    def _batch(self) -> int | None:
        """How many images the graph takes at once, where it says so."""
        count = self._input.shape[0]
        return count if isinstance(count, int) and count > 0 else None

    def _fixed_size(self) -> Size | None:
        """Height and width of what the graph takes, where it says so."""
        shape, layout = self._input.shape, self.settings.input.layout
        height, width = shape[2:4] if layout == "nchw" else shape[1:3]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def _check_size(self) -> None:
        """Raises ConfigError unless graph and settings agree on the size of images."""
        settings, fixed = self.settings.input, self._fixed_size()
        if fixed is None:
            return
        if settings.multiple_of is not None or settings.size not in (None, list(fixed)):
            raise ConfigError(
                f"{self.settings.model}: takes images of {fixed[0]}x{fixed[1]} alone; leave "
                "input.size and input.multiple_of out"
            )


def _files_of_weights(path: Path) -> list[Path]:
    """The files beside a graph that its weights lie in, where they do."""
    graph = onnx.load(path, load_external_data=False).graph
    entries = [entry for weights in graph.initializer for entry in weights.external_data]
    names = {entry.value for entry in entries if entry.key == "location"}
    return [path.parent / name for name in sorted(names)]


def _open(path: str) -> Any:
    gpu = torch.cuda.current_device() if torch.cuda.is_available() else 0
    known = {_CUDA: {"device_id": str(gpu)}, _CPU: {}}
    available = onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(
            path, providers=[each for each in known.items() if each[0] in available]
        )
    except Exception as error:  # see above
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: ONNX Runtime cannot open it: {reason}") from error
