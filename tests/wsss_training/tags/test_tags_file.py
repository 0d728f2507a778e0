import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsss_perception.errors import TagsError
from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.tags import SceneTags, read_tags, write_tags
from wsss_training.tags.tags_file import refer_to_ontology

KITTI = load_ontology("semantic_kitti")
GOOD_YAML = """\
schema: 1
ontology: semantic_kitti
scenes:
  "00": [car, road]
  plain: []
"""
GOOD_CSV = "ontology, semantic_kitti\n00, car, road\nplain\n"
# a fixed folder per test, which hypothesis' examples share on purpose
SHARED_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30
)


def written(folder, text, name="tags.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "name"), [(GOOD_YAML, "tags.yaml"), (GOOD_CSV, "tags.csv")])
def test_tags_are_read_with_and_without_byte_order_mark(tmp_path, text, name):
    for mark in ("", "\ufeff"):
        tags = read_tags(written(tmp_path, mark + text, name))
        assert tags.classes == {"00": frozenset({"car", "road"}), "plain": frozenset()}
        assert tags.ontology == KITTI


def test_vector_follows_the_ontology_and_is_none_for_untagged_scenes(tmp_path):
    tags = read_tags(written(tmp_path, GOOD_YAML))
    vector = tags.vector("00")
    assert [KITTI.classes[i] for i in vector.nonzero()[0]] == ["car", "road"]
    assert not tags.vector("plain").any()
    assert tags.vector("01") is None


def test_csv_of_a_spreadsheet_is_read(tmp_path):
    text = 'ontology,semantic_kitti,,\r\n00,"car",,road\r\n,,,\r\nplain,,,\r\n'
    tags = read_tags(written(tmp_path, text, "tags.csv"))
    assert tags.classes == {"00": frozenset({"car", "road"}), "plain": frozenset()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tags.yaml", GOOD_YAML.replace("road", "Raod").replace("[]", "[cra, qqqqq]")),
        ("tags.csv", GOOD_CSV.replace("road", "Raod").replace("plain", "plain, cra, qqqqq")),
    ],
)
def test_unknown_class_is_named_with_scene_and_nearest(tmp_path, name, text):
    path = written(tmp_path, text, name)
    with pytest.raises(TagsError, match=r"'00'.* no class 'Raod'; did you mean 'road'") as error:
        read_tags(path)
    assert str(error.value).startswith(str(path))
    assert "2 more unknown names" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"00"', "00", r'line 4: 00 is no text in YAML; quote it: "00"'),
        ('"00"', "2011_09_26", r'quote it: "2011_09_26"'),
        ('"00"', "2011-09-26", r'quote it: "2011-09-26"'),
        ("road", "no", r'line 4: no is no text in YAML; quote it: "no"'),
        ("plain", '"00"', r"line 5: '00' stands here a second time"),
        ("[]", "", r"line 5: scene 'plain' needs a list .* leave the scene out"),
        ("[]", "car", r"scene 'plain' needs a list"),
        ("[]", "[[car]]", r"line 5: a name must stand here"),
        ("[]", "[~]", r"line 5: a name must stand here"),
        ("plain", '" plain"', r"line 5: ' plain' cannot be a name"),
        ("schema: 1", "schema: 2", r"line 1: only 'schema: 1' is known"),
        ("schema: 1\n", "", r"has no 'schema'; it needs 'schema: 1', 'ontology' and 'scenes'"),
        ("schema: 1", "schema: 1\nscene: 3", r"'scene' is not known"),
        ("semantic_kitti", "semantic_kiti", r"shipped: .*semantic_kitti"),
        ("semantic_kitti", "mine.yaml", r"mine\.yaml: no such file"),
        ("road]", "road", r"not readable YAML"),
        ('"00"', '"\\Uffffffff"', r"not readable YAML"),
        ("[]", "[" * 1100, r"not readable YAML"),
        ("car", "\udc80", r"is not UTF-8"),
    ],
)
def test_flaw_in_yaml_is_named(tmp_path, old, new, message):
    text = GOOD_YAML.replace(old, new, 1).encode(errors="surrogateescape")
    path = written(tmp_path, text)
    with pytest.raises(TagsError, match=message) as error:
        read_tags(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; the first line must be"),
        ("00, car\n", "line 1: the first line must be 'ontology, <its name>'"),
        (GOOD_CSV + "00, road\n", "line 4: '00' stands here a second time"),
        (GOOD_CSV + ", road\n", "line 4: the scene is missing"),
        (GOOD_CSV + '"x', "not readable CSV"),
        (GOOD_CSV + "a\x07b, car", "cannot be a name"),
    ],
)
def test_flaw_in_csv_is_named(tmp_path, text, message):
    path = written(tmp_path, text, "tags.csv")
    with pytest.raises(TagsError, match=message) as error:
        read_tags(path)
    assert str(error.value).startswith(str(path))


def test_files_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(TagsError, match=r"ends in \.yaml, \.yml, \.csv"):
        read_tags(tmp_path / "tags.txt")
    with pytest.raises(TagsError, match=r"missing\.csv: tags cannot be read: No such file"):
        read_tags(tmp_path / "missing.csv")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(TagsError, match="cannot be read"):
        read_tags(tmp_path / "folder.yaml")


