"""What the names of a camera's topics tell, the same on a live graph and in a bag."""

from collections.abc import Collection

from wsss_perception.errors import ConfigError


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


def match_names(cameras: Collection[str], names: Collection[str]) -> dict[str, str]:
    """Finds which of a calibration file's names means which camera.

    A name is all of a camera's namespace, or the last parts of it; the longest one that fits is
    the camera's, but one that is all of another camera's namespace is that one's alone.

    Args:
        cameras: namespaces without the leading slash.
        names: of the calibration file.

    Returns:
        The name of each camera that has one.

    Raises:
        ConfigError: a name means two cameras.
    """
    found: dict[str, str] = {}
    for camera in cameras:
        fitting = [
            name
            for name in names
            if f"/{camera}".endswith(f"/{name.strip('/')}")
            and (name.strip("/") == camera or name.strip("/") not in cameras)
        ]
        if fitting:
            found[camera] = max(fitting, key=lambda name: len(name.strip("/")))
    for name in set(found.values()):
        meant = [camera for camera, given in found.items() if given == name]
        if len(meant) > 1:
            raise ConfigError(
                f"calibration file: '{name}' may mean each of the cameras {', '.join(meant)}; "
                "give more of their namespaces"
            )
    return found


def relative_names(cameras: Collection[str], namespace: str) -> dict[str, str]:
    """Names cameras as seen from a namespace, such as a node's.

    Args:
        cameras: namespaces without the leading slash.
        namespace: what it is relative to, such as ``/robot``.

    Returns:
        The name of each camera: the rest of its namespace; all of it for one that is not in
        ``namespace``, or whose rest is another camera's namespace.
    """
    prefix = namespace.strip("/") + "/"
    rest = {camera: camera.removeprefix(prefix) for camera in cameras}
    return {camera: camera if rest[camera] in cameras else rest[camera] for camera in cameras}
