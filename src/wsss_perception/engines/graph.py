"""A bundle's network as the content of an ONNX file, for the engines that read one."""

from safetensors.numpy import load_file

from wsss_perception.bundle import Bundle
from wsss_perception.lowering import lower


def write_graph(bundle: Bundle, precision: str) -> bytes:
    """Writes the network with its weights.

    Args:
        bundle: the model.
        precision: ``fp32`` or ``fp16``, in which the graph computes.

    Raises:
        BundleError: the weights are not the network's.
    """
    return lower(bundle.spec, load_file(bundle.weights), precision).SerializeToString()
