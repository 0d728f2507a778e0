"""For which sizes of clouds a GPU engine is built; shared by all that build one."""

from dataclasses import dataclass

from wsss_perception.bundle import ModelSpec
from wsss_perception.engines.limits import most_voxels
from wsss_perception.lowering import FEATURES
from wsss_perception.networks.presets import sizes_of
from wsss_perception.tables import LEVELS, table_shapes

_TYPICAL = (40_000, 25_000, 12_000, 5_000, 2_000)
"""Voxels of a 64-beam sweep at 0.1 m, level by level: for bundles that do not tell theirs."""
_ROOM, _ROOM_LARGE = 4, 1.5
"""Largest clouds that an engine is built for: so many times the typical one, and the largest (p99)
of training."""

WHY = (
    "its TensorRT engine was built for by the sweeps of its training; give the model larger voxels "
    "or a training on such clouds, or take engine: onnxruntime"
)
"""What its limits come from, for the message that refuses a cloud beyond them."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """For how many voxels of each level an engine is tuned, and how many it takes at most."""

    typical: tuple[int, ...]
    most: tuple[int, ...]


def profile_of(spec: ModelSpec) -> Profile:
    """The profile for the sweeps that a model was trained on."""
    known = [spec.input_statistics.get(f"voxels{level}", {}) for level in range(LEVELS)]
    typical = tuple(
        max(int(statistics.get("p50", fallback)), 1)
        for statistics, fallback in zip(known, _TYPICAL, strict=True)
    )
    most = tuple(
        min(max(_ROOM * count, int(_ROOM_LARGE * statistics.get("p99", 0))), limit)
        for count, statistics, limit in zip(typical, known, most_voxels(spec), strict=True)
    )
    return Profile(typical, most)


def input_shapes(spec: ModelSpec, profile: Profile) -> dict[str, tuple[Shape, Shape, Shape]]:
    """The smallest, typical and largest shape of each of the graph's inputs."""
    columns_of = {
        FEATURES: (0, len(spec.features)),
        **table_shapes(sizes_of(spec.network).stem_kernel),
    }
    shapes = {}
    for name, (level, columns) in columns_of.items():
        rest = (columns,) if columns else ()
        counts = (1, profile.typical[level], profile.most[level])
        low, typical, most = ((count, *rest) for count in counts)
        shapes[name] = (low, typical, most)
    return shapes
