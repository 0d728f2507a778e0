"""``ros2 launch wsss_perception segment.launch.py`` starts the node ``segment``."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(get_package_share_directory("wsss_perception")) / "config"
TOPICS = ("points", "semantic_points")
OVERRIDES = ("model", "engine", "device")


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments, starts the node and, if asked for, RViz."""
    arguments = (
        ("model", "", "folder of a model bundle; as in params_file if empty"),
        ("points", "points", "topic of the clouds to segment"),
        ("semantic_points", "semantic_points", "topic of the segmented clouds"),
        ("engine", "", "inference engine: spconv; as in params_file if empty"),
        ("device", "", "cpu, cuda, cuda:<n> or auto; as in params_file if empty"),
        ("params_file", str(CONFIG / "segment.yaml"), "parameters of the node"),
        ("namespace", "", "namespace of the node and of relative topics"),
        ("use_sim_time", "false", "take the time from /clock, as for a replayed bag"),
        ("rviz", "false", "start RViz, which the package rviz2 brings"),
        ("fixed_frame", "base_link", "RViz: a frame TF can bring the clouds to, or their own"),
        ("log_level", "info", "debug, info, warn or error"),
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in arguments
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Node]:
    """Makes the nodes once the arguments are known; empty ones leave params_file as it is."""
    values = {name: LaunchConfiguration(name).perform(context) for name in OVERRIDES}
    overrides = {
        name: ParameterValue(value, value_type=str) for name, value in values.items() if value
    }
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    common = {
        "namespace": LaunchConfiguration("namespace"),
        "remappings": [(name, LaunchConfiguration(name)) for name in TOPICS],
        "output": "screen",
    }
    segment = Node(
        package="wsss_perception",
        executable="segment",
        name="segment",
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": use_sim_time, **overrides},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        **common,
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=[
            *("-d", str(CONFIG / "rviz" / "segment.rviz")),
            *("-f", LaunchConfiguration("fixed_frame")),
        ],
        parameters=[{"use_sim_time": use_sim_time}],
        condition=IfCondition(LaunchConfiguration("rviz")),
        **common,
    )
    return [segment, rviz]
