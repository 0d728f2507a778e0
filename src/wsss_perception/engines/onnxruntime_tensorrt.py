"""TensorRT through ONNX Runtime, which builds and keeps an engine for this GPU; needs no torch.

Written against the documented options of the provider. It names an engine by the graph's structure,
not by its weights, so that each graph has a folder of its own.
"""

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from wsss_perception.bundle import Bundle
from wsss_perception.engines.cache import only_one, user_cache
from wsss_perception.engines.driver import gpu_name, tensorrt_version
from wsss_perception.engines.graph import write_graph
from wsss_perception.engines.kept_folder import is_whole, keep_folder, make_empty
from wsss_perception.engines.onnxruntime import (
    CPU,
    CUDA,
    OnnxRuntimeEngine,
    ProviderError,
    open_session,
)
from wsss_perception.engines.options import GPUS, Options, parse_device
from wsss_perception.engines.profile import WHY, Shape, input_shapes, profile_of
from wsss_perception.errors import EngineError
from wsss_perception.networks.presets import sizes_of

TENSORRT = "TensorrtExecutionProvider"
_ENGINES = "*.engine"
_PROVIDER = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
_log = logging.getLogger(__name__)


class OnnxRuntimeTensorRTEngine(OnnxRuntimeEngine):
    """An ``OnnxRuntimeEngine`` whose graph was built for a GPU."""

    name = "onnxruntime-tensorrt"


def load(bundle: Bundle, options: Options) -> OnnxRuntimeTensorRTEngine:
    """Loads a bundle's network; where no engine is kept, it is built first, in minutes.

    Raises:
        EngineError: no GPU, or ONNX Runtime or TensorRT refuses the network.
        BundleError: the weights are not the network's.
    """
    kind, number = parse_device(options.device)
    if kind == "cpu":
        raise EngineError(f"engine '{OnnxRuntimeTensorRTEngine.name}' needs a GPU: device {GPUS}")
    if TENSORRT not in onnxruntime.get_available_providers():
        raise EngineError(
            f"engine '{OnnxRuntimeTensorRTEngine.name}' cannot run here: this ONNX Runtime has no "
            "TensorRT; install onnxruntime-gpu in the place of onnxruntime, and TensorRT"
        )
    precision = options.precision_on(is_gpu=True)
    graph = write_graph(bundle, precision)
    profile = profile_of(bundle.spec)
    machine = (onnxruntime.__version__, tensorrt_version(_PROVIDER), gpu_name(number))
    folder = user_cache() / _key(graph, profile, *machine)
    build = _Build(
        graph,
        {
            "device_id": number,
            "trt_fp16_enable": precision == "fp16",
            **_shape_settings(input_shapes(bundle.spec, profile)),
        },
        folder,
        user_cache() / f"{_key(*machine)}-timings",
        options,
    )
    with only_one(folder.with_suffix(".lock"), options.tell):
        session, kept = build.load_or_build()
    kernel = sizes_of(bundle.spec.network).stem_kernel
    engine = OnnxRuntimeTensorRTEngine(
        session, f"cuda:{number}", precision, kernel, profile.most, WHY
    )
    engine.kept = folder if kept else None
    return engine


@dataclass(frozen=True)
class _Build:
    """What one engine is built of, and where it and TensorRT's timings of this GPU are kept."""

    graph: bytes
    settings: dict[str, Any]
    folder: Path
    timings: Path
    options: Options

    def load_or_build(self) -> tuple[Any, bool]:
        """Opens a session -> it, and whether its engine is kept.

        An engine that cannot be loaded is built anew, and lost only once that has worked: the
        reason may be another one, such as that the GPU has no memory left.
        """
        if is_whole(self.folder):
            try:
                return self._open(_engine_in(self.folder)), True
            except ProviderError:  # no engine can be the reason
                raise
            except EngineError as error:
                _log.warning("%s: cannot be loaded here and is built anew: %s", self.folder, error)
        self.options.tell(
            f"engine '{OnnxRuntimeTensorRTEngine.name}': none is kept for this GPU; building one "
            "takes minutes, once"
        )
        return self._build()

    def _build(self) -> tuple[Any, bool]:
        scratch, timings = (self.folder.with_suffix(end) for end in (".new", ".timings"))
        if not (make_empty(scratch) and make_empty(timings)):
            return self._open({}), False
        if is_whole(self.timings):
            shutil.copytree(self.timings, timings, dirs_exist_ok=True)
        where = {"trt_timing_cache_enable": True, "trt_timing_cache_path": str(timings)}
        try:
            session = self._open(_engine_in(scratch) | where)
            keep_folder(timings, self.timings)
            return session, any(scratch.glob(_ENGINES)) and keep_folder(scratch, self.folder)
        finally:
            for left in (scratch, timings):
                shutil.rmtree(left, ignore_errors=True)

    def _open(self, where: dict[str, Any]) -> Any:
        tensorrt = (TENSORRT, {**self.settings, **where})
        cuda = (CUDA, {"device_id": self.settings["device_id"]})
        return open_session(self.graph, [tensorrt, cuda, CPU], self.options.threads)


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _engine_in(folder: Path) -> dict[str, Any]:
    return {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder)}


def _shape_settings(shapes: dict[str, tuple[Shape, Shape, Shape]]) -> dict[str, str]:
    """The sizes to build for, as the provider writes them: ``features:1x4,children0:1x8``."""
    names = ("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes")
    return {
        setting: ",".join(
            f"{name}:{'x'.join(map(str, shape[k]))}" for name, shape in shapes.items()
        )
        for k, setting in enumerate(names)
    }
