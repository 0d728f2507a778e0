"""``ros2 launch wsss_perception segment.launch.py`` starts the node ``segment``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.conditions import evaluate_condition_expression
from launch.events.process import ProcessExited
from launch.substitutions import FindExecutable, LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.ros_adapters import get_ros_node
from launch_ros.substitutions import ExecutableInPackage
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

CONFIG = Path(get_package_share_directory("wsss_perception")) / "config"
POLL_PERIOD = 0.5  # seconds between two questions for the node's state
TOPICS = ("points", "semantic_points")
OVERRIDES = ("model", "engine", "device", "precision", "calibration_file")
ARGUMENTS = (
    ("model", "", "folder of a model bundle; as in params_file if empty"),
    ("points", "points", "topic of the clouds to segment"),
    ("semantic_points", "semantic_points", "topic of the segmented clouds"),
    ("image_topics", "", "each camera's images, by commas; as in params_file if empty"),
    ("calibration_file", "", "the cameras, without TF; as in params_file if empty"),
    (
        "engine",
        "",
        "auto, tensorrt, onnxruntime-tensorrt, spconv or onnxruntime; as in params_file if empty",
    ),
    ("device", "", "cpu, cuda, cuda:<n> or auto; as in params_file if empty"),
    ("precision", "", "auto, fp32 or fp16; as in params_file if empty"),
    ("build_only", "false", "build the engine for this GPU, say where it lies, and end"),
    ("params_file", str(CONFIG / "segment.yaml"), "parameters of the node"),
    ("namespace", "", "namespace of the node and of relative topics"),
    ("use_sim_time", "false", "take the time from /clock, which a bag then gives"),
    ("bag", "", "rosbag2 to play as soon as the node is active; none if empty"),
    ("rate", "1.0", "seconds of the bag to play in a second"),
    ("loop", "false", "begin the bag anew at its end"),
    ("rviz", "false", "start RViz, which the package rviz2 brings"),
    ("rviz_config", str(CONFIG / "rviz" / "segment.rviz"), "RViz: the layout"),
    ("fixed_frame", "base_link", "RViz: a frame TF can bring the clouds to, or their own"),
    ("overlay", "overlay/camera", "RViz: overlay/<camera> to show in segment.rviz"),
    ("log_level", "info", "debug, info, warn or error"),
)


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments, starts the node and, if asked for, a bag and RViz."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Action]:
    """Makes the processes once the arguments are known."""
    values = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    use_sim_time = {"use_sim_time": is_true(values["use_sim_time"])}
    remappings = [(name, values[name]) for name in TOPICS]
    segment = {
        "package": "wsss_perception",
        "executable": "segment",
        "name": "segment",
        "namespace": values["namespace"],
        "parameters": [values["params_file"], {**use_sim_time, **overrides(values)}],
        "remappings": remappings,
        "ros_arguments": ["--log-level", values["log_level"]],
        "output": "screen",
        "sigterm_timeout": "20",  # seconds to finish the cloud in work, and to unload torch
    }
    if is_true(values["build_only"]):
        return [Node(**segment)]  # it ends, and the launch with it
    nodes = replay(segment, player(values)) if values["bag"] else [Node(**segment)]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=values["namespace"],
        arguments=["-d", values["rviz_config"], "-f", values["fixed_frame"]],
        parameters=[use_sim_time],
        remappings=[*remappings, ("overlay/camera", values["overlay"])],
        output="screen",
    )
    return [*nodes, rviz] if is_true(values["rviz"]) else nodes


def overrides(values: dict[str, str]) -> dict[str, Any]:
    """Returns the node's parameters that arguments give; empty ones leave params_file as it is."""
    given: dict[str, Any] = {
        name: ParameterValue(values[name], value_type=str) for name in OVERRIDES if values[name]
    }
    if is_true(values["build_only"]):
        given["build_only"] = True
    if values["image_topics"]:
        given["image_topics"] = [topic.strip() for topic in values["image_topics"].split(",")]
    return given


def replay(segment: dict[str, Any], bag: ExecuteProcess) -> list[Action]:
    """Returns the node, and what plays the bag as soon as the node can take clouds."""
    node = Node(on_exit=end_all, **segment)
    return [node, OpaqueFunction(function=ask_state, args=[node, bag])]


def ask_state(context: LaunchContext, node: Node, bag: ExecuteProcess) -> list[Action]:
    """Asks the node for its state: it may be active before launch hears of its transitions."""
    client = get_ros_node(context).create_client(GetState, f"{node.node_name}/get_state")
    return play_when_active(context, client, None, bag)


def play_when_active(
    context: LaunchContext, client: Any, answer: Any, bag: ExecuteProcess
) -> list[Action]:
    """Plays the bag if the node has answered that it is active; otherwise asks it again."""
    if context.is_shutdown:
        return []
    if answer is not None:
        if answer.done() and answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
            return [bag]
        client.remove_pending_request(answer)
    answer = client.call_async(GetState.Request()) if client.service_is_ready() else None
    again = OpaqueFunction(function=play_when_active, args=[client, answer, bag])
    return [TimerAction(period=POLL_PERIOD, actions=[again])]


def player(values: dict[str, str]) -> ExecuteProcess:
    """Returns the process that plays the bag: ``ros2 bag play``, or this package's where missing.

    Both read a bag's folder or file, and publish messages as stored.
    """
    if find_spec("ros2bag") is not None:
        program: list[Any] = [FindExecutable(name="ros2"), "bag", "play"]
        program += ["--disable-keyboard-controls"]  # there is no keyboard
    else:
        program = [ExecutableInPackage("play-bag", "wsss_perception")]
    clock = ["--clock"] if is_true(values["use_sim_time"]) else []
    loop = ["--loop"] if is_true(values["loop"]) else []
    return ExecuteProcess(
        cmd=[*program, values["bag"], "--rate", values["rate"], *loop, *clock],
        name="bag",
        output="screen",
        on_exit=report_end,
    )


def report_end(event: ProcessExited, context: LaunchContext) -> Action | None:
    """The node and RViz stay after the bag's end, but not if it could not be played."""
    if event.returncode:
        return end_all(event, context)
    return LogInfo(msg="the bag was played; Ctrl-C ends the node")


def end_all(_event: ProcessExited, context: LaunchContext) -> Action | None:
    """Ends everything, once: ROS in launch cannot be shut down twice."""
    return None if context.is_shutdown else Shutdown()


def is_true(text: str) -> bool:
    """Reads an argument as launch's conditions do; neither true nor false is an error."""
    return evaluate_condition_expression(LaunchContext(), [TextSubstitution(text=text)])
