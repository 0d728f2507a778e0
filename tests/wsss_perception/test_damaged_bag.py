import sqlite3
import zlib
from contextlib import closing
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagWriter, open_bag, open_up_to_damage
from wsss_perception.errors import BagError

STORE = get_typestore(Stores.ROS2_JAZZY)
STRING = "std_msgs/msg/String"
COUNT = 60


@cache
def words(number):
    rng = np.random.default_rng(number)
    return f"{number} " + "".join(rng.choice(list("abcdefgh"), 60_000))


MESSAGES = [
    STORE.serialize_cdr(STORE.types[STRING](data=words(number)), STRING) for number in range(COUNT)
]


def write_bag(path, storage, compressed=False):
    """Messages on two topics by turns, 1 ms apart; the second topic begins in the middle."""
    if compressed:
        writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            fill(lambda topic: writer.add_connection(topic, STRING, typestore=STORE), writer.write)
        return path
    with BagWriter(path, storage, STORE) as writer:
        fill(lambda topic: writer.add_topic(topic, STRING), writer.write_raw)
    return path


def fill(add, write):
    topics = [add("/a")]
    for number, data in enumerate(MESSAGES):
        if number == COUNT // 2:
            topics.append(add("/b"))
        write(topics[number % len(topics)], number * 1_000_000, data)


def read(path, scratch):
    """Numbers of the messages, in the order they are read, and what is wrong with the bag."""
    with open_up_to_damage(path, scratch) as bag:
        contents = [(m.connection.topic, bag.deserialize(m).data) for m in bag.messages()]
        found = [(topic, int(content.split()[0])) for topic, content in contents]
        assert [content for _, content in contents] == [words(number) for _, number in found]
        for topic, number in found:
            assert topic == ("/b" if number > COUNT // 2 and number % 2 else "/a")
        alone = [bag.deserialize(m).data for m in bag.messages(bag.on_topic("/a"))]
        assert alone == [words(number) for topic, number in found if topic == "/a"]
        some = list(bag.messages(None, 3_000_000, 7_000_000))
        assert [m.received // 1_000_000 for m in some] == [n for _, n in found if 3 <= n < 7]
        return [number for _, number in found], bag.damage


def storage_file(bag):
    return next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_whole_bag_is_read_as_it_is_and_has_no_damage(tmp_path, storage):
    bag = write_bag(tmp_path / "in", storage)
    assert read(bag, tmp_path) == (list(range(COUNT)), None)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recording_without_metadata_is_read_whole(tmp_path, storage):
    bag = write_bag(tmp_path / "in", storage)
    (bag / "metadata.yaml").unlink()
    numbers, damage = read(bag, tmp_path)
    assert numbers == list(range(COUNT))
    assert "has no metadata.yaml" in damage


@pytest.mark.parametrize("share", [0.1, 0.6, 0.999])
@pytest.mark.parametrize("kind", ["mcap", "zstd", "sqlite3", "lone mcap"])
def test_of_a_recording_cut_short_the_beginning_is_read(tmp_path, kind, share):
    (tmp_path / "scratch").mkdir()
    bag = write_bag(tmp_path / "in", "sqlite3" if kind == "sqlite3" else "mcap", kind == "zstd")
    path = storage_file(bag)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    (bag / "metadata.yaml").unlink()
    numbers, damage = read(path if kind.startswith("lone") else bag, tmp_path / "scratch")
    assert numbers == list(range(len(numbers)))
    chunk = 1_200_000 / 60_000  # an mcap chunk is lost whole
    assert share * COUNT - chunk - 3 <= len(numbers) <= COUNT
    assert damage.endswith(f"{path.name} was read up to its damage")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert len(path.read_bytes()) == int(len(content) * share)


def test_damage_inside_ends_the_bag_there(tmp_path):
    bag = write_bag(tmp_path / "in", "mcap", compressed=True)
    path = storage_file(bag)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    path.write_bytes(content)
    numbers, damage = read(bag, tmp_path)
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < COUNT
    assert "damaged after" in damage


def test_a_tail_of_zeros_as_a_crash_leaves_it_is_damage(tmp_path):
    bag = write_bag(tmp_path / "in", "mcap")
    path = storage_file(bag)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(100_000))
    numbers, damage = read(bag, tmp_path)
    assert 0 < len(numbers) < COUNT
    assert numbers == list(range(len(numbers)))
    assert damage


def record_ends(content):
    """Operation and end of every record of an mcap file."""
    ends, start = [], 8
    while start + 9 <= len(content):
        start += 9 + int.from_bytes(content[start + 1 : start + 9], "little")
        ends.append((content[ends[-1][1] if ends else 8], start))
    return ends


@pytest.mark.parametrize("after", ["chunk", "index"])
def test_messages_out_of_order_are_sorted_as_in_a_whole_bag(tmp_path, after):
    """Chunks of a cut file are indexed anew, since a file without index is read as it lies."""
    with BagWriter(tmp_path / "in", "mcap", STORE) as writer:
        topic = writer.add_topic("/a", STRING)
        for number in range(COUNT):
            writer.write_raw(topic, (number ^ 1) * 1_000_000, MESSAGES[number ^ 1])
    path = storage_file(tmp_path / "in")
    content = path.read_bytes()
    wanted = {"chunk": 6, "index": 7}[after]
    end = [end for operation, end in record_ends(content) if operation == wanted][-1]
    path.write_bytes(content[:end])
    with open_up_to_damage(path, tmp_path) as bag:
        times = [message.received for message in bag.messages()]
        assert bag.damage
    assert times == sorted(times)
    assert len(times) > COUNT // 2


def test_of_several_files_those_are_read_that_can_be(tmp_path):
    """A recorder that splits its bag leaves, when it is killed, an empty or cut last file."""
    folder = tmp_path / "split"
    folder.mkdir()
    for part, storage in enumerate(["mcap", "mcap", "mcap"]):
        bag = write_bag(tmp_path / f"part{part}", storage)
        storage_file(bag).rename(folder / f"split_{part + 8}.mcap")
    (folder / "split_10.mcap").write_bytes(b"")
    cut = folder / "split_9.mcap"
    cut.write_bytes(cut.read_bytes()[:2_000_000])
    with open_up_to_damage(folder, tmp_path) as bag:
        count = len(list(bag.messages()))
        assert "has no metadata.yaml" in bag.damage
    assert COUNT < count < 2 * COUNT


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"hello, no bag", bytes(1000)])
@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_a_file_of_which_nothing_can_be_read_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"bag{suffix}"
    path.write_bytes(content)
    opened = open_up_to_damage(path, tmp_path)
    with pytest.raises(BagError, match=f"bag{suffix}: cannot be read"), opened:
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_bag_is_refused_as_by_open_bag(tmp_path):
    for name in ("absent", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(BagError) as strict, open_bag(tmp_path / name):
            pass
        with pytest.raises(BagError) as lenient, open_up_to_damage(tmp_path / name, tmp_path):
            pass
        assert str(strict.value) == str(lenient.value)


def test_a_copy_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "in", "sqlite3")
    path = storage_file(bag)
    path.write_bytes(path.read_bytes()[:-100_000])
    connect = sqlite3.connect
    monkeypatch.setattr(
        "wsss_perception.bag.salvage.sqlite3.connect",
        lambda name, **options: connect(name if options else "/dev/full", **options),
    )
    opened = open_up_to_damage(bag, tmp_path)
    with pytest.raises(BagError, match=r"cannot be copied to .*make room there"), opened:
        pass


