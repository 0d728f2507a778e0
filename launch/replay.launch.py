"""``ros2 launch wsss_perception replay.launch.py bag:=<bag>``: a bag, the node and RViz.

It is ``segment.launch.py`` with other defaults: RViz starts, and the bag gives the time.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description() -> LaunchDescription:
    """Declares what differs; ``segment.launch.py`` declares the rest and starts all."""
    segment = Path(__file__).with_name("segment.launch.py")
    other_defaults = (
        ("bag", None, "rosbag2 to play as soon as the node is active"),
        ("rviz", "true", "start RViz, which the package rviz2 brings"),
        ("use_sim_time", "true", "the bag gives the time, on /clock"),
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in other_defaults
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(segment))),
        ]
    )
