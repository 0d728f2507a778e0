import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.ontology import Ontology, load_ontology
from wsss_training.tags import SceneTags
from wsss_training.tags.suggestions import Suggestions
from wsss_training.tags.terminal import (
    AnswerError,
    TaggingSession,
    class_lines,
    help_lines,
    parse_classes,
)

KITTI = load_ontology("semantic_kitti")


class Terminal:
    """A person who types given lines, and what was said and saved."""

    def __init__(self, tags, scenes, *lines):
        self.lines, self.said, self.saved = list(lines), [], []
        self.session = TaggingSession(
            tags, scenes, self.saved.append, self.ask, self.said.append, describe=self.describe
        )

    def describe(self, scene):
        return f"look at {scene}"

    def ask(self, prompt):
        if not self.lines:
            raise EOFError
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line

    def run(self):
        self.session.run()
        return {scene: sorted(names) for scene, names in self.session.tags.classes.items()}

    @property
    def shown(self):
        """The scenes that were asked for, in order."""
        return [line.split()[-1] for line in self.said if "look at" in line]


@pytest.fixture
def tag(things):
    def make(*lines, scenes=("a", "b", "c"), tags=None):
        start = SceneTags(things, {s: frozenset(n) for s, n in (tags or {}).items()})
        return Terminal(start, scenes, *lines)

    return make


@pytest.mark.parametrize(
    ("answer", "classes"),
    [
        ("1", {"floor"}),
        ("5 1 5", {"floor", "tall_shelf"}),
        ("wall,table", {"wall", "table"}),
        ("  WALL ,, 4 ", {"wall", "table"}),
        ("shower curtain wall", {"wall", "shower curtain"}),
        ("wall show", {"wall", "shower curtain"}),
        ("shower cur table", {"shower curtain", "table"}),
        ("Shower_Curtain", {"shower curtain"}),
        ("tall-s f", {"tall_shelf", "floor"}),
    ],
)
def test_classes_are_read_from_numbers_names_and_beginnings(things, answer, classes):
    assert parse_classes(answer, things) == classes


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("0", "no class has the number 0; they go from 1 to 5"),
        ("6", "no class has the number 6"),
        ("9" * 5000, "no class has the number"),
        ("ta", "'ta' could be table, tall_shelf"),
        ("wall tabel", "no class 'tabel'; did you mean 'table'"),
        ("none wall", "no class 'none'"),
        ("curtain", r"no class 'curtain'; did you mean 'shower curtain'"),
        ("-1", "no class '-1'"),
        ("\udc80", r"no class '\\udc80'"),
    ],
)
def test_wrong_word_is_named_with_what_is_near(things, answer, message):
    with pytest.raises(AnswerError, match=message):
        parse_classes(answer, things)


def test_name_that_begins_another_one_is_meant_itself():
    cityscapes = load_ontology("cityscapes")
    assert parse_classes("car", KITTI) == {"car"}
    assert parse_classes("traffic light traffic sign", cityscapes) == {
        name for name in cityscapes.classes if name.startswith("traffic")
    }


@given(st.frozensets(st.sampled_from(KITTI.classes), min_size=1), st.booleans())
def test_every_set_of_classes_can_be_typed(classes, as_numbers):
    words = [str(KITTI.index(name) + 1) if as_numbers else name for name in classes]
    assert parse_classes(" ".join(words), KITTI) == classes


@given(st.text(max_size=30))
def test_anything_typed_is_classes_or_an_answer_error(text):
    classes, message = frozenset(), ""
    try:
        classes = parse_classes(text, KITTI)
    except AnswerError as error:
        message = str(error)
    assert classes <= set(KITTI.classes)
    assert message.isprintable()


def test_classes_are_listed_down_the_columns():
    lines = class_lines(KITTI)
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split()[:2] == ["1", "car"]
    assert lines[1].split()[:2] == ["2", "bicycle"]
    assert sum(len(line.split()) for line in lines) == 2 * len(KITTI)


def test_answers_are_saved_one_by_one(tag):
    terminal = tag("1 2", "none", "table")
    assert terminal.run() == {"a": ["floor", "wall"], "b": [], "c": ["table"]}
    assert [list(tags.classes) for tags in terminal.saved] == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert terminal.session.answers == 3
    assert "b: none of the classes" in terminal.said


def test_tagged_scenes_are_not_asked_for_and_stay(tag):
    terminal = tag("wall", scenes=("a", "b"), tags={"a": ["floor"], "elsewhere": ["table"]})
    assert terminal.run() == {"a": ["floor"], "elsewhere": ["table"], "b": ["wall"]}
    assert terminal.shown == ["b"]


def test_nothing_is_said_where_nothing_is_to_do(tag):
    terminal = tag(scenes=("a",), tags={"a": []})
    terminal.run()
    assert terminal.said == []


