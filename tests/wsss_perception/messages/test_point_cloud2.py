import array
import struct
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import MessageError
from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages.point_cloud2 import decode, encode_cloud, encode_semantic

CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)


class Field(SimpleNamespace):
    pass


class Message(SimpleNamespace):
    """What the codec needs of a PointCloud2 of any origin."""


def make_message(fields, height, width, point_step, row_step, data, is_bigendian=False):
    stamp = SimpleNamespace(sec=12, nanosec=345)
    return Message(
        header=SimpleNamespace(stamp=stamp, frame_id="lidar"),
        height=height,
        width=width,
        fields=[Field(name=n, offset=o, datatype=t, count=c) for n, o, t, c in fields],
        is_bigendian=is_bigendian,
        point_step=point_step,
        row_step=row_step,
        data=data,
        is_dense=False,
    )


def literal_values(message, name):
    """Reads a field the slow way: number by number."""
    field = next(field for field in message.fields if field.name == name)
    order = ">" if message.is_bigendian else "<"
    rows = []
    row_step = message.row_step if message.height > 1 else 0
    for row in range(message.height):
        for column in range(message.width):
            start = row * row_step + column * message.point_step + field.offset
            form = f"{order}{max(field.count, 1)}{CODES[field.datatype]}"
            rows.append(struct.unpack_from(form, bytes(message.data), start))
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(rows, dtype=np.float64).astype(np.float32)
    return values.reshape(-1, max(field.count, 1))


def check_against_literal(message, cloud):
    assert len(cloud) == message.height * message.width
    xyz = np.concatenate([literal_values(message, axis) for axis in "xyz"], axis=1)
    xyz[~xyz.any(axis=1)] = np.nan  # beams without return
    np.testing.assert_array_equal(cloud.xyz, xyz)
    for name, values in cloud.channels.items():
        expected = literal_values(message, name)
        np.testing.assert_array_equal(values.reshape(expected.shape), expected)
        assert values.dtype == np.float32
    names = {field.name for field in message.fields} - {"x", "y", "z"}
    assert set(cloud.channels) == names


@st.composite
def messages(draw):
    """Any valid layout: gaps, any order, all types, padded rows, both byte orders."""
    entries = [(axis, draw(st.sampled_from([7, 8])), 1) for axis in "xyz"]
    for number in range(draw(st.integers(0, 4))):
        entries.append((f"c{number}", draw(st.integers(1, 8)), draw(st.integers(0, 3))))
    fields, end = [], 0
    for name, datatype, count in draw(st.permutations(entries)):
        offset = end + draw(st.integers(0, 3))
        fields.append((name, offset, datatype, count))
        end = offset + struct.calcsize(f"={CODES[datatype]}") * max(count, 1)
    point_step = end + draw(st.integers(0, 5))
    height, width = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    row_step = width * point_step + draw(st.integers(0, 7))
    size = height * row_step + draw(st.integers(0, 3))
    data = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype=np.uint8)
    return make_message(fields, height, width, point_step, row_step, data, draw(st.booleans()))


def labels_for(count, seed=0):
    rng = np.random.default_rng(seed)
    return SemanticCloud(
        rng.integers(0, 256, count, dtype=np.uint8),
        rng.random(count, dtype=np.float32),
        rng.integers(0, 7, count, dtype=np.uint8),
    )


def little_cloud(count=5, **channels):
    xyz = np.arange(3 * count, dtype=np.float32).reshape(-1, 3)
    return PointCloud(xyz, channels, 7_000_000_123, "velodyne")


@settings(max_examples=300)
@given(messages())
def test_decode_agrees_with_a_literal_decoder(message):
    check_against_literal(message, decode(message))


@settings(max_examples=200)
@given(messages())
def test_encode_semantic_keeps_every_byte_of_every_field(message):
    semantic = labels_for(message.height * message.width)
    result = encode_semantic(message, semantic, PALETTE)
    assert (result.height, result.width) == (message.height, message.width)
    assert result.is_bigendian == message.is_bigendian
    assert result.header is message.header
    assert len(result.data) == result.height * result.row_step
    assert result.row_step == result.width * result.point_step or not len(result.data)
    names = [field.name for field in message.fields]
    added = ["label", "confidence", "seen", "rgb"]
    assert [field.name for field in result.fields] == [*names, *added]
    for name in names:
        np.testing.assert_array_equal(literal_values(result, name), literal_values(message, name))
    np.testing.assert_array_equal(literal_values(result, "label")[:, 0], semantic.labels)
    np.testing.assert_array_equal(literal_values(result, "confidence")[:, 0], semantic.confidence)
    np.testing.assert_array_equal(literal_values(result, "seen")[:, 0], semantic.seen)


