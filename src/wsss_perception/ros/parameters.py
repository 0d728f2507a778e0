"""Parameters of the node ``segment``; ``config/segment.yaml`` lists them with their defaults."""

import os
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from wsss_perception.errors import ConfigError

_PATHS = ("model", "calibration_file")


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is that of its default.

    Attributes:
        name: as in the parameter file.
        default: value where none is given; a tuple stands for an array of strings.
        description: shown by ``ros2 param describe``.
        limits: smallest and largest value; None for a parameter that is not a number.
        choices: the values allowed; empty for any.
        read_only: it cannot change while the node runs.
    """

    name: str
    default: str | float | bool | tuple[str, ...]
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = True


PARAMETERS = (
    Parameter(
        "model",
        "",
        "folder of a model bundle; the package's default model if empty. A change takes effect "
        "when the service ~/load_model is called",
        read_only=False,
    ),
    Parameter(
        "engine",
        "auto",
        "inference engine; auto takes the first that works here of tensorrt, "
        "onnxruntime-tensorrt, spconv, onnxruntime",
        choices=("auto", "tensorrt", "onnxruntime-tensorrt", "spconv", "onnxruntime"),
    ),
    Parameter("device", "auto", "cpu, cuda, cuda:<n>, or auto: CUDA where there is one"),
    Parameter(
        "precision",
        "auto",
        "in which the network computes; auto: fp16 on a GPU, fp32 on a CPU",
        choices=("auto", "fp32", "fp16"),
    ),
    Parameter(
        "build_only",
        False,
        "build the engine for this GPU, say where it lies, and end",
    ),
    Parameter(
        "autostart",
        True,
        "configure and activate at the start; false: wait for a lifecycle manager",
    ),
    Parameter(
        "reliability",
        "reliable",
        "of what is published: reliable, or best_effort to never wait for a slow subscriber",
        choices=("reliable", "best_effort"),
    ),
    Parameter(
        "image_topics",
        (),
        "image topic of each camera; one that ends in 'compressed' is a CompressedImage. Its "
        "camera_info is beside it",
    ),
    Parameter(
        "calibration_file",
        "",
        "cameras and where they are on the LiDAR; those it does not name are placed by TF",
    ),
    Parameter(
        "fixed_frame",
        "",
        "TF frame that does not move, such as odom: accounts for motion between cloud and image, "
        "with a calibration file too",
    ),
    Parameter(
        "motion_compensation",
        False,
        "move points that carry times to where they are at the cloud's stamp, by fixed_frame, "
        "before they are labelled; the clouds published keep the points as they came",
    ),
    Parameter(
        "camera_tolerance",
        0.05,
        "farthest an image's stamp may be from the cloud's, seconds",
        limits=(0.0, 10.0),
    ),
    Parameter(
        "camera_wait",
        0.05,
        "longest a cloud waits for images, seconds, only where the model takes images; and "
        "longest an overlay waits for a nearer image once its cloud is published",
        limits=(0.0, 10.0),
    ),
    Parameter(
        "min_confidence",
        0.0,
        "labels with less confidence become 255 (unknown)",
        limits=(0.0, 1.0),
        read_only=False,
    ),
    Parameter(
        "intensity_scale",
        1.0,
        "factor that brings the sensor's intensities to 0..1, such as 0.00392 for 0..255",
        limits=(1e-6, 1e3),
        read_only=False,
    ),
    Parameter(
        "filter_classes",
        (),
        "classes that filtered_points is about; if empty it has no points, or with filter_keeps "
        "false all",
        read_only=False,
    ),
    Parameter(
        "filter_keeps",
        True,
        "filtered_points has the points of filter_classes; false: all other points",
        read_only=False,
    ),
    Parameter(
        "ground_classes",
        (),
        "classes of ground_points; those the model's ontology calls ground if empty",
        read_only=False,
    ),
    Parameter(
        "query",
        "",
        "phrase that query_points compares every point to, for models that answer phrases; one "
        "that is not the model's own needs open_clip. Empty: none",
        read_only=False,
    ),
    Parameter(
        "text_model",
        "",
        "open_clip model that encodes phrases, and its weights: 'ViT-B-32 laion2b_s34b_b79k'; the "
        "one that the bundle's teacher names if empty",
    ),
    Parameter(
        "min_rate",
        0.0,
        "diagnostics warn below so many semantic clouds a second; 0: never",
        limits=(0.0, 1e3),
        read_only=False,
    ),
    Parameter(
        "max_latency",
        0.0,
        "diagnostics warn of clouds that take longer, arrival to publication, seconds; 0: never",
        limits=(0.0, 1e3),
        read_only=False,
    ),
    Parameter(
        "max_drop_share",
        0.5,
        "diagnostics warn where a larger share of the clouds is dropped or lost",
        limits=(0.0, 1.0),
        read_only=False,
    ),
)


def declare_parameters(node: Node) -> None:
    """Declares all parameters.

    Raises:
        ConfigError: a value given has the wrong type, or is out of range.
    """
    for parameter in PARAMETERS:
        try:
            value = node.declare_parameter(
                parameter.name, _default(parameter), _descriptor(parameter)
            ).value
        except InvalidParameterTypeException as error:
            raise ConfigError(
                f"parameter '{parameter.name}': {error}; write a DOUBLE with its point (1.0), "
                "a STRING that looks like a number in quotes"
            ) from error
        except InvalidParameterValueException as error:
            raise ConfigError(
                f"parameter '{parameter.name}': {error}; allowed: {parameter.limits}"
            ) from error
        if parameter.choices and value not in parameter.choices:
            raise ConfigError(
                f"parameter '{parameter.name}': '{value}' is not one of "
                f"{', '.join(parameter.choices)}"
            )


def read_parameter(node: Node, name: str) -> Any:
    """Returns a parameter's value: str, float, bool, or a tuple of strings, none of them empty.

    A ``~`` at the begin of a path is the user's home.
    """
    value = node.get_parameter_or(name).value
    if name in _PATHS:
        return os.path.expanduser(value)
    if value is None:  # [] in a parameter file: it has no type, so ROS leaves the parameter unset
        return ()
    return tuple(filter(None, value)) if isinstance(value, list) else value


def describe_parameters() -> str:
    """Lists the parameters for the command's help."""
    lines = []
    for parameter in PARAMETERS:
        change = "" if parameter.read_only else "; can change while the node runs"
        lines.append(f"  {parameter.name} ({_default(parameter)!r})")
        lines.append(f"      {parameter.description}{change}")
    return "\n".join(lines)


def _default(parameter: Parameter) -> Any:
    """Returns the default as rclpy takes it: an empty list would be one of bytes."""
    if isinstance(parameter.default, tuple):
        return list(parameter.default) or [""]
    return parameter.default


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    ranges: list[Any] = []
    if parameter.limits is not None:
        low, high = parameter.limits
        ranges.append(FloatingPointRange(from_value=low, to_value=high, step=0.0))
    return ParameterDescriptor(
        description=parameter.description,
        read_only=parameter.read_only,
        floating_point_range=ranges,
    )
