import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss_perception.ontology import load_ontology
from wsss_training.tags.sheet_note import describe_sheet, has_other_classes, note_of, read_note


@pytest.fixture
def draw(tmp_path):
    """Draws a picture with a note."""

    def make(note=None):
        comment = {} if note is None else {"comment": note.encode()}
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", **comment)
        return tmp_path / "a.jpg"

    return make


@pytest.mark.parametrize("labels", [False, True])
def test_note_is_read_back(draw, things, labels):
    for ontology in (None, things):
        assert read_note(draw(note_of(ontology, labels))) == note_of(ontology, labels)


def test_picture_is_described_with_what_to_beware_of(draw, things, tmp_path):
    other = load_ontology("nuscenes")
    path = tmp_path / "a.jpg"
    for note, flaw in (
        (note_of(things, False), ""),
        (note_of(other, False), " (numbers other classes, of ontology 'nuscenes')"),
        (note_of(None, False), " (lists no classes)"),
        (note_of(things, True), " (may show labels)"),
        (None, " (not drawn by contact-sheet: its numbers may be of other classes)"),
    ):
        assert describe_sheet(draw(note), things) == f"{path}{flaw}"
        assert has_other_classes(path, things) == ("nuscenes" in flaw)
    assert describe_sheet(tmp_path / "b.jpg", things).endswith("(not drawn yet: contact-sheet)")


@given(st.binary(max_size=20) | st.sampled_from([b"[]", b"{}", b'{"contact_sheet": 3}']))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_other_pictures_and_files_have_no_note(tmp_path, data):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, comment=data)
    assert read_note(path) is None
    path.write_bytes(data)
    assert read_note(path) is None
