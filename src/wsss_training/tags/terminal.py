"""Tagging scenes in a terminal: what a person types, what it means, and what is kept."""

from collections.abc import Callable, Sequence

from wsss_perception.ontology import Ontology
from wsss_training.tags.scene_tags import SceneTags, fold_name, nearest_name
from wsss_training.tags.suggestions import Suggestions

HELP = """\
numbers and names of the classes that occur, in any order, with blanks between;
              a name may be cut short where its beginning is of one class only
  none        looked at, and none of the classes occurs
  yes         what is suggested, and the classes that stand behind, such as: yes 5 pole
  same        the tags of the nearest tagged scene before this one
  skip        leave this scene as it is
  back        correct the scene before this one
  quit        stop; everything is saved, and the same command goes on from here
  ?           this help"""

_COLUMN_WIDTH = 76
_COMMANDS = ("none", "yes", "same", "skip", "back", "quit", "help", "?")


class AnswerError(ValueError):
    """An answer that names no class; the message says which word, and what is near."""


def parse_classes(answer: str, ontology: Ontology) -> frozenset[str]:
    """Reads classes from numbers, counted from 1, names and beginnings of names.

    Words are separated by blanks or commas. A class of two words may be written with a blank.

    Raises:
        AnswerError: a word that is no class, or that could be several.
    """
    words = answer.replace(",", " ").split()
    longest = max(fold_name(name).count("-") + 1 for name in ontology.classes)
    found = set()
    while words:
        for length in range(min(longest, len(words)), 0, -1):
            candidates = _candidates("-".join(words[:length]), ontology)
            if len(candidates) == 1 or length == 1:
                break
        if len(candidates) != 1:
            raise AnswerError(_explain(words[0], candidates, ontology))
        found.add(candidates[0])
        words = words[length:]
    return frozenset(found)


