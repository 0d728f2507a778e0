import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagTransforms, BagWriter, open_bag
from wsss_perception.geometry import invert, make_transform, matrix_from_quaternion
from wsss_perception.messages import transform
from wsss_perception.messages.common import make_header

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
SECOND = 1_000_000_000
MOUNT = make_transform(matrix_from_quaternion([0, 0, 0.5, 1]), [1, 0, 2])
"""T_base_lidar."""

IMU = make_transform(matrix_from_quaternion([0.1, 0.2, 0, 1]), [0, 0.5, 0])
"""T_base_imu."""


def base_at(second):
    return make_transform(matrix_from_quaternion([0, 0, 0.1 * second, 1]), [2.0 * second, 1, 0])


def odometry(second, parent, child, T_parent_child):
    encoded = transform.encode(T_parent_child, TYPES)
    t = encoded.translation
    pose = TYPES["geometry_msgs/msg/Pose"](
        position=TYPES["geometry_msgs/msg/Point"](x=t.x, y=t.y, z=t.z), orientation=encoded.rotation
    )
    zero = TYPES["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
    twist = TYPES["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    return TYPES["nav_msgs/msg/Odometry"](
        header=make_header(second * SECOND, parent, TYPES),
        child_frame_id=child,
        pose=TYPES["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
        twist=TYPES["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )


def make_bag(path, static=(), moving=(), topics=("/odom",), parent="odom", child="base"):
    """A bag of odometry of ``child`` at seconds 1 to 3, and of transforms."""
    where = {"base": np.eye(4), "imu": IMU, "lidar": MOUNT}
    with BagWriter(path, "mcap", STORE) as writer:
        for topic, entries in (("/tf_static", static), ("/tf", moving)):
            if entries:
                message = TYPES["tf2_msgs/msg/TFMessage"](transforms=list(entries))
                writer.write(writer.add_topic(topic, "tf2_msgs/msg/TFMessage"), 0, message)
        for topic in topics:
            connection = writer.add_topic(topic, "nav_msgs/msg/Odometry")
            for second in (1, 2, 3):
                pose = base_at(second) @ where.get(child, np.eye(4))
                message = odometry(second, parent, child, pose)
                writer.write(connection, second * SECOND, message)
    return path


def stamped(T_parent_child, parent, child, second=0):
    return transform.encode_stamped(T_parent_child, parent, child, second * SECOND, TYPES)


MOUNTS = (stamped(MOUNT, "base", "lidar"), stamped(IMU, "base", "imu"))
STAMPS = [SECOND, 2 * SECOND]


def poses(path, stamps=STAMPS, lidar="lidar"):
    with open_bag(path) as bag:
        transforms = BagTransforms(bag)
        topic = transforms.add_odometry(bag, lidar, stamps)
        return topic, [transforms.pose(lidar, stamp) for stamp in stamps]


@pytest.mark.parametrize("parent", ["odom", "/camera_init"])
@pytest.mark.parametrize("child", ["base", "imu", "lidar"])
def test_odometry_of_any_frame_of_the_vehicle_gives_the_poses(tmp_path, parent, child):
    bag = make_bag(tmp_path / "bag", MOUNTS, parent=parent, child=child)
    topic, found = poses(bag)
    assert topic == "/odom"
    for second, pose in zip((1, 2), found, strict=True):
        np.testing.assert_allclose(pose, base_at(second) @ MOUNT, atol=1e-9)


def test_odometry_of_the_lidar_needs_no_transforms(tmp_path):
    topic, found = poses(make_bag(tmp_path / "bag", child="lidar"), lidar="/lidar")
    assert topic == "/odom"
    np.testing.assert_allclose(found[1], base_at(2) @ MOUNT, atol=1e-9)


def test_odometry_gives_the_motion_between_two_stamps(tmp_path):
    with open_bag(make_bag(tmp_path / "bag", MOUNTS)) as bag:
        transforms = BagTransforms(bag)
        transforms.add_odometry(bag, "lidar", STAMPS)
        motion = transforms.between("lidar", 2 * SECOND, "/lidar", SECOND)
        still = transforms.between("lidar", 9 * SECOND, "imu", SECOND)
    expected = invert(base_at(2) @ MOUNT) @ base_at(1) @ MOUNT
    np.testing.assert_allclose(motion, expected, atol=1e-9)
    np.testing.assert_allclose(still, invert(MOUNT) @ IMU, atol=1e-9)


def test_poses_of_tf_come_before_odometry(tmp_path):
    """The odometry says otherwise; it is also kept where only some clouds have a pose."""
    moving = [stamped(make_transform(np.eye(3), [0, 0, 7]), "map", "base", 1)]
    topic, found = poses(make_bag(tmp_path / "bag", MOUNTS, moving))
    assert topic is None
    np.testing.assert_allclose(found[0][:3, 3], [1, 0, 9], atol=1e-9)
    assert found[1] is None


def test_odometry_helps_where_the_fixed_frame_is_not_connected(tmp_path):
    static = (*MOUNTS, stamped(np.eye(4), "map", "odom"))
    topic, found = poses(make_bag(tmp_path / "bag", static))
    assert topic == "/odom"
    np.testing.assert_allclose(found[0], base_at(1) @ MOUNT, atol=1e-9)


def test_several_odometries_are_not_chosen_from(tmp_path, caplog):
    topic, found = poses(make_bag(tmp_path / "bag", MOUNTS, topics=("/odom", "/visual/odom")))
    assert (topic, found) == (None, [None, None])
    assert "several topics: /odom, /visual/odom" in caplog.text


def test_odometry_of_a_frame_that_is_not_connected_is_named(tmp_path, caplog):
    topic, found = poses(make_bag(tmp_path / "bag", MOUNTS, child="trailer"))
    assert (topic, found) == (None, [None, None])
    assert caplog.text.count("unknown frame 'trailer'") == 1


def test_odometry_that_would_close_a_loop_is_left_out(tmp_path, caplog):
    topic, found = poses(make_bag(tmp_path / "bag", MOUNTS, parent="imu"))
    assert (topic, found) == (None, [None, None])
    assert "would close a loop" in caplog.text
