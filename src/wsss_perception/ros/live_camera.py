"""What the node knows of one camera, and the view of a cloud that it makes."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from wsss_perception.calibration import CameraCalibration
from wsss_perception.camera_stream import Liveness
from wsss_perception.camera_topics import camera_namespace, is_rectified
from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.frame import View
from wsss_perception.geometry import Camera, Matrix
from wsss_perception.messages import camera_info
from wsss_perception.ros.extrinsics import Extrinsics

_NO_PIXELS = np.zeros((0, 0, 3), dtype=np.uint8)


class LiveCamera:
    """What is known of a camera: from the calibration file, or from its latest CameraInfo.

    Args:
        image_topic: its full name.
        calibration: of the file; None to take CameraInfo and TF.
        name: the namespace of its topics, without the leading slash, by default.
        clock: nanoseconds that only grow.

    Attributes:
        name: its name.
        image_topic: its full name.
        info_topic: of its CameraInfo.
        calibrated: whether the calibration file says it all.
    """

    def __init__(
        self,
        image_topic: str,
        calibration: CameraCalibration | None,
        name: str = "",
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        namespace = camera_namespace(image_topic)
        self.name = name or namespace.lstrip("/")
        self.image_topic = image_topic
        self.info_topic = f"{namespace}/camera_info"
        self.calibrated = calibration is not None
        self._calibration = calibration
        self._clock = clock
        self._lock = threading.Lock()
        self._infos = Liveness()
        self._size: tuple[int, int] | None = None  # of its images, where they tell it
        self._info: Any = None
        self._model: tuple[Camera, Matrix, str] | None = None
        self._problem = f"no message on {self.info_topic}, and no calibration file names it"

    @property
    def sends_info(self) -> bool:
        """Whether its CameraInfo comes."""
        with self._lock:
            return self._clock() < self._infos.dead_at

    @property
    def frame(self) -> str | None:
        """The frame that TF is asked for; None where the file places it, or no CameraInfo came."""
        with self._lock:
            return None if self.calibrated or self._model is None else self._model[2]

    def note_image(self, message: Any) -> None:
        """Looks at an Image or CompressedImage, without decoding it."""
        if hasattr(message, "width"):
            with self._lock:
                self._size = int(message.width), int(message.height)

    def set_info(self, message: Any) -> None:
        """Takes over a CameraInfo; one that cannot be used is told by ``view``."""
        is_rectified_image = is_rectified(self.image_topic)
        with self._lock:
            self._infos.note(self._clock())
            if self._info is not None and _same_calibration(message, self._info):
                return
            self._info = message
            try:
                model = camera_info.decode(message, is_rectified_image)
                turn = camera_info.rectification(message) if is_rectified_image else np.eye(4)
            except MessageError as error:
                self._model, self._problem = None, str(error)
            else:
                self._model = model, turn, message.header.frame_id

    def view(
        self, stamp: int, cloud_stamp: int, cloud_frame: str, extrinsics: Extrinsics | None
    ) -> View:
        """Makes its view of a cloud, without pixels ([0, 0, 3]).

        Args:
            stamp: of the camera's image, nanoseconds.
            cloud_stamp: of the cloud, nanoseconds.
            cloud_frame: of the cloud.
            extrinsics: by TF; None where there is no TF.

        Raises:
            MessageError: no CameraInfo that can be used, or images of another size.
            GeometryError: TF does not connect the camera to the LiDAR.
        """
        with self._lock:
            model, problem, size = self._model, self._problem, self._size
        if self._calibration is not None:
            camera, pose = self._calibration.camera, self._calibration.T_camera_lidar
            if extrinsics is not None:
                pose = pose @ extrinsics.motion(cloud_frame, stamp, cloud_stamp)
        else:
            if model is None:
                raise MessageError(problem)
            if extrinsics is None:
                raise GeometryError("tf2_msgs is not installed; give a calibration file")
            camera, turn, frame = model
            pose = turn @ extrinsics.between(frame, stamp, cloud_frame, cloud_stamp)
        if size is not None:
            check_size(camera, *size)
        return View(self.name, camera, pose, _NO_PIXELS, stamp)


def check_size(camera: Camera, width: int, height: int) -> None:
    """Raises MessageError where images of a size are not those of a camera."""
    if (width, height) != (camera.width, camera.height):
        raise MessageError(
            f"its images are {width} x {height}, its calibration is for "
            f"{camera.width} x {camera.height}"
        )


def _same_calibration(a: Any, b: Any) -> bool:
    """Whether two CameraInfos differ in their stamps alone."""
    numbers = [(*m.k, *m.d, *m.r, *m.p) for m in (a, b)]
    names = ("width", "height", "distortion_model", "binning_x", "binning_y", "roi")
    return (
        numbers[0] == numbers[1]
        and a.header.frame_id == b.header.frame_id
        and all(getattr(a, name) == getattr(b, name) for name in names)
    )
