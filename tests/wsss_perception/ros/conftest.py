"""Clouds a driver may send, good and bad, for the pipeline and for the running node alike."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsss_perception.bundle import Bundle, ModelSpec, NetworkSpec, write_bundle
from wsss_perception.features import Feature
from wsss_perception.frame import PointCloud
from wsss_perception.messages.point_cloud2 import encode_cloud
from wsss_perception.ontology import load_ontology

POINTS = 400


def drop_field(message: Any, name: str) -> None:
    message.fields = [field for field in message.fields if field.name != name]


def set_datatype(message: Any, datatype: int) -> None:
    message.fields[3].datatype = datatype


def cut_short(message: Any) -> None:
    message.data = message.data[:-8]


def shrink_point_step(message: Any) -> None:
    message.point_step = 8


def shrink_row_step(message: Any) -> None:
    message.height, message.width, message.row_step = 2, POINTS // 2, 16


BAD_CLOUDS: dict[str, tuple[Callable[[Any], None], str]] = {
    "no x": (lambda message: drop_field(message, "x"), "no field 'x'"),
    "no fields": (lambda message: message.fields.clear(), "the fields are none"),
    "no intensity": (
        lambda message: drop_field(message, "intensity"),
        "the model needs the channel 'intensity'",
    ),
    "unknown datatype": (lambda message: set_datatype(message, 42), "unknown datatype 42"),
    "truncated": (cut_short, "the message is cut short"),
    "point_step too small": (shrink_point_step, "offsets or point_step are wrong"),
    "row_step too small": (shrink_row_step, "must set row_step"),
}
"""What is done to a good cloud, and what the refusal says."""


def empty(message: Any) -> None:
    message.width, message.row_step, message.data = 0, 0, message.data[:0]


def all_nan(message: Any) -> None:
    values(message)[:, :3] = np.nan


def big_endian(message: Any) -> None:
    values(message)[...] = values(message).byteswap()
    message.is_bigendian = True


def organized_with_padded_rows(message: Any) -> None:
    rows, padding = 4, 24
    data = np.frombuffer(message.data, np.uint8).reshape(rows, -1)
    padded = np.pad(data, ((0, 0), (0, padding)), constant_values=0xFF)
    message.height, message.width = rows, POINTS // rows
    message.row_step = padded.shape[1]
    if isinstance(message.data, np.ndarray):
        message.data = padded.reshape(-1)
    else:
        message.data = type(message.data)("B", padded.tobytes())


ODD_CLOUDS: dict[str, Callable[[Any], None]] = {
    "empty": empty,
    "all NaN": all_nan,
    "big-endian": big_endian,
    "organized with padded rows": organized_with_padded_rows,
}
"""Unusual clouds that are right all the same."""


def values(message: Any) -> np.ndarray:
    """The message's own bytes as float32 [N, 4]; writable."""
    return np.frombuffer(message.data, np.float32).reshape(-1, 4)


@pytest.fixture(params=BAD_CLOUDS.values(), ids=BAD_CLOUDS.keys())
def bad_cloud(request: pytest.FixtureRequest) -> tuple[Callable[[Any], None], str]:
    return request.param


@pytest.fixture(params=ODD_CLOUDS.values(), ids=ODD_CLOUDS.keys())
def odd_cloud(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    return request.param


@pytest.fixture(scope="session")
def bad_clouds() -> dict[str, tuple[Callable[[Any], None], str]]:
    return BAD_CLOUDS


@pytest.fixture(scope="session")
def make_message() -> Callable[..., Any]:
    """Makes a cloud of POINTS points with intensity, of message classes of rclpy or rosbags."""

    def make(types: Mapping[str, Any], stamp: int = 1_500_000_000) -> Any:
        random = np.random.default_rng(3)
        xyz = random.uniform(-20, 20, (POINTS, 3)).astype(np.float32)
        intensity = random.uniform(0, 1, POINTS).astype(np.float32)
        return encode_cloud(PointCloud(xyz, {"intensity": intensity}, stamp, "velodyne"), types)

    return make


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return ModelSpec(
        ontology=load_ontology("semantic_kitti"),
        network=NetworkSpec("small", 0.5),
        features=(Feature("x", 0.02), Feature("y", 0.02), Feature("z", 0.3), Feature("intensity")),
        voxel_size=0.2,
        input_statistics={"intensity": {"p01": 0.0, "p50": 0.3, "p99": 0.99}},
    )


@pytest.fixture(scope="session")
def bundle(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A real bundle: the small network with random weights."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make install")
    pytest.importorskip("spconv", reason="spconv is not installed: make install")
    from safetensors.torch import save

    from wsss_perception.networks.minkunet import MinkUNet

    torch.manual_seed(0)
    network = MinkUNet(spec.network, len(spec.features), len(spec.ontology))
    folder: Path = tmp_path_factory.mktemp("models") / "small"
    return write_bundle(folder, spec, {"weights.safetensors": save(network.state_dict())})


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts nodes in processes of their own; takes what ``NodeProcess`` does after the folder."""
    from node_process import NodeProcess

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        started: list[NodeProcess] = []

        def start(*parameters: str, **options: Any) -> NodeProcess:
            started.append(NodeProcess(tmp_path_factory.mktemp("node"), *parameters, **options))
            return started[-1]

        yield start
        for node in started:
            node.close()
