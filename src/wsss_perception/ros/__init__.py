"""The ROS 2 node, and playing and recording bags on a live graph."""
