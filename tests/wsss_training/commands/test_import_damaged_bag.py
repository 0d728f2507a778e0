from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest
from made_bags import MS, TYPES, files, import_one, make_jpeg, paired, stamps, write_bag

from wsss_perception.errors import BagError
from wsss_perception.messages import image
from wsss_training.commands import import_bag as command
from wsss_training.data import open_dataset
from wsss_training.recording.open_scene import OpenScene


def test_damaged_clouds_and_images_are_counted_named_and_left_out(tmp_path, caplog):
    def spoil(topic, stamp, message):
        if (topic, stamp) in [("/points", 200), ("/rig/front/image/compressed", 310)]:
            message.data = message.data[:-9]
        if (topic, stamp) == ("/points", 500):
            message = replace(message, fields=message.fields[:-1])
        return message

    bag = write_bag(tmp_path / "drive", encode=make_jpeg, change=spoil)
    counts, dataset = import_one(bag, tmp_path / "out")
    assert paired(dataset) == [(100, 110), (300, None), (400, 410)]
    assert (counts.damaged_clouds, counts.damaged_images, counts.sweeps) == (2, 1, 3)
    assert len(files(tmp_path / "out")) == 2
    assert "cloud of 0.200000000" in caplog.text
    assert "the fields ['intensity'], most are in 'os1' with ['intensity', 'ring']" in (caplog.text)
    assert "image of 0.310000000" in caplog.text


def test_clouds_with_the_stamp_of_another_are_left_out(tmp_path):
    def unset(topic, stamp, message):
        if topic == "/points" and stamp > 300:
            message.header.stamp.nanosec = 200 * MS
        return message

    counts, dataset = import_one(write_bag(tmp_path / "drive", change=unset), tmp_path / "out")
    assert (stamps(dataset), counts.damaged_clouds) == ([100, 200, 300], 2)


def test_images_of_another_size_are_left_out(tmp_path, caplog):
    big = lambda stamp: image.encode_rgb8(np.zeros((24, 32, 3), np.uint8), stamp, "f", TYPES)  # noqa: E731
    bag = write_bag(tmp_path / "drive", encode=lambda stamp: big(stamp))
    counts, dataset = import_one(bag, tmp_path / "out")
    assert counts.damaged_images == 5
    assert dataset[0].images == ()
    assert "images are 32 x 24, its calibration is for 16 x 12" in caplog.text


def test_a_bag_without_a_usable_cloud_is_refused(tmp_path):
    def spoil(topic, stamp, message):
        if topic == "/points":
            message.data = message.data[:-1]
        return message

    bag = write_bag(tmp_path / "drive", change=spoil)
    with pytest.raises(BagError, match=r"none of its clouds on /points can be used: .*cut short"):
        import_one(bag, tmp_path / "out")


def test_a_bag_without_cameras_is_imported_with_a_warning(tmp_path, caplog):
    counts, dataset = import_one(write_bag(tmp_path / "drive", images=[]), tmp_path / "out")
    assert len(dataset) == counts.sweeps == 5
    assert "no camera can be used" in caplog.text


def test_a_camera_without_an_image_near_a_cloud_is_warned_of_with_the_distance(tmp_path, caplog):
    bag = write_bag(tmp_path / "late", images=[900, 100_500])
    import_one(bag, tmp_path / "out")
    expected = "no image is near enough to a cloud: nearest is 0.4 s away, limit 50 ms; are the"
    assert caplog.text.count(f"camera 'rig/front': {expected} clocks the same?") == 1
    assert "left out" not in caplog.text


def test_a_camera_that_is_left_out_is_not_said_to_have_no_image_near(tmp_path, caplog):
    def rename(topic, stamp, message):
        if topic == "/points":
            message.header.frame_id = "elsewhere"
        return message

    import_one(write_bag(tmp_path / "drive", change=rename), tmp_path / "out")
    assert "camera 'rig/front' is left out" in caplog.text
    assert "near enough" not in caplog.text


