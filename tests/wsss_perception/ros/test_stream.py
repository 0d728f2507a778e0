"""The work of the node, with a model that takes no time and without DDS."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from stream_desk import CAMERA, PATIENCE, PIXELS, Rig

from wsss_perception.errors import GeometryError
from wsss_perception.messages import camera_info, image
from wsss_perception.ros import stream as stream_module
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES

MS = 1_000_000
STAMP = 10_000 * MS
LONG = 10**15  # nanoseconds: what no stall of the machine takes
EXTRINSICS = "wsss_perception.ros.extrinsics"


@pytest.fixture
def make_rig(tmp_path, monkeypatch) -> Iterator[Callable[..., Rig]]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setattr(f"{EXTRINSICS}.WAIT_TIME", 10.0)
    monkeypatch.setattr("wsss_perception.camera_stream._UNKNOWN_PERIOD", LONG)
    monkeypatch.setattr("wsss_perception.synchronizer.DUPLICATE_WINDOW", LONG)
    rigs: list[Rig] = []

    def make(**parameters: Any) -> Rig:
        rigs.append(Rig(tmp_path, **parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def test_overlay_is_drawn_of_an_image_that_comes_after_its_cloud(make_rig):
    rig = make_rig()
    rig.open()
    rig.send_image(STAMP - 90 * MS)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "parts" in rig.desk.events)
    assert rig.desk.events == ["cloud", "parts"]  # the cloud did not wait
    assert rig.desk.unused == [{}]  # nor does the camera count as missing
    rig.send_image(STAMP + 10 * MS)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.drawn == [STAMP + 10 * MS]
    assert 0 <= rig.desk.seconds["outputs"] < PATIENCE


def test_the_next_cloud_does_not_wait_for_the_overlay_of_the_last(make_rig):
    rig = make_rig()
    rig.open()
    rig.send_image(STAMP - 10 * MS)
    begin = time.monotonic()
    for number in range(3):
        rig.send_cloud(STAMP + number * MS)
        rig.desk.wait_for(lambda seen=number: rig.desk.events.count("cloud") > seen)
    assert time.monotonic() - begin < 2 * PATIENCE
    rig.desk.wait_for(lambda: len(rig.desk.drawn) == 2)
    assert rig.desk.drawn == [STAMP - 10 * MS] * 2


@pytest.mark.parametrize("is_heard", [True, False])
def test_points_are_compared_to_a_phrase_only_while_somebody_listens(make_rig, is_heard):
    rig = make_rig()
    rig.model.query = np.ones((1, 3), np.float32)
    rig.desk.is_query_heard, rig.desk.is_heard = is_heard, False
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.queries == [rig.model.query if is_heard else None]
    assert rig.desk.events == ["cloud", "parts", *[f"query of {STAMP}"] * is_heard, "done"]


def test_an_output_that_fails_takes_no_other_with_it(make_rig):
    """One camera's TF may be lost between its cloud and its overlay."""
    rig = make_rig(cameras=("front", "rear"), camera_wait=0.0)
    rig.desk.is_broken = rig.desk.is_query_heard = True
    rig.model.query = np.zeros((1, 3), np.float32)
    rig.open()
    for camera in ("front", "rear"):
        rig.send_image(STAMP, camera=camera)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.drawn == [STAMP]
    assert f"query of {STAMP}" in rig.desk.events
    assert "camera 'front' has no overlay: front is lost" in rig.desk.warnings
    assert any("no filtered_points" in text for text in rig.desk.warnings)


def test_images_are_kept_only_while_somebody_listens(make_rig):
    rig = make_rig()
    rig.open()
    for is_heard in (True, False):
        rig.desk.is_heard = is_heard
        alive = weakref.ref(rig.send_image(STAMP).data)
        gc.collect()
        assert (alive() is not None) == is_heard
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.unused == [{}]
    assert rig.desk.drawn == []


def test_a_cloud_waits_for_its_images_while_the_model_takes_them(make_rig):
    """The model is changed under the stream's hands, as ``~/load_model`` does."""
    rig = make_rig()
    rig.desk.is_heard = False
    rig.open()
    for takes_images in (False, True, False):
        rig.model.spec.takes_images = takes_images
        rig.desk.pixels.clear()
        rig.send_image(STAMP - 90 * MS)
        begin = time.monotonic()
        rig.send_cloud(STAMP)
        if takes_images:
            time.sleep(0.1)
            assert rig.desk.pixels == []
            rig.send_image(STAMP + 10 * MS)
        rig.desk.wait_for(lambda: rig.desk.pixels)
        assert rig.desk.pixels == [[PIXELS.size if takes_images else 0]]
        assert time.monotonic() - begin < PATIENCE
        rig.stream.close()
        rig.open()  # forgets the stamps
    assert rig.desk.unused == [{}, {}, {}]