def test_ontology_of_ones_own_is_found_beside_the_file(tmp_path, monkeypatch):
    own = Ontology("own", ("on", "a, b", "tree"), ((1, 2, 3),) * 3, ((1,), (2,), (3,)))
    (tmp_path / "classes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    ontology = tmp_path / "classes" / "own.yaml"
    ontology.write_text(yaml.safe_dump(own.to_dict()))
    monkeypatch.chdir(tmp_path / "elsewhere")
    tags = SceneTags(own, {"s": frozenset({"on", "a, b"}), "t": frozenset()})
    for path in (tmp_path / "tags" / "t.yaml", tmp_path / "tags" / "t.csv"):
        reference = refer_to_ontology(path, "../classes/own.yaml")
        assert reference == "../classes/own.yaml"
        write_tags(path, tags, reference)
        assert read_tags(path) == tags
    assert refer_to_ontology("t.yaml", "../classes/own.yaml") == "../classes/own.yaml"
    assert refer_to_ontology("../t.yaml", "own.yaml") == "elsewhere/own.yaml"
    assert refer_to_ontology(path, "nuscenes") == "nuscenes"


def test_writing_keeps_the_order_and_leaves_nothing_behind(tmp_path):
    tags = SceneTags(KITTI, {"b": frozenset({"road", "car"}), "00": frozenset()})
    path = tmp_path / "new" / "tags.yml"
    write_tags(path, tags, "semantic_kitti")
    assert path.read_text() == (
        'schema: 1\nontology: semantic_kitti\nscenes:\n  "b": [car, road]\n  "00": []\n'
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["tags.yml"]


@pytest.mark.parametrize(
    ("scene", "name", "message"),
    [
        ("00", "cra", "scene '00': ontology 'semantic_kitti' has no class 'cra'"),
        ("", "car", "'' cannot be a name"),
        ("a\nb", "car", "cannot be a name"),
        ("\ud800", "car", "cannot be a name"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path, scene, name, message):
    path = written(tmp_path, GOOD_YAML)
    with pytest.raises(TagsError, match=message):
        write_tags(path, SceneTags(KITTI, {scene: frozenset({name})}), "semantic_kitti")
    assert path.read_text() == GOOD_YAML


def test_failed_write_keeps_the_file(tmp_path, monkeypatch):
    path = written(tmp_path, GOOD_YAML)

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(TagsError, match="tags cannot be written: No space left"):
        write_tags(path, SceneTags(KITTI, {}), "semantic_kitti")
    assert path.read_text() == GOOD_YAML
    assert [entry.name for entry in tmp_path.iterdir()] == ["tags.yaml"]


NAMES = st.text(min_size=1, max_size=12).filter(lambda s: s.isprintable() and s == s.strip())
TAGS = st.dictionaries(
    NAMES | st.sampled_from(["00", "1e3", "no", "#x", "a: b", "ontology", "Area_1/hall_2", "~"]),
    st.frozensets(st.sampled_from(KITTI.classes), max_size=5),
    max_size=5,
)


@given(classes=TAGS)
@settings(SHARED_FOLDER, max_examples=12)
def test_tags_come_back_from_yaml_and_from_csv(tmp_path, classes):
    tags = SceneTags(KITTI, classes)
    first, second, third = (tmp_path / name for name in ("a.yaml", "b.csv", "c.yaml"))
    write_tags(first, tags, "semantic_kitti")
    write_tags(second, read_tags(first), "semantic_kitti")
    write_tags(third, read_tags(second), "semantic_kitti")
    assert read_tags(third) == tags
    assert list(read_tags(second).classes) == list(classes)
    assert first.read_bytes() == third.read_bytes()


@given(classes=st.lists(NAMES, unique=True, min_size=1, max_size=5), scene=NAMES)
@SHARED_FOLDER
def test_class_names_of_any_kind_come_back(tmp_path, classes, scene):
    colors, raw = ((1, 2, 3),) * len(classes), tuple((i + 1,) for i in range(len(classes)))
    own = Ontology("own", tuple(classes), colors, raw)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own.to_dict()), encoding="utf-8")
    tags = SceneTags(own, {scene: frozenset(classes)})
    for path in (tmp_path / "t.yaml", tmp_path / "t.csv"):
        write_tags(path, tags, "own.yaml")
        assert read_tags(path) == tags


@given(data=st.binary(max_size=200))
@pytest.mark.parametrize("ending", ["yaml", "csv"])
@SHARED_FOLDER
def test_random_bytes_are_refused_as_tags(tmp_path, ending, data):
    with pytest.raises(TagsError):
        read_tags(written(tmp_path, data, f"random.{ending}"))


@given(data=st.data())
@pytest.mark.parametrize(("ending", "text"), [("yaml", GOOD_YAML), ("csv", GOOD_CSV)])
@SHARED_FOLDER
def test_damaged_files_raise_tags_errors_only(tmp_path, ending, text, data):
    whole = text.encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    patch = data.draw(st.binary(max_size=4) | st.sampled_from([b"&a ", b"*a", b"!!x ", b"---\n"]))
    path = written(tmp_path, whole[:start] + patch + whole[end:], f"cut.{ending}")
    message = str(path)
    try:
        read_tags(path)
    except TagsError as error:
        message = str(error)
    assert message.startswith(str(path))