def test_a_copy_that_there_is_no_room_for_is_not_begun(tmp_path, monkeypatch):
    path = storage_file(write_bag(tmp_path / "in", "mcap"))
    path.write_bytes(path.read_bytes()[:-10])
    monkeypatch.setattr(
        "wsss_perception.bag.salvage.shutil.disk_usage", lambda _: SimpleNamespace(free=1000)
    )
    opened = open_up_to_damage(path, tmp_path)
    with pytest.raises(BagError, match=r"needs up to 0\.0 GB, .* make room there"), opened:
        pass


def write_small(path, storage="sqlite3", count=3):
    with BagWriter(path, storage, STORE) as writer:
        topic = writer.add_topic("/a", STRING)
        for number in range(count):
            writer.write_raw(topic, number * 1_000_000, MESSAGES[number])
    return path


def test_a_file_that_fails_for_another_reason_than_damage_is_not_copied(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("copied")

    monkeypatch.setattr("wsss_perception.bag.damaged.salvage", never)
    other = storage_file(write_small(tmp_path / "in", "mcap"))
    other.write_bytes(other.read_bytes().replace(b"ros2", b"ros9", 1))  # of another program
    with sqlite3.connect(tmp_path / "other.db3") as database:
        database.execute("CREATE TABLE songs(name TEXT)")
    database.close()
    for path in (other, tmp_path / "other.db3"):
        opened = open_up_to_damage(path, tmp_path)
        with pytest.raises(BagError, match="cannot be read as a rosbag2"), opened:
            pass


def test_a_footer_whose_index_is_damaged_is_salvaged(tmp_path):
    path = storage_file(write_small(tmp_path / "in", "mcap"))
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[-28:-20], "little")
    content[start : start + 40] = bytes(40)
    content[-12:-8] = zlib.crc32(b"other").to_bytes(4, "little")
    path.write_bytes(content)
    assert read(path, tmp_path)[0] == [0, 1, 2]


@pytest.mark.parametrize("side", ["-wal", "-journal"])
def test_what_a_killed_recorder_left_beside_the_file_is_taken_in(tmp_path, side):
    """Copied in a transaction: the -wal has what is done, the -journal undoes what is not."""
    (tmp_path / "scratch").mkdir()
    path, killed = storage_file(write_small(tmp_path / "in")), tmp_path / "killed.db3"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {'WAL' if side == '-wal' else 'DELETE'}")
        database.execute("PRAGMA cache_size = 1")  # so that the file is changed before the end
        for number in (3, 4, 5):
            row = (number * 1_000_000, bytes(MESSAGES[number]))
            insert = "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)"
            database.execute(insert, row)
            if side == "-wal":
                database.commit()
        for suffix in ("", side):
            content = path.with_name(path.name + suffix).read_bytes()
            killed.with_name(killed.name + suffix).write_bytes(content)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("killed*")}
    with pytest.raises(BagError, match=f"left killed.db3{side}, .*opening it takes"):
        open_bag(killed).__enter__()
    numbers, damage = read(killed, tmp_path / "scratch")
    assert numbers == list(range(6 if side == "-wal" else 3))
    assert f"left killed.db3{side}" in damage
    assert {file.name: file.read_bytes() for file in tmp_path.glob("killed*")} == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_fewer_messages_than_the_metadata_say_are_damage(tmp_path):
    bag = write_small(tmp_path / "in")
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("message_count: 3", "message_count: 5"))
    with open_up_to_damage(bag, tmp_path) as opened:
        next(opened.messages())
        list(opened.messages(None, 0, 10))
        assert opened.damage is None  # neither was read to its end
        assert len(list(opened.messages())) == 3
        assert "has 3 of the 5 messages recorded on /a" in opened.damage


def test_a_file_without_its_last_page_is_refused_as_a_whole_bag(tmp_path):
    bag = write_small(tmp_path / "in")
    path = storage_file(bag)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BagError, match=r"damaged: in\.db3 has \d+ of its \d+ bytes"), open_bag(bag):
        pass
