"""What the names of a camera's topics tell, the same on a live graph and in a bag."""


def camera_namespace(image_topic: str) -> str:
    """Returns the namespace of a camera, where its ``camera_info`` is, from its image topic."""
    parent, _, name = image_topic.rpartition("/")
    if name == "compressed" and parent.rpartition("/")[2].startswith("image"):
        return parent.rpartition("/")[0]  # image_transport publishes <image topic>/compressed
    return parent


def is_rectified(image_topic: str) -> bool:
    """Whether the images of a topic are rectified ones, by image_pipeline's naming."""
    return "/image_rect" in image_topic


def is_compressed(image_topic: str) -> bool:
    """Whether a topic is one of CompressedImage, by image_transport's naming."""
    return image_topic.endswith("compressed")


def is_named(camera: str, name: str) -> bool:
    """Whether a calibration file's name means a camera: all of its namespace, or the last part."""
    return name.strip("/") in (camera, camera.rpartition("/")[2])