@settings(max_examples=400)
@given(messages(), st.data())
def test_a_mutated_layout_is_refused_or_decoded_right(message, data):
    number = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(["message", "field", "data"]))
        if target == "message":
            name = data.draw(st.sampled_from(["height", "width", "point_step", "row_step"]))
            setattr(message, name, data.draw(number))
        elif target == "field":
            field = data.draw(st.sampled_from(message.fields))
            name = data.draw(st.sampled_from(["offset", "datatype", "count", "name"]))
            changed = data.draw(st.sampled_from(["x", "c0", "", "_"])) if name == "name" else None
            value = changed if name == "name" else data.draw(number)
            setattr(field, name, value % 256 if name == "datatype" else value)
        else:
            message.data = message.data[: data.draw(st.integers(0, len(message.data)))]
    try:
        cloud = decode(message)
        result = encode_semantic(message, labels_for(len(cloud)), PALETTE)
    except MessageError:
        return
    assert len(cloud) == message.height * message.width == result.height * result.width
    message.fields = [field for field in message.fields if field.name not in ("", "_")]
    if len(cloud):
        check_against_literal(message, cloud)
        check_against_literal(result, decode(result))


def test_a_cloud_survives_the_round_trip(types):
    channels = {"intensity": np.float32([0, 0.25, 0.5, 0.75, 1]), "uv": np.ones((5, 2), np.float32)}
    cloud = little_cloud(**channels)
    message = encode_cloud(cloud, types)
    again = decode(message)
    np.testing.assert_array_equal(again.xyz, cloud.xyz)
    assert again.stamp == cloud.stamp
    assert again.frame_id == "velodyne"
    for name, values in channels.items():
        np.testing.assert_array_equal(again.channels[name], values)
    assert message.is_dense


def test_rclpy_and_rosbags_messages_come_out_alike(rosbags_types, rclpy_types):
    cloud = little_cloud(intensity=np.linspace(0, 1, 5, dtype=np.float32))
    results = [
        encode_semantic(encode_cloud(cloud, types), labels_for(5), PALETTE)
        for types in (rosbags_types, rclpy_types)
    ]
    ours, theirs = results
    assert isinstance(theirs.data, array.array)
    assert bytes(ours.data) == bytes(theirs.data)
    for name in ("height", "width", "point_step", "row_step", "is_bigendian", "is_dense"):
        assert getattr(ours, name) == getattr(theirs, name)
    rows = [[(f.name, f.offset, f.datatype, f.count) for f in m.fields] for m in results]
    assert rows[0] == rows[1]
    np.testing.assert_array_equal(decode(ours).xyz, decode(theirs).xyz)


def test_semantic_fields_have_the_types_and_colours_of_the_contract(types):
    semantic = labels_for(5)
    result = encode_semantic(encode_cloud(little_cloud(), types), semantic, PALETTE)
    assert {f.name: (f.datatype, f.count) for f in result.fields} == {
        **dict.fromkeys("xyz", (7, 1)),
        "label": (2, 1),
        "confidence": (7, 1),
        "seen": (2, 1),
        "rgb": (7, 1),
    }
    offset = next(field.offset for field in result.fields if field.name == "rgb")
    assert offset % 4 == 0
    bits = [
        struct.unpack_from("<I", bytes(result.data), i * result.point_step + offset)[0]
        for i in range(5)
    ]
    red, green, blue = PALETTE[semantic.labels].astype(int).T
    assert bits == (red * 65536 + green * 256 + blue).tolist()


def test_fields_of_the_results_names_are_replaced(types):
    once = encode_semantic(encode_cloud(little_cloud(), types), labels_for(5, 0), PALETTE)
    twice = encode_semantic(once, labels_for(5, 1), PALETTE)
    fresh = encode_semantic(encode_cloud(little_cloud(), types), labels_for(5, 1), PALETTE)
    assert bytes(twice.data) == bytes(fresh.data)
    assert [f.name for f in twice.fields] == [f.name for f in fresh.fields]
    assert bytes(once.data) != bytes(twice.data)


def test_the_input_is_left_as_it_was(types):
    message = encode_cloud(little_cloud(), types)
    before = bytes(message.data), len(message.fields), message.point_step
    encode_semantic(message, labels_for(5), PALETTE)
    assert (bytes(message.data), len(message.fields), message.point_step) == before


def test_an_empty_cloud_has_no_points_and_all_fields(types):
    message = encode_cloud(little_cloud(0, intensity=np.zeros(0, np.float32)), types)
    cloud = decode(message)
    assert cloud.xyz.shape == (0, 3)
    assert cloud.channels["intensity"].shape == (0,)
    result = encode_semantic(message, labels_for(0), PALETTE)
    assert len(result.data) == 0
    assert [field.name for field in result.fields][-4:] == ["label", "confidence", "seen", "rgb"]


def test_invalid_points_keep_their_place(types):
    cloud = little_cloud()
    cloud.xyz[:] = np.nan
    message = encode_cloud(cloud, types)
    assert not message.is_dense
    assert len(decode(message)) == 5
    assert np.isnan(decode(message).xyz).all()
    assert not encode_semantic(message, labels_for(5), PALETTE).is_dense


