import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_training.augment.mix3d import TaggedScene, ViewPairs, mix


def make_scene(seed, count=40, views=3, classes=5, name="a"):
    rng = np.random.default_rng(seed)
    xyz = (rng.normal(0, 2, (count, 3)) + rng.uniform(-20, 20, 3)).astype(np.float32)
    pairs = []
    for number in range(views):
        index = rng.permutation(count)[: count // 2]
        # the pixel tells the point, so that a wrong pair shows
        uv = np.stack([index, np.full(len(index), seed)], axis=1).astype(np.float64)
        pairs.append(ViewPairs(f"{name}{number}", index, uv))
    region = rng.integers(-1, 4, count).astype(np.int32)
    channels = {"point": np.arange(count, dtype=np.float32)}
    return TaggedScene(xyz, channels, region, rng.random(classes) < 0.5, tuple(pairs))


def test_mix_lays_the_second_scene_over_the_first_at_its_own_height():
    first, second = make_scene(1), make_scene(2, count=60)
    mixed = mix(first, second, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.xyz[:40], first.xyz)
    np.testing.assert_array_equal(mixed.xyz[40:, 2], second.xyz[:, 2])
    moved = mixed.xyz[40:, :2] - second.xyz[:, :2]
    np.testing.assert_allclose(moved, np.tile(moved[:1], (60, 1)), atol=1e-5)
    np.testing.assert_allclose(
        mixed.xyz[40:, :2].mean(axis=0), first.xyz[:, :2].mean(axis=0), atol=1e-4
    )
    assert mixed.xyz.dtype == np.float32
    np.testing.assert_array_equal(mixed.scene, np.repeat([0, 1], [40, 60]))
    np.testing.assert_array_equal(mixed.tags, first.tags | second.tags)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.integers(100, 199), st.integers(0, 5), st.integers(0, 5))
def test_mix_keeps_regions_and_pairs_of_the_scenes_apart(a, b, views_a, views_b):
    first = make_scene(a, 30, views_a, name="a")
    second = make_scene(b, 50, views_b, name="b")
    mixed = mix(first, second, np.random.default_rng(a))
    regions = [set(mixed.region[mixed.scene == number].tolist()) - {-1} for number in (0, 1)]
    assert not regions[0] & regions[1]
    np.testing.assert_array_equal(mixed.region[:30], first.region)
    np.testing.assert_array_equal(mixed.region[30:] == -1, second.region == -1)
    assert len(regions[1]) == len(set(second.region.tolist()) - {-1})
    assert len(mixed.views) == (views_a + 1) // 2 + views_b // 2
    assert len({view.image for view in mixed.views}) == len(mixed.views)
    for view, scene in zip(mixed.views, mixed.view_scene, strict=True):
        assert view.image.startswith("ab"[scene])
        assert (mixed.scene[view.index] == scene).all()
        np.testing.assert_array_equal(mixed.channels["point"][view.index], view.uv[:, 0])
        assert (view.uv[:, 1] == (a, b)[scene]).all()


def test_mix_chooses_all_views_in_the_long_run():
    first, second = make_scene(1, views=4, name="a"), make_scene(2, views=4, name="b")
    rng = np.random.default_rng(0)
    seen = {view.image for _ in range(40) for view in mix(first, second, rng).views}
    assert seen == {f"{name}{number}" for name in "ab" for number in range(4)}


def test_mix_does_not_let_invalid_points_move_a_scene():
    first, second = make_scene(1), make_scene(2)
    second.xyz[3] = np.nan
    mixed = mix(first, second, np.random.default_rng(0))
    assert np.isfinite(np.delete(mixed.xyz, 43, axis=0)).all()


def test_mix_refuses_scenes_that_do_not_fit():
    first, second = make_scene(1), make_scene(2, classes=4)
    with pytest.raises(ValueError, match="classes"):
        mix(first, second, np.random.default_rng(0))
    bare = TaggedScene(first.xyz, {}, first.region, first.tags)
    with pytest.raises(ValueError, match="channels"):
        mix(first, bare, np.random.default_rng(0))


def test_tagged_scene_refuses_arrays_of_other_lengths():
    scene = make_scene(1)
    with pytest.raises(ValueError, match="region"):
        TaggedScene(scene.xyz, {}, scene.region[1:], scene.tags)
    beyond = ViewPairs("x", np.array([40]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="beyond"):
        TaggedScene(scene.xyz, {}, scene.region, scene.tags, (beyond,))
