import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.ontology import load_ontology
from wsss_training.data.sample import Sample
from wsss_training.dataset_pictures import spread
from wsss_training.tags.contact_sheet import draw_classes, draw_sheet, draw_sheets
from wsss_training.tags.scene_map import (
    color_points,
    draw_scene_map,
    group_sweeps,
    height_above_ground,
)


def area_of(picture, color, tolerance=12):
    """Number of pixels of about a colour."""
    near = np.abs(picture.astype(int) - np.array(color)).max(axis=2) <= tolerance
    return int(near.sum())


@given(st.integers(1, 400), st.integers(1, 12))
def test_choice_is_spread_from_first_to_last(count, wanted):
    chosen = spread(range(count), wanted)
    assert len(chosen) == min(count, wanted)
    assert chosen[0] == 0
    assert chosen[-1] == (count - 1 if wanted > 1 else 0)
    steps = np.diff(chosen)
    assert len(steps) == 0 or 0 < steps.max() <= steps.min() + 1


def test_page_shows_images_of_all_times_and_cameras(make_sample, make_image):
    colors = {"left": (250, 120, 10), "right": (10, 120, 250)}
    samples = [
        make_sample("a", k, images=[make_image(n, c, k * 10**9) for n, c in colors.items()])
        for k in range(9)
    ]
    page = draw_sheet(samples, 9)
    assert page.shape[1] == 1600
    left, right = area_of(page, colors["left"]), area_of(page, colors["right"])
    tile = (1600 / 3) ** 2 * 36 / 64
    assert left + right > 8.5 * tile * 0.85
    assert min(left, right) > 3 * tile


@pytest.mark.parametrize(
    ("count", "width", "height"),
    [(1, 124, 37), (1, 30, 60), (2, 64, 48), (7, 64, 36), (100, 30, 60), (300, 64, 48)],
)
def test_page_of_a_room_takes_any_number_and_shape_of_images(
    make_sample, make_image, count, width, height
):
    images = [make_image("color", stamp=k * 10**9, width=width, height=height) for k in range(2)]
    images = (images * count)[:count]
    page = draw_sheet([make_sample("room", images=images)], 1)
    assert 900 < page.shape[0] < 2000
    assert area_of(page, (250, 120, 10)) > 80_000


def test_page_without_images_has_the_map_and_the_classes(make_sample, things):
    page = draw_sheet([make_sample(labels=[0] * 60)], 1, things, things)
    assert page.shape[1] == 1600
    assert area_of(page, (10, 200, 30)) > 500  # the labels' colour, and the list's
    assert area_of(draw_sheet([make_sample(labels=[0] * 60)], 1, things), (200, 30, 10)) == 0


def test_colours_of_classes_are_listed_only_where_the_map_has_them(make_sample, things):
    few_labels = [1] * 10 + [UNKNOWN] * 50
    for labels, listed in ((few_labels, False), ([1] * 60, True)):
        page = draw_sheet([make_sample(labels=labels)], 1, things, things)
        assert (area_of(page, (30, 200, 200)) > 100) == listed  # a class that does not occur


def test_list_of_classes_fits_however_many_there_are(things):
    few = draw_classes(things, (300, 400), colored=True)
    assert few.shape == (400, 300, 3)
    for color in things.colors[:2]:
        assert area_of(few, color) > 50


def test_map_puts_forward_up_and_left_on_the_left():
    corners = np.float32([[10, 10, 0], [10, -10, 0], [-10, 10, 0], [-10, -10, 0]])
    channels = {"red": [255, 255, 0, 0], "green": [0, 255, 0, 0], "blue": [0, 0, 255, 0]}
    channels = {name: np.repeat(np.float32(of), 10) for name, of in channels.items()}
    cloud = PointCloud(np.repeat(corners, 10, axis=0), channels)
    picture = draw_scene_map([Sample("a/0", "a", cloud)], None, (400, 400))
    for color, row, column in (
        ((255, 0, 0), 15, 15),  # forward and left
        ((255, 255, 0), 15, 385),
        ((0, 0, 255), 385, 15),
    ):
        rows, columns = np.nonzero(np.abs(picture - np.array(color)).max(axis=2) < 30)
        assert abs(rows.mean() - row) < 5
        assert abs(columns.mean() - column) < 5


def test_map_joins_sweeps_where_they_were_taken():
    def sweep(number, x):
        pose = np.eye(4)
        pose[0, 3] = x
        return Sample(f"a/{number}", "a", PointCloud(np.zeros((50, 3), np.float32)), (), pose)

    # seen from the middle sweep the three places are 20 m apart, along the map's height
    picture = draw_scene_map([sweep(1, 20), sweep(0, 0), sweep(2, 40)], None, (200, 400))
    rows = np.flatnonzero((picture[:, 90:110].min(axis=2) > 240).any(axis=1))  # arrow heads
    assert len(np.flatnonzero(np.diff(rows) > 50)) == 2


