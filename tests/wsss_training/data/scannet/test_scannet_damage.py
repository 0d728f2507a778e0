from pathlib import Path

import numpy as np
import pytest

from wsss_perception.errors import DatasetError
from wsss_training.data import open_dataset


def replaced(old, new):
    def change(content):
        assert old in content
        return content.replace(old, new)

    return change


DAMAGE = [
    ("{}_vh_clean_2.ply", lambda c: c[:-1], "cut short"),
    ("{}_vh_clean_2.ply", lambda c: c[:60], "header is cut short"),
    ("{}_vh_clean_2.ply", lambda c: b"", "not a PLY file"),
    ("{}_vh_clean_2.ply", replaced(b"float x", b"float w"), "no x"),
    (
        "{}_vh_clean_2.ply",
        replaced(np.float32(4).tobytes(), np.float32(np.nan).tobytes()),
        "finite",
    ),
    ("{}_vh_clean_2.labels.ply", lambda c: c[:-1], "cut short"),
    ("{}_vh_clean_2.labels.ply", replaced(b"ushort label", b"ushort object"), "no label"),
    ("color/40.jpg", lambda c: b"no image", "image cannot be read"),
    ("color/40.jpg", lambda c: c[: len(c) // 2], "image cannot be read"),
    ("depth/40.png", lambda c: b"no image", "image cannot be read"),
    ("depth/40.png", lambda c: c[: len(c) // 2], "image cannot be read"),
    ("pose/40.txt", lambda c: c[:-12], "4 x 4"),
    ("pose/40.txt", lambda c: b"", "0 numbers; 4 x 4"),
    ("pose/40.txt", lambda c: b"pose " * 16, "not a matrix of numbers"),
    ("pose/40.txt", lambda c: b"\xff", "not a matrix of numbers"),
    ("pose/40.txt", lambda c: b"0 " * 16, "not a rotation"),
    ("intrinsic/intrinsic_color.txt", lambda c: c[:20], "4 x 4"),
    ("intrinsic/intrinsic_color.txt", lambda c: b"0 " * 16, "not calibrated"),
    ("intrinsic/intrinsic_color.txt", lambda c: b"nan " * 16, "finite"),
    ("intrinsic/intrinsic_depth.txt", lambda c: b"1 " * 16, "not a camera matrix"),
    ("intrinsic/extrinsic_color.txt", lambda c: b"2 " * 16, "not a rotation"),
    ("intrinsic/extrinsic_depth.txt", lambda c: b"nan " * 16, "finite"),
]


@pytest.mark.parametrize(("name", "change", "message"), DAMAGE)
def test_damaged_file_is_named(room, name, change, message):
    path = room.folder / name.format(room.name)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=message) as caught:
        [image.load() for image in open_dataset("scannet", room.root, every=1)[0].images]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("color/40.jpg", "depth/40.png", "pose/40.txt", "color", "depth", "pose"),
        *("intrinsic/intrinsic_color.txt", "intrinsic/intrinsic_depth.txt"),
        *("intrinsic/extrinsic_color.txt", "intrinsic/extrinsic_depth.txt"),
    ],
)
def test_missing_file_is_named(room, name):
    path: Path = room.folder / name
    path.rename(room.root / path.name)
    with pytest.raises(DatasetError) as caught:
        open_dataset("scannet", room.root)[0]
    assert str(path) in str(caught.value)


def test_frame_without_a_number_is_refused(room):
    for name in ("color/copy.jpg", "depth/copy.png", "pose/copy.txt"):
        (room.folder / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"color/copy\.jpg: the name is not a number"):
        open_dataset("scannet", room.root)[0]
