import pytest

from wsss_perception.errors import TagsError
from wsss_perception.ontology import load_ontology
from wsss_training.tags import SceneTags, read_tags
from wsss_training.tags.suggestions import Suggestions, read_suggestions, write_suggestions

KITTI = load_ontology("semantic_kitti")
SURE = {"00": dict.fromkeys(KITTI.classes, 0.0) | {"car": 0.75, "pole": 0.3, "road": 0.912}}
TAGS = SceneTags(KITTI, {"00": frozenset({"car", "road"})})


@pytest.mark.parametrize("ending", [".yaml", ".csv"])
def test_suggestions_are_an_ordinary_file_of_tags_with_confidences_beside_it(tmp_path, ending):
    path = tmp_path / f"suggested{ending}"
    write_suggestions(path, Suggestions(TAGS, SURE), "semantic_kitti")
    assert read_tags(path).classes == TAGS.classes
    read = read_suggestions(path)
    assert read.tags == TAGS
    assert read.confidence["00"] == pytest.approx(SURE["00"], abs=5e-4)
    assert read.line("00") == "suggested: road 0.91, car 0.75; doubtful: pole 0.30"


def test_tags_without_confidences_are_suggestions_too(tmp_path):
    path = tmp_path / "tags.yaml"
    write_suggestions(path, Suggestions(TAGS, SURE), "semantic_kitti")
    (tmp_path / "tags.confidence.csv").unlink()
    assert read_suggestions(path).line("00") == "suggested: car, road"


def test_a_scene_may_have_none_of_the_classes():
    nothing = Suggestions(SceneTags(KITTI, {"00": frozenset()}), {})
    assert nothing.line("00") == "suggested: none of the classes"


@pytest.mark.parametrize(
    "text", ["", "scene,car\n00,1\n", "00,0.5", "{head}\n00,x", "{head}\n00,1"]
)
def test_damaged_confidences_are_named(tmp_path, text):
    path = tmp_path / "tags.yaml"
    write_suggestions(path, Suggestions(TAGS, SURE), "semantic_kitti")
    head = ",".join(["scene", *KITTI.classes])
    (tmp_path / "tags.confidence.csv").write_text(text.replace("{head}", head))
    with pytest.raises(TagsError, match=r"tags\.confidence\.csv.*remove the file"):
        read_suggestions(path)