@pytest.mark.parametrize(
    ("places", "groups"),
    [
        ([0, 10, 20], [[1, 0, 2]]),
        ([0, 30, 60, 90, 120, 150], [[1, 0, 2], [4, 3, 5]]),
        ([0, 100, 200, 300], [[1], [3]]),
        ([0, 500], [[0], [1]]),
        ([None, None, None], [[0], [2]]),
        ([None], [[0]]),
        ([0], [[0]]),
    ],
)
def test_sweeps_near_each_other_share_a_map(make_sample, places, groups):
    samples = [make_sample("a", number, x=x) for number, x in enumerate(places)]
    found = [[samples.index(s) for s in group] for group in group_sweeps(samples)]
    assert found == groups


def test_height_is_above_the_ground_nearby():
    rng = np.random.default_rng(0)
    xy = rng.uniform(-30, 30, (20_000, 2))
    above = np.where(rng.random(20_000) < 0.1, 2.0, 0.0)
    xyz = np.column_stack([xy, 0.05 * xy[:, 0] + above])  # a slope
    xyz[0, 2] = -5  # a reflection
    height = height_above_ground(xyz)
    assert np.abs(height - above)[1:].max() < 0.2
    assert height[0] == 0
    assert height_above_ground(np.zeros((0, 3))).shape == (0,)


def test_points_take_their_own_colours_before_height(things):
    values = np.float32([255, 0, 300])
    channels = {"red": values, "green": values[::-1], "blue": values * 0}
    cloud = PointCloud(np.zeros((3, 3), np.float32), channels)
    height, labels = np.zeros(3), np.array([0, 1, UNKNOWN], np.uint8)
    colors, caption = color_points(cloud, labels, height, None)
    assert colors.tolist() == [[255, 255, 0], [0, 0, 0], [255, 255, 0]]
    assert caption == "colours: as seen"
    colors, caption = color_points(cloud, labels, height, things)
    assert colors[:2].tolist() == [[10, 200, 30], [200, 30, 10]]
    assert caption == "colours: labels"


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((5, 3), np.nan), np.zeros((1, 3))])
def test_map_of_a_degenerate_cloud_is_drawn(points):
    sample = Sample("a/0", "a", PointCloud(points.astype(np.float32)))
    assert draw_scene_map([sample], None, (300, 200)).shape == (200, 300, 3)


def test_sheets_are_written_and_read_few_sweeps(tmp_path, make_sample, fake_dataset, things):
    samples = [make_sample("a", k) for k in range(40)] + [make_sample("Area_1/hall", 0)]
    dataset = fake_dataset(samples)
    found = list(draw_sheets(dataset, tmp_path / "sheets", ontology=things))
    paths = [tmp_path / "sheets" / "a.jpg", tmp_path / "sheets" / "Area_1" / "hall.jpg"]
    assert found == [(path, True) for path in paths]
    assert len(dataset.read) == 10
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size[0] == 1600
        assert [entry.suffix for entry in path.parent.iterdir() if entry.is_file()] == [".jpg"]


def test_sheets_show_labels_only_where_asked_for(tmp_path, make_sample, fake_dataset, things):
    dataset = fake_dataset([make_sample("a", labels=[0] * 60)])
    for labels in (False, True, False):
        [(path, is_new)] = draw_sheets(dataset, tmp_path, ontology=things, labels=labels)
        with Image.open(path) as picture:
            area = area_of(np.asarray(picture), things.colors[0], 40)
        assert is_new
        assert (area > 300) == labels


def test_sheets_of_other_classes_are_drawn_anew(tmp_path, make_sample, fake_dataset, things):
    dataset = fake_dataset([make_sample("a")])
    for ontology in (None, things, load_ontology("nuscenes")):
        found = [
            is_new for _ in range(2) for _, is_new in draw_sheets(dataset, tmp_path, None, ontology)
        ]
        assert found == [True, False]


def test_sheets_that_are_there_stay(tmp_path, make_sample, fake_dataset):
    dataset = fake_dataset([make_sample("a"), make_sample("b")])
    (tmp_path / "a.jpg").write_bytes(b"mine")
    assert [is_new for _, is_new in draw_sheets(dataset, tmp_path)] == [False, True]
    assert (tmp_path / "a.jpg").read_bytes() == b"mine"
    assert dataset.read == [1]


def test_unknown_scene_is_named_before_anything_is_drawn(tmp_path, make_sample, fake_dataset):
    dataset = fake_dataset([make_sample("a"), make_sample("b")])
    with pytest.raises(DatasetError, match="no scene 'c'; there are: a, b"):
        list(draw_sheets(dataset, tmp_path, ["a", "c"]))
    assert list(tmp_path.iterdir()) == []


def test_failed_drawing_leaves_no_picture(tmp_path, make_sample, make_image, fake_dataset):
    image = make_image()
    image.path.write_bytes(image.path.read_bytes()[:60])
    dataset = fake_dataset([make_sample("a", images=[image])])
    with pytest.raises(DatasetError, match=r"front_0\.png: image cannot be read"):
        list(draw_sheets(dataset, tmp_path / "sheets"))
    (tmp_path / "file").write_text("")
    dataset = fake_dataset([make_sample("a")])
    with pytest.raises(DatasetError, match=r"a\.jpg: cannot be written"):
        list(draw_sheets(dataset, tmp_path / "file"))
    assert not (tmp_path / "sheets").exists()