def test_an_organised_cloud_is_read_row_by_row():
    xyz = np.arange(18, dtype="<f4").reshape(2, 3, 3)
    rows = [row.tobytes() + b"pad" for row in xyz]
    fields = [(axis, 4 * i, 7, 1) for i, axis in enumerate("xyz")]
    message = make_message(fields, 2, 3, 12, 39, b"".join(rows))
    np.testing.assert_array_equal(decode(message).xyz, xyz.reshape(-1, 3))
    result = encode_semantic(message, labels_for(6), PALETTE)
    assert (result.height, result.width, result.row_step) == (2, 3, 3 * result.point_step)
    np.testing.assert_array_equal(decode(result).xyz, xyz.reshape(-1, 3))


@pytest.mark.parametrize("row_step", [0, 5, 999])
def test_the_row_step_of_a_single_row_does_not_matter(types, row_step):
    cloud = little_cloud()
    message = encode_cloud(cloud, types)
    message.row_step = row_step  # bags hold clouds with the number of points in it
    np.testing.assert_array_equal(decode(message).xyz, cloud.xyz)
    result = encode_semantic(message, labels_for(5), PALETTE)
    assert len(result.data) == result.row_step == 5 * result.point_step


def test_fields_named_like_several_axes_are_channels(types):
    cloud = little_cloud(xy=np.ones(5, np.float32), yz=np.zeros(5, np.float32))
    assert set(decode(encode_cloud(cloud, types)).channels) == {"xy", "yz"}


def test_only_the_channels_asked_for_are_decoded(types):
    channels = {name: np.ones(5, np.float32) for name in ("ring", "time", "intensity")}
    message = encode_cloud(little_cloud(**channels), types)
    assert set(decode(message, ["ring", "x", "absent"]).channels) == {"ring"}
    assert decode(message, []).channels == {}


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (["intensity", "reflectivity"], "intensity"),
        (["reflectivity", "i"], "i"),
        (["reflectivity"], "reflectivity"),
    ],
)
def test_intensity_is_found_by_its_usual_names_and_scaled(types, names, source):
    channels = {name: np.full(5, 10.0 * (i + 1), np.float32) for i, name in enumerate(names)}
    cloud = decode(encode_cloud(little_cloud(**channels), types), intensity_scale=0.5)
    np.testing.assert_array_equal(cloud.channels["intensity"], channels[source] * 0.5)
    for name in set(names) - {source}:
        np.testing.assert_array_equal(cloud.channels[name], channels[name])
    assert set(cloud.channels) == {"intensity", *names} - ({source} - {"intensity"})


def test_a_cloud_without_intensity_has_no_such_channel(types):
    assert decode(encode_cloud(little_cloud(), types), ["intensity"]).channels == {}


FLOATS = [(axis, 4 * i, 7, 1) for i, axis in enumerate("xyz")]


@pytest.mark.parametrize(
    ("fields", "change", "reason"),
    [
        (FLOATS[:2], {}, "no field 'z'"),
        ([], {}, "fields are none"),
        ([*FLOATS[:2], ("z", 8, 5, 1)], {}, "no field 'z' of type FLOAT32"),
        ([*FLOATS[:2], ("z", 8, 7, 2)], {"point_step": 16}, "no field 'z' of type FLOAT32"),
        ([*FLOATS, ("ring", 12, 9, 1)], {"point_step": 16}, "'ring' has the unknown datatype 9"),
        ([*FLOATS, ("ring", 12, 4, 1)], {}, "'ring' ends at byte 14 of a point"),
        ([*FLOATS, ("x", 0, 7, 1)], {}, "two fields are named 'x'"),
        (FLOATS, {"data": bytes(12 * 4 - 1)}, "47 bytes of data are fewer"),
        (FLOATS, {"height": 2, "row_step": 40}, "row_step 40 is less than 4 points of 12 bytes"),
        (FLOATS, {"point_step": 0}, "point_step is 0"),
    ],
)
def test_a_contradictory_layout_is_refused_with_the_reason(fields, change, reason):
    values = {"height": 1, "width": 4, "point_step": 12, "row_step": 48, "data": bytes(48)}
    values |= change
    if "point_step" in change and "row_step" not in change:
        values["row_step"] = 4 * values["point_step"]
        values["data"] = bytes(values["row_step"])
    message = make_message(fields, **values)
    with pytest.raises(MessageError, match=reason) as caught:
        decode(message)
    assert "cloud of 12.000000345 in frame 'lidar'" in str(caught.value)


def test_labels_of_another_cloud_are_refused(types):
    message = encode_cloud(little_cloud(), types)
    with pytest.raises(MessageError, match="5 points cannot take 4 labels"):
        encode_semantic(message, labels_for(4), PALETTE)
    short = replace(labels_for(5), seen=np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="broadcast"):
        encode_semantic(message, short, PALETTE)
