import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_training.world.road import (
    GROUNDS,
    KERB,
    Band,
    CenterLine,
    Road,
    Strip,
    Waves,
    build_ground,
    draw_waves,
)

FLAT = Waves(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
STRIPS = (
    Strip("road", -3.0, 3.0),
    Strip("sidewalk", 3.0, 5.0),
    Strip("terrain", 5.0, 20.0),
    Strip("terrain", -3.0, -20.0),
)

lines = st.builds(
    CenterLine,
    st.just(-40.0),
    st.just(60.0),
    st.floats(-0.008, 0.008),
    st.floats(0, 0.1),
    st.floats(60, 140),
)


def street(waves: Waves = FLAT) -> Road:
    return Road(CenterLine(-20, 40, 0.0, 0.0, 100.0), waves, STRIPS, 1, 3.0)


@given(lines, st.floats(-39, 59))
def test_center_line_is_measured_in_metres(line: CenterLine, s: float) -> None:
    x, y = line.to_world(np.array([s, s + 0.5]), 0.0)
    assert np.hypot(np.diff(x), np.diff(y))[0] == pytest.approx(0.5, abs=0.01)


@given(lines, st.floats(-39, 59), st.floats(0.5, 15))
def test_positive_offset_is_to_the_left(line: CenterLine, s: float, d: float) -> None:
    (x0, y0), (x1, y1) = line.to_world(s, 0.0), line.to_world(s, d)
    heading = line.heading(s)
    assert np.hypot(x1 - x0, y1 - y0) == pytest.approx(d)
    assert np.cos(heading) * (y1 - y0) - np.sin(heading) * (x1 - x0) == pytest.approx(d)


def test_vehicle_starts_at_the_origin() -> None:
    x, y = CenterLine(-40, 60, 0.005, 0.05, 90.0).to_world(0.0, 0.0)
    assert (float(x), float(y)) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_waves_stay_within_their_amplitude() -> None:
    waves = draw_waves(0.5, np.random.default_rng(0))
    x, y = np.random.default_rng(1).uniform(-200, 200, (2, 5000))
    heights = waves.height(x, y)
    assert 0.1 < np.abs(heights).max() <= 0.5


def test_band_replaces_only_what_it_may() -> None:
    road = street()
    road.bands.append(Band("paved", 10, 13, ("terrain",), 1, 12.0))
    road.bands.append(Band("road", 20, 26, ("terrain", "sidewalk"), 0, 20.0))
    assert road.kind_at(11, 8) == "paved"
    assert road.kind_at(11, 4) == "sidewalk"
    assert road.kind_at(11, 15) == "terrain"
    assert road.kind_at(11, -8) == "terrain"
    assert [road.kind_at(22, d) for d in (-15, 0, 4, 15)] == ["road"] * 4


def test_sidewalk_lies_a_kerb_above_the_road() -> None:
    road = street()
    assert road.place(5, 4.0)[2] - road.place(5, 0.0)[2] == pytest.approx(KERB)


def test_ground_has_no_holes_and_its_kinds_where_the_plan_has_them() -> None:
    import open3d

    road = street(draw_waves(0.3, np.random.default_rng(3)))
    road.bands.append(Band("road", 20, 26, ("terrain", "sidewalk"), 0, 20.0))
    actors = build_ground(road, np.random.default_rng(0))
    caster, labels = open3d.t.geometry.RaycastingScene(), []
    for actor in actors:
        for part in actor.parts:
            triangles = open3d.core.Tensor(part.mesh.triangles.astype(np.uint32))
            caster.add_triangles(open3d.core.Tensor(part.mesh.vertices), triangles)
            labels.append(part.surface.label)
    s, d = np.random.default_rng(4).uniform((-19.9, -19.9), (39.9, 19.9), (2000, 2)).T
    rays = np.column_stack([s, d, np.full(len(s), 10.0), np.tile([0, 0, -1.0], (len(s), 1))])
    answer = caster.cast_rays(open3d.core.Tensor(rays.astype(np.float32)))
    height = 10 - answer["t_hit"].numpy()
    assert np.isfinite(height).all()
    found = [labels[i] for i in answer["geometry_ids"].numpy()]
    expected = [GROUNDS[road.kind_at(*at)][0] for at in zip(s, d, strict=True)]
    agree = np.array([a == b for a, b in zip(found, expected, strict=True)])
    assert agree.mean() > 0.99  # tiles end at most a rounding away from the plan's edges