def test_wrong_and_empty_answers_are_asked_again(tag):
    terminal = tag("", "wal tabel", "?", "wall", "quit")
    assert terminal.run() == {"a": ["wall"]}
    assert terminal.shown == ["a", "b"]
    assert any("nothing was typed" in line for line in terminal.said)
    assert any("did you mean 'table'" in line for line in terminal.said)
    assert sum("same        the tags" in line for line in terminal.said) == 2  # at start, and "?"


def test_same_takes_the_answer_before(tag):
    assert tag("1 2", "skip", "same").run() == {"a": ["floor", "wall"], "c": ["floor", "wall"]}


def test_same_takes_the_scene_before_at_the_start(tag):
    terminal = tag("same", "quit", tags={"a": ["table"]})
    assert terminal.run() == {"a": ["table"], "b": ["table"]}


def test_same_without_a_scene_before_is_asked_again(tag):
    terminal = tag("same", "wall", "quit")
    assert terminal.run() == {"a": ["wall"]}
    assert "no scene before this one is tagged" in terminal.said


def test_same_after_back_takes_the_scene_before_and_no_later_one(tag):
    terminal = tag("1", "2", "3", "back", "back", "same", "quit", scenes="abcd")
    assert terminal.run()["b"] == ["floor"]
    terminal = tag("skip", "2", "3", "back", "back", "same", "quit", scenes="abcd")
    assert terminal.run() == {"b": ["wall"], "c": ["shower curtain"]}
    assert "no scene before this one is tagged" in terminal.said


def test_corrected_scene_is_counted_once(tag):
    terminal = tag("1", "2", "back", "table", "quit")
    assert terminal.run() == {"a": ["floor"], "b": ["table"]}
    assert terminal.session.answers == 2


def test_classes_named_as_commands_or_numbers_go_by_number():
    names = ("wall", "None", "same", "?", "7", "same-thing")
    ids = tuple((number,) for number in range(1, 7))
    own = Ontology("own", names, ((1, 2, 3),) * 6, ids)
    assert help_lines(own)[1:] == [
        "type the number of these classes: 2 for None, 3 for same, 4 for ?, 5 for 7"
    ]
    terminal = Terminal(SceneTags(own, {}), "a", "?", "2 3")
    assert terminal.run() == {"a": ["None", "same"]}
    assert sum("2 for None" in line for line in terminal.said) == 2  # at start, and "?"
    assert len(help_lines(KITTI)) == 1


def test_back_corrects_and_returns_to_where_it_was(tag):
    terminal = tag("1", "2", "back", "back", "table", "wall")
    assert terminal.run() == {"a": ["table"], "b": ["wall"], "c": ["wall"]}
    assert terminal.shown == ["a", "b", "c", "b", "a", "c"]
    assert "now: floor" in terminal.said


def test_back_and_skip_leaves_the_tags_as_they_are(tag):
    terminal = tag("1", "back", "skip", "2", "quit")
    assert terminal.run() == {"a": ["floor"], "b": ["wall"]}


def test_back_at_the_first_scene_is_asked_again(tag):
    terminal = tag("back", "wall", "quit")
    assert terminal.run() == {"a": ["wall"]}
    assert "this is the first scene that was asked for" in terminal.said


def test_end_of_input_and_interrupts_lose_nothing(tag):
    terminal = tag("wall")
    assert terminal.run() == {"a": ["wall"]}
    terminal = tag("wall", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        terminal.run()
    assert terminal.saved[-1].classes == {"a": {"wall"}}


@given(st.lists(st.sampled_from(["1", "none", "same", "skip", "back", "?", "", "x9"]), max_size=30))
def test_any_course_of_answers_ends_with_what_was_saved(lines):
    terminal = Terminal(SceneTags(KITTI, {}), ("a", "b", "c"), *lines)
    classes = terminal.run()
    if terminal.saved:
        assert terminal.saved[-1] == terminal.session.tags
    else:
        assert classes == {}
    assert set(classes) <= {"a", "b", "c"}
    assert terminal.session.answers == len(classes)


def test_suggestions_are_shown_and_taken_by_yes(things):
    suggested = SceneTags(things, {"a": frozenset({"wall"}), "c": frozenset({"floor"})})
    terminal = Terminal(SceneTags(things, {}), ("a", "b", "c"), "yes", "yes", "none", "yes, table")
    terminal.session = TaggingSession(
        SceneTags(things, {}),
        ("a", "b", "c"),
        terminal.saved.append,
        terminal.ask,
        terminal.said.append,
        suggestions=Suggestions(suggested, {"a": {"wall": 0.9, "table": 0.4}}),
    )
    assert terminal.run() == {"a": ["wall"], "b": [], "c": ["floor", "table"]}
    assert "suggested: wall 0.90; doubtful: table 0.40; 'yes' takes what is suggested" in (
        terminal.said
    )
    assert "nothing is suggested for this scene" in terminal.said


def test_yes_is_no_answer_where_nothing_is_suggested(tag):
    terminal = tag("yes", "wall", scenes=("a",))
    assert terminal.run() == {"a": ["wall"]}
    assert "nothing is suggested for this scene" in terminal.said
