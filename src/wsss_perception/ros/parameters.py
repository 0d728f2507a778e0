"""Parameters of the node ``segment``; ``config/segment.yaml`` lists them with their defaults."""

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from wsss_perception.errors import ConfigError


@dataclass(frozen=True)
class Parameter:
    """One parameter; its type is that of its default.

    Attributes:
        name: as in the parameter file.
        default: value where none is given.
        description: shown by ``ros2 param describe``.
        limits: smallest and largest value; None for a parameter that is not a number.
        choices: the values allowed; empty for any.
        read_only: it cannot change while the node runs.
    """

    name: str
    default: str | float
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = True


PARAMETERS = (
    Parameter("model", "", "folder of a model bundle; the package's default model if empty"),
    Parameter("engine", "spconv", "inference engine: spconv"),
    Parameter("device", "auto", "cpu, cuda, cuda:<n>, or auto: CUDA where there is one"),
    Parameter(
        "reliability",
        "reliable",
        "of semantic_points: reliable, or best_effort to never wait for a slow subscriber",
        choices=("reliable", "best_effort"),
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
)


def declare_parameters(node: Node) -> None:
    """Declares all parameters.

    Raises:
        ConfigError: a value given has the wrong type, or is out of range.
    """
    for parameter in PARAMETERS:
        try:
            value = node.declare_parameter(
                parameter.name, parameter.default, _descriptor(parameter)
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


def describe_parameters() -> str:
    """Lists the parameters for the command's help."""
    lines = []
    for parameter in PARAMETERS:
        change = "" if parameter.read_only else "; can change while the node runs"
        lines.append(f"  {parameter.name} ({parameter.default!r})")
        lines.append(f"      {parameter.description}{change}")
    return "\n".join(lines)


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
