"""The ROS 2 node. Only ``parameters`` and ``segment_node`` import rclpy."""
