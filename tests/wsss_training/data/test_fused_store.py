import numpy as np
import pytest

from wsss_perception.errors import ConfigError, DatasetError
from wsss_training.data.fused_store import FusedStore, draw_some, rows_of

POINTS = np.float32([[1, 0, 0], [0, 0, 0], [0, 0.6, 0.8], [0, 0, 0], [0, 0, 1]])


def test_store_gives_back_what_is_seen(tmp_path):
    store = FusedStore(tmp_path / "fused", None, 3, {"teacher": "a"})
    assert not store.has("s/1")
    store.write("s/1", POINTS, "g")
    assert store.has("s/1")
    seen = store.seen("s/1")
    np.testing.assert_array_equal(seen, [True, False, True, False, True])
    rows = rows_of(seen)
    np.testing.assert_array_equal(rows, [0, -1, 1, -1, 2])
    np.testing.assert_allclose(store.read("s/1"), POINTS[seen], atol=1e-3)
    np.testing.assert_allclose(store.read("s/1", rows[[2, 4]]), POINTS[[2, 4]], atol=1e-3)
    assert store.read("s/1", rows[[1]][:0]).shape == (0, 3)


def test_store_restores_coordinates(tmp_path):
    span = np.float32([[0.6, 0.8], [0.8, -0.6], [0, 0]])
    store = FusedStore(tmp_path / "fused", span, 3, {})
    store.write("s/1", np.float32([[1, 0], [0, 0], [0.6, 0.8]]), "g")
    expected = [[0.6, 0.8, 0], [0.6 * 0.6 + 0.8 * 0.8, 0.6 * 0.8 - 0.8 * 0.6, 0]]
    np.testing.assert_allclose(store.read("s/1"), expected, atol=1e-3)


def test_the_foretold_size_is_that_of_the_files(tmp_path):
    store = FusedStore(tmp_path / "fused", None, 3, {})
    store.write("s/1", np.tile(POINTS, (1000, 1)), "g")
    files = list((tmp_path / "fused" / "s").glob("*.npy"))
    headers = 128 * len(files)
    assert sum(f.stat().st_size for f in files) - headers == store.bytes_for(5000, 3000)


def test_a_sample_whose_writing_was_cut_short_is_not_there(tmp_path):
    store = FusedStore(tmp_path / "fused", None, 3, {})
    store.write("s/1", POINTS, "g")
    (tmp_path / "fused" / "s" / "1.seen.npy").unlink()
    assert not store.has("s/1")


def test_a_folder_of_other_embeddings_is_refused(tmp_path):
    FusedStore(tmp_path / "fused", None, 3, {"teacher": "a"})
    FusedStore(tmp_path / "fused", None, 3, {"teacher": "a"})
    with pytest.raises(ConfigError, match="embeddings of another teacher"):
        FusedStore(tmp_path / "fused", None, 3, {"teacher": "b"})


def test_damage_is_named(tmp_path):
    store = FusedStore(tmp_path / "fused", None, 3, {})
    with pytest.raises(DatasetError, match=r"1\.seen\.npy: fused embeddings cannot be read"):
        store.seen("s/1")
    store.write("s/1", POINTS, "g")
    path = tmp_path / "fused" / "s" / "1.npy"
    path.write_bytes(path.read_bytes()[:140])
    with pytest.raises(DatasetError, match=r"1\.npy: fused embeddings cannot be read"):
        store.read("s/1")
    np.save(path, np.zeros((3, 4), np.float16))
    with pytest.raises(DatasetError, match=r"is \[3, 4\], not \[M, 3\]"):
        store.read("s/1")


def test_drawing_some_keeps_the_order_and_depends_on_the_seed():
    candidates = np.arange(100, 200)
    drawn = draw_some(candidates, 10, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 10
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, draw_some(candidates, 10, np.random.default_rng(0)))
    assert (drawn != draw_some(candidates, 10, np.random.default_rng(1))).any()
    assert draw_some(candidates, 100, np.random.default_rng(0)) is candidates


def test_a_sample_whose_geometry_has_changed_is_told(tmp_path):
    store = FusedStore(tmp_path / "fused", None, 3, {})
    store.write("s/1", POINTS, "here")
    store.write("s/2", POINTS, "there")
    store.check_geometry("s/1", "here")
    with pytest.raises(DatasetError, match=r"s/1: its points, images or calibration .* remove"):
        store.check_geometry("s/1", "there")
    digests = [store.digest(ids) for ids in (["s/1"], ["s/2"], ["s/1", "s/2"], ["s/2", "s/1"])]
    assert len(set(digests)) == 4
    store.write("s/2", POINTS, "here")
    assert store.digest(["s/2"]) not in digests
    (tmp_path / "fused" / "s" / "2.geometry.txt").unlink()
    with pytest.raises(DatasetError, match=r"2\.geometry\.txt: cannot be read"):
        store.digest(["s/2"])
