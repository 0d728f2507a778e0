"""Small made-up bags of a LiDAR and a camera on a straight drive, and what was imported of them."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image
from rosbags.rosbag2 import CompressionFormat, Writer
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, invert, make_transform, matrix_from_quaternion
from wsss_perception.messages import camera_info, image, point_cloud2, transform
from wsss_training.data import open_dataset
from wsss_training.recording import ImportSettings, import_bags

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
MS = 1_000_000
CLOUD, IMAGE, JPEG = (f"sensor_msgs/msg/{n}" for n in ("PointCloud2", "Image", "CompressedImage"))
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]), "plumb_bob", (0.1, 0.01))
OPTICAL = make_transform(matrix_from_quaternion([0.5, -0.5, 0.5, -0.5]), [0.1, -0.2, 0.3])


def world_at(stamp):
    """10 m/s ahead."""
    return make_transform(np.eye(3), [stamp * 1e-8, 0, 0])


def make_cloud(stamp, points=6):
    rng = np.random.default_rng(stamp)
    xyz = rng.normal(0, 5, (points, 3)).astype(np.float32)
    channels = {"intensity": rng.uniform(0, 255, points).astype(np.float32)}
    return PointCloud(xyz, {**channels, "ring": np.arange(points, dtype=np.float32)}, stamp, "os1")


def make_pixels(stamp):
    return np.random.default_rng(stamp).integers(0, 255, (12, 16, 3), dtype=np.uint8)


def make_jpeg(stamp):
    return image.encode_jpeg(make_pixels(stamp), stamp, "front_optical", TYPES)


def make_raw(stamp):
    return image.encode_rgb8(make_pixels(stamp), stamp, "front_optical", TYPES)


def write_bag(
    path,
    clouds=range(100, 600, 100),
    images=range(110, 610, 100),
    encode=make_raw,
    change=lambda topic, stamp, message: message,
    poses=True,
    storage="mcap",
    points=6,
):
    """A bag of a LiDAR and a camera 'rig/front'; stamps in ms, received up to 30 ms later."""
    events = [(t * MS, "/points", CLOUD) for t in clouds]
    kind = JPEG if encode is make_jpeg else IMAGE
    topic = "/rig/front/image/compressed" if kind == JPEG else "/rig/front/image"
    events += [(t * MS, topic, kind) for t in images]
    delay = {CLOUD: 30 * MS, kind: 5 * MS}
    with BagWriter(path, storage, STORE) as writer:
        tf = "tf2_msgs/msg/TFMessage"
        names = {name: writer.add_topic(name, tf) for name in ("/tf", "/tf_static")}
        mount = transform.encode_stamped(invert(OPTICAL), "os1", "front_optical", 0, TYPES)
        writer.write(names["/tf_static"], 0, TYPES[tf](transforms=[mount]))
        for second in (0, 10**4) if poses else ():
            pose = world_at(second * MS)
            entry = transform.encode_stamped(pose, "odom", "os1", second * MS, TYPES)
            writer.write(names["/tf"], 0, TYPES[tf](transforms=[entry]))
        infos = writer.add_topic("/rig/front/camera_info", "sensor_msgs/msg/CameraInfo")
        writer.write(infos, 0, camera_info.encode(CAMERA, 0, "front_optical", TYPES))
        topics = {name: writer.add_topic(name, kind) for name, kind in {e[1:] for e in events}}
        for stamp, name, kind in sorted(events, key=lambda e: e[0] + delay[e[2]]):
            message = encode(stamp)
            if kind == CLOUD:
                message = point_cloud2.encode_cloud(make_cloud(stamp, points), TYPES)
            message = change(name, stamp // MS, message)
            writer.write(topics[name], stamp + delay[kind], message)
    return path


def import_one(bag, root, **settings):
    ((_, counts),) = import_bags([bag], root, ImportSettings(**settings))
    return counts, open_dataset("recording", root)


def stamps(dataset):
    return [int(sample_id.rpartition("/")[2]) // MS for sample_id in dataset.sample_ids]


def paired(dataset):
    """Stamp of each sweep and of its image, or None, in ms."""
    samples = [dataset[index] for index in range(len(dataset))]
    return [(s.cloud.stamp // MS, s.images[0].stamp // MS if s.images else None) for s in samples]


def files(root, pattern="*/rig-front/*"):
    return sorted(path.name for path in root.glob(pattern))


def compress(source, target, storage, mode):
    writer = Writer(target, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with open_bag(source) as bag, writer:
        topics = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=STORE)
            for c in bag.connections
        }
        for message in bag.messages():
            writer.write(topics[message.connection.topic], message.received, message.data)
    return target


def png(stamp, mode="RGB"):
    stream = io.BytesIO()
    pixels = Image.fromarray(make_pixels(stamp))
    if mode == "I;16":
        pixels = Image.fromarray(np.asarray(pixels.convert("L")).astype(np.uint16) * 256)
    pixels.save(stream, "PNG")
    return replace(make_jpeg(stamp), format="png", data=np.frombuffer(stream.getvalue(), np.uint8))
