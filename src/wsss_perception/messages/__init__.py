"""ROS messages <-> numpy arrays, duck-typed: no module here imports rclpy or rosbags."""