def test_a_killed_import_goes_on_where_it_was(tmp_path, drive, monkeypatch):
    root = tmp_path / "out"
    import_one(drive, tmp_path / "whole", scene_seconds=0.2)
    finish = OpenScene.describe

    def die(scene):
        if scene.name == "drive_001":
            raise KeyboardInterrupt
        return finish(scene)

    monkeypatch.setattr(OpenScene, "describe", die)
    with pytest.raises(KeyboardInterrupt):
        import_one(drive, root, scene_seconds=0.2)
    monkeypatch.undo()
    assert sorted(path.name for path in root.iterdir()) == ["drive_000", "recording.yaml"]
    made = (root / "drive_000" / "frames.json").stat().st_mtime_ns
    (root / ".drive_001.part" / "points").mkdir(parents=True)  # as SIGKILL leaves it
    (root / ".drive_001.part" / "points" / "1.npy").write_bytes(b"half")
    (root / ".salvaged-x").mkdir()
    counts, _ = import_one(drive, root, scene_seconds=0.2)
    assert (counts.present, counts.scenes) == (["drive_000"], ["drive_001", "drive_002"])
    assert (root / "drive_000" / "frames.json").stat().st_mtime_ns == made
    content = [
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file() and p.parent != r}
        for r in (root, tmp_path / "whole")
    ]
    assert content[0] == content[1]
    assert not list(root.glob(".*"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_of_a_bag_cut_short_what_was_recorded_is_imported_and_the_damage_told(
    tmp_path, capsys, storage
):
    bag = write_bag(
        tmp_path / "drive",
        clouds=range(100, 4100, 100),
        images=range(110, 4110, 100),
        storage=storage,
        points=5000,
    )
    path = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    (bag / "metadata.yaml").unlink()
    parser = ArgumentParser()
    command.add_arguments(parser)
    words = [str(bag), str(tmp_path / "out"), "--scene-seconds", "1"]
    for _ in range(2):
        with pytest.raises(BagError, match=r"what precedes the damage was imported and kept; .*"):
            command.run(parser.parse_args(words))
    dataset = open_dataset("recording", tmp_path / "out")
    found = paired(dataset)
    count = len(found)
    assert 12 < count < 40
    assert [cloud for cloud, _ in found] == list(range(100, 100 + 100 * count, 100))
    assert all(taken == cloud + 10 for cloud, taken in found[:-1])
    assert len(dataset[count - 1].cloud) == 5000
    assert not list((tmp_path / "out").glob(".*"))
    assert "were there already and are left as they are" in capsys.readouterr().out


def test_damage_met_in_the_last_pass_keeps_the_sweeps_before_it(tmp_path, drive, monkeypatch):
    """The scene that the damage cuts is kept, and named when the import is tried again."""
    from wsss_perception.bag import reader

    messages = reader.Bag.messages

    def damaged(self, connections=None, start=None, stop=None):
        for message in messages(self, connections, start, stop):
            if start is not None and message.received > 300 * MS:
                raise BagError("drive: damaged after 3 messages")
            yield message

    monkeypatch.setattr(reader.Bag, "messages", damaged)
    counts, dataset = import_one(drive, tmp_path / "out")
    assert counts.damage == "drive: damaged after 3 messages"
    assert paired(dataset) == [(100, 110), (200, 210)]
    monkeypatch.undo()
    assert import_one(drive, tmp_path / "out")[0].present == ["drive_000"]


def test_a_scene_with_fewer_sweeps_than_the_bag_has_is_warned_of(tmp_path, caplog):
    import_one(write_bag(tmp_path / "a" / "drive", clouds=[100, 200]), tmp_path / "out")
    counts, _ = import_one(write_bag(tmp_path / "b" / "drive"), tmp_path / "out")
    assert counts.present == ["drive_000"]
    assert "left as it is, with 2 of the bag's 5 sweeps; remove it" in caplog.text
