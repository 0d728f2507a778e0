import sys

import pytest
from made_networks import made_texts, write_answering

from wsss_perception.__main__ import COMMANDS
from wsss_perception.bundle import read_bundle
from wsss_perception.cli import main
from wsss_perception.texts import write_texts


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    made = write_answering(tmp_path_factory.mktemp("answering") / "bundle")[0]
    (made.folder / "README.md").write_text("# Card\n\n> Handle with care.\n")
    return made


@pytest.fixture(autouse=True)
def _no_open_clip(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)


def run(*words):
    return main("wsss_perception", COMMANDS, ["set-classes", *map(str, words)])


def test_classes_of_the_bundle_s_own_phrases(bundle, tmp_path, capsys):
    assert run(bundle.folder, tmp_path / "two", "--classes", "car", "a red chair") == 0
    out = capsys.readouterr().out
    assert "Handle with care." in out
    assert "2 classes: car, a red chair" in out
    assert "the temperature, 2, was fitted on the former classes" in out
    made = read_bundle(tmp_path / "two")
    assert (made.spec.ontology.name, made.spec.ontology.classes) == ("two", ("car", "a red chair"))
    assert (made.folder / "README.md").read_text() == (bundle.folder / "README.md").read_text()


def test_classes_of_a_file_of_texts(bundle, tmp_path):
    texts = made_texts(("sofa", "lamp", "sofa", "background: sky"), teacher="made up")
    write_texts(tmp_path / "t.safetensors", texts)
    given = ("--texts", tmp_path / "t.safetensors")
    assert run(bundle.folder, tmp_path / "all", *given) == 0
    assert read_bundle(tmp_path / "all").spec.ontology.classes == ("sofa", "lamp")
    assert run(bundle.folder, tmp_path / "some", *given, "--classes", "lamp", "car") == 0
    assert read_bundle(tmp_path / "some").spec.ontology.classes == ("lamp", "car")


def test_classes_of_an_ontology(bundle, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: m\nignored: []\nclasses: [{name: car, color: [1, 2, 3], raw: [7]}]\n")
    assert run(bundle.folder, tmp_path / "new", "--ontology", path) == 0
    made = read_bundle(tmp_path / "new").spec.ontology
    assert (made.name, made.classes, made.colors, made.raw_ids) == (
        "m",
        ("car",),
        ((1, 2, 3),),
        ((7,),),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the classes: --classes, --ontology or --texts"),
        (["--classes", "sofa"], "sofa: not among the texts of"),
        (["--classes", "car", "car"], "class names are not unique"),
        (["--ontology", "nowhere"], "no file 'nowhere'"),
        (["--texts", "/nowhere"], "/nowhere: text embeddings cannot be read"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_written(
    bundle, tmp_path, capsys, words, message
):
    assert run(bundle.folder, tmp_path / "new", *words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_texts_of_another_teacher_are_refused(bundle, tmp_path, capsys):
    write_texts(tmp_path / "t", made_texts(("car",), teacher="another"))
    assert run(bundle.folder, tmp_path / "new", "--texts", tmp_path / "t") == 2
    assert "of 'another' and 64; take texts of the same teacher" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_bundle_may_be_changed_in_its_place(bundle, tmp_path):
    assert run(bundle.folder, tmp_path / "one", "--classes", "car") == 0
    assert run(tmp_path / "one", tmp_path / "one", "--classes", "road", "car") == 0
    assert read_bundle(tmp_path / "one").spec.ontology.classes == ("road", "car")