def class_lines(ontology: Ontology, width: int = _COLUMN_WIDTH) -> list[str]:
    """Lists the numbered classes in columns, down and then right."""
    entries = [f"{number:3d} {name}" for number, name in enumerate(ontology.classes, 1)]
    cell = max(map(len, entries)) + 2
    columns = max(width // cell, 1)
    rows = -(-len(entries) // columns)
    return [
        "".join(f"{entry:<{cell}}" for entry in entries[row::rows]).rstrip() for row in range(rows)
    ]


def help_lines(ontology: Ontology) -> list[str]:
    """Lists what can be typed, and the classes whose names would be taken for something else."""
    numbered = [
        f"{number} for {name}"
        for number, name in enumerate(ontology.classes, 1)
        if fold_name(name) in _COMMANDS or _is_number(name)
    ]
    return [
        HELP,
        *([f"type the number of these classes: {', '.join(numbered)}"] if numbered else []),
    ]


class TaggingSession:
    """Asks for the tags of scenes, one after the other, and keeps every answer at once.

    Args:
        tags: what is tagged already.
        scenes: all scenes of the dataset, in order.
        save: keeps the tags; called after every answer.
        ask: shows a prompt and returns what is typed; raises EOFError at the end.
        say: shows a line.
        describe: what to look at for a scene, such as the path of its picture.
        suggestions: tags that a person may take; None for none.

    Attributes:
        tags: with the answers.
    """

    def __init__(
        self,
        tags: SceneTags,
        scenes: Sequence[str],
        save: Callable[[SceneTags], None],
        ask: Callable[[str], str] = input,
        say: Callable[[str], None] = print,
        describe: Callable[[str], str] = str,
        suggestions: Suggestions | None = None,
    ) -> None:
        self.tags = tags
        self._scenes = list(scenes)
        self._todo = [scene for scene in scenes if scene not in tags.classes]
        self._save, self._ask, self._say, self._describe = save, ask, say, describe
        self._suggestions = suggestions
        self._answered: set[str] = set()

    @property
    def answers(self) -> int:
        """Number of scenes whose answers were kept."""
        return len(self._answered)

    def run(self) -> None:
        """Asks until every scene is tagged or skipped, or the person quits."""
        if self._todo:
            self._say_help()
        at = reached = 0  # position in _todo, and the farthest one that was asked for
        while at < len(self._todo):
            reached = max(reached, at)
            self._show(at)
            step = self._settle(at)
            if step is None:
                break
            at = at - 1 if step < 0 else max(at + 1, reached)

    def _settle(self, at: int) -> int | None:
        """Asks about a scene until that is settled: 1 to go on, -1 to go back, None to quit."""
        scene = self._todo[at]
        while True:
            try:
                answer = self._ask("> ").strip()
            except EOFError:
                return None
            word = answer.lower()
            if word == "quit":
                return None
            if word == "skip":
                return 1
            if word == "back":
                if at > 0:
                    return -1
                self._say("this is the first scene that was asked for")
                continue
            if word in ("?", "help"):
                self._say_help()
                continue
            names = self._read(scene, word)
            if names is not None:
                self._keep(scene, names)
                return 1

    def _read(self, scene: str, answer: str) -> frozenset[str] | None:
        """Returns the classes of an answer; says what is wrong, and returns None."""
        if not answer:
            self._say("nothing was typed; 'none' if none of the classes occurs, '?' for help")
            return None
        if answer == "none":
            return frozenset()
        if answer == "same":
            return self._same(scene)
        first, _, rest = answer.replace(",", " ").partition(" ")
        suggested = self._suggested(scene) if first == "yes" else frozenset()
        if suggested is None:
            self._say("nothing is suggested for this scene")
            return None
        try:
            return suggested | parse_classes(rest if first == "yes" else answer, self.tags.ontology)
        except AnswerError as error:
            self._say(str(error))
            return None

    def _suggested(self, scene: str) -> frozenset[str] | None:
        """Returns the tags that are suggested for a scene; None without any suggestion."""
        return None if self._suggestions is None else self._suggestions.tags.classes.get(scene)

    def _same(self, scene: str) -> frozenset[str] | None:
        """Returns the tags of the nearest tagged scene before this one in the dataset."""
        for other in reversed(self._scenes[: self._scenes.index(scene)]):
            if other in self.tags.classes:
                return self.tags.classes[other]
        self._say("no scene before this one is tagged")
        return None

    def _keep(self, scene: str, names: frozenset[str]) -> None:
        self.tags = SceneTags(self.tags.ontology, {**self.tags.classes, scene: names})
        self._save(self.tags)
        self._answered.add(scene)
        self._say(f"{scene}: {self._names(scene)}")

    def _say_help(self) -> None:
        for line in help_lines(self.tags.ontology):
            self._say(line)

    def _show(self, at: int) -> None:
        scene = self._todo[at]
        self._say(f"\n[{at + 1}/{len(self._todo)}] {self._describe(scene)}")
        for line in class_lines(self.tags.ontology):
            self._say(line)
        if scene in self.tags.classes:
            self._say(f"now: {self._names(scene)}")
        if self._suggestions is not None and self._suggested(scene) is not None:
            self._say(f"{self._suggestions.line(scene)}; 'yes' takes what is suggested")

    def _names(self, scene: str) -> str:
        names = [n for n in self.tags.ontology.classes if n in self.tags.classes[scene]]
        return ", ".join(names) or "none of the classes"


def _candidates(word: str, ontology: Ontology) -> list[str]:
    """Returns the classes that a number, a name or a beginning may mean."""
    if _is_number(word):
        number = int(word[:9])
        return [ontology.classes[number - 1]] if 0 < number <= len(ontology) else []
    key = fold_name(word)
    by_key = {fold_name(name): name for name in ontology.classes}
    if key in by_key:
        return [by_key[key]]
    return [name for folded, name in by_key.items() if folded.startswith(key)]


def _explain(word: str, candidates: list[str], ontology: Ontology) -> str:
    if candidates:
        return f"{word!r} could be {', '.join(candidates)}; type more of it"
    if _is_number(word):
        return f"no class has the number {word}; they go from 1 to {len(ontology)}"
    nearest = nearest_name(word, ontology.classes)
    hint = f"did you mean '{nearest}'?" if nearest else "'?' for help"
    return f"no class {word!r}; {hint}"


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
