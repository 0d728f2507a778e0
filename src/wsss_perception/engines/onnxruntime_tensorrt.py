"""TensorRT through ONNX Runtime, which builds and keeps an engine for this GPU; needs no torch.

Written against the documented options of the provider. It names an engine by the graph's structure,
not by its weights, so that each graph has a folder of its own.
"""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import onnxruntime

from wsss_perception.bundle import Bundle
from wsss_perception.engines.cache import only_one, user_cache
from wsss_perception.engines.graph import write_graph
from wsss_perception.engines.onnxruntime import CPU, CUDA, OnnxRuntimeEngine, open_session
from wsss_perception.engines.options import GPUS, Options, parse_device
from wsss_perception.engines.profile import WHY, Shape, input_shapes, profile_of
from wsss_perception.errors import EngineError
from wsss_perception.networks.presets import sizes_of

TENSORRT = "TensorrtExecutionProvider"
_ENGINES = "*.engine"
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
    key = hashlib.sha256(repr((onnxruntime.__version__, profile)).encode() + graph).hexdigest()[:32]
    folder = user_cache() / key
    settings = {
        "device_id": number,
        "trt_fp16_enable": precision == "fp16",
        **_shape_settings(input_shapes(bundle.spec, profile)),
    }
    with only_one(folder.with_suffix(".lock"), options.tell):
        session = _open(graph, settings, folder, options)
    kernel = sizes_of(bundle.spec.network).stem_kernel
    engine = OnnxRuntimeTensorRTEngine(
        session, f"cuda:{number}", precision, kernel, profile.most, WHY
    )
    engine.kept = folder if any(folder.glob(_ENGINES)) else None
    return engine


def _open(graph: bytes, settings: dict[str, Any], folder: Path, options: Options) -> Any:
    """Opens a session with the engine in a folder; one that cannot be loaded is built anew."""

    def open_or_build() -> Any:
        tensorrt = (TENSORRT, {**settings, **_cache_settings(folder)})
        cuda = (CUDA, {"device_id": settings["device_id"]})
        return open_session(graph, [tensorrt, cuda, CPU], options.threads)

    if any(folder.glob(_ENGINES)):
        try:
            return open_or_build()
        except EngineError as error:
            _log.warning("%s: cannot be loaded here and is built anew: %s", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    options.tell(
        f"engine '{OnnxRuntimeTensorRTEngine.name}': none is kept for this GPU; building one takes "
        "minutes, once"
    )
    return open_or_build()


def _cache_settings(folder: Path) -> dict[str, Any]:
    """Where the engine and the timings go; nothing where the folder cannot be made."""
    timings = folder.parent / f"onnxruntime-{onnxruntime.__version__}"
    try:
        for each in (folder, timings):
            each.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.warning("%s: no engine can be kept, so each start builds one: %s", folder, error)
        return {}
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(timings),
    }


def _shape_settings(shapes: dict[str, tuple[Shape, Shape, Shape]]) -> dict[str, str]:
    """The sizes to build for, as the provider writes them: ``features:1x4,children0:1x8``."""
    names = ("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes")
    return {
        setting: ",".join(
            f"{name}:{'x'.join(map(str, shape[k]))}" for name, shape in shapes.items()
        )
        for k, setting in enumerate(names)
    }