@pytest.mark.parametrize("damage", ["no image", "cut short", "came before the model"])
def test_an_image_that_is_of_no_use_degrades_the_labels_only(make_rig, damage):
    rig = make_rig(camera_wait=0.05)
    rig.desk.is_heard = False
    rig.open()
    rig.model.spec.takes_images = damage != "came before the model"
    if damage == "cut short":
        message = image.encode_rgb8(PIXELS, STAMP, "front_optical", TYPES)
        message.data = message.data[:-7]
        rig.stream._add_image("front", message)
    else:
        rig.send_image(STAMP - 300 * MS if damage == "no image" else STAMP)
    rig.model.spec.takes_images = True
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.events == ["cloud", "parts", "done"]
    assert rig.desk.pixels == [[0]]  # the camera still counts as seeing points
    (unused,) = rig.desk.unused
    assert (
        unused["front"]
        == {
            "no image": "no image within camera_tolerance",
            "cut short": "its image cannot be used; the log says why",
            "came before the model": "its image came before the model that takes images",
        }[damage]
    )
    assert any("front" in text for text in rig.desk.warnings)


def test_a_fixed_frame_without_effect_is_told_of(make_rig, monkeypatch):
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: None)
    rig = make_rig(fixed_frame="odom")
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    (unused,) = rig.desk.unused
    assert set(unused) == {"fixed_frame", "front"}
    assert unused["front"] == "no image on /front/image"
    assert any("'fixed_frame' has no effect" in text for text in rig.desk.warnings)


class LateTransforms:
    """A robot whose motion is known 20 ms after somebody first asks for it."""

    def __init__(self) -> None:
        self.known_at: float | None = None

    def lookup(self, *_: Any) -> np.ndarray:
        now = time.monotonic()
        self.known_at = self.known_at or now + 0.02
        if now < self.known_at:
            raise GeometryError("not known yet")
        return np.eye(4)

    def close(self) -> None:
        pass


def test_a_cloud_that_has_waited_for_images_still_waits_for_the_motion(make_rig, monkeypatch):
    transforms = LateTransforms()
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: transforms)
    monkeypatch.setattr(f"{EXTRINSICS}.WAIT_TIME", 1.0)
    rig = make_rig(fixed_frame="odom", camera_wait=1.5)
    rig.desk.is_heard = False
    rig.model.spec.takes_images = True
    rig.open()
    rig.send_image(STAMP - 10 * MS)  # the next one may be nearer, and does not come
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    assert rig.desk.unused == [{}]
    assert rig.desk.pixels == [[PIXELS.size]]


def test_a_cloud_waits_for_the_place_of_a_camera_on_a_moving_joint(make_rig, monkeypatch):
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: LateTransforms())
    rig = make_rig()
    rig.desk.is_heard = False
    rig.cameras = LiveCameras(["/front/image"], "", rig.desk.warnings.append)
    rig.cameras.camera("front").set_info(camera_info.encode(CAMERA, 0, "head", TYPES))
    rig.open()
    rig.send_image(STAMP)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    assert rig.desk.unused == [{}], rig.desk.warnings


def test_clouds_sent_twice_are_told_of_once_and_those_of_other_frames_taken(make_rig, capfd):
    rig = make_rig(camera_wait=0.0)
    rig.open()
    for frame in ("front", "rear", "front", "rear"):
        rig.send_cloud(STAMP, frame)
        rig.desk.wait_for(lambda: rig.desk.counters.pending == 0)
    counters = rig.desk.counters
    assert (counters.published, counters.duplicates, counters.dropped) == (2, 2, 0)
    assert "".join(capfd.readouterr()).count("sent twice") == 1


@pytest.mark.parametrize(
    ("what", "amiss", "told"),
    [
        ("gives_labels", (True, False), "no point of a cloud got a label"),
        ("is_in_range", (False, True), "no point in range"),
    ],
)
def test_a_cloud_without_a_label_or_a_point_in_range_is_told_of(make_rig, what, amiss, told):
    rig = make_rig(camera_wait=0.0)
    setattr(rig.desk, what, False)
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.amiss == [amiss]
    assert any(told in text for text in rig.desk.warnings)


@pytest.mark.parametrize("fixed_frame", ["odom", ""])
def test_transforms_are_listened_to_for_the_motion_of_calibrated_cameras(
    make_rig, monkeypatch, fixed_frame
):
    opened: list[object] = []
    monkeypatch.setattr(stream_module, "open_transforms", lambda *given: opened.append(given))
    make_rig(fixed_frame=fixed_frame).open()
    assert len(opened) == (fixed_frame != "")


def test_activation_that_fails_leaves_nothing_behind(make_rig, monkeypatch):
    rig = make_rig()
    before = threading.active_count()
    monkeypatch.setattr(rig.node, "create_timer", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rig.open()
    assert threading.active_count() == before
    assert rig.node.count_subscribers("points") == rig.node.count_subscribers("/front/image") == 0
