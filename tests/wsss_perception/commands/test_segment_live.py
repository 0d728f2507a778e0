from argparse import ArgumentParser

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from wsss_perception.bag import RecordedCounts
from wsss_perception.bundle import ModelSpec, NetworkSpec, write_bundle
from wsss_perception.commands import record_bag, segment_live
from wsss_perception.features import Feature
from wsss_perception.ontology import Ontology
from wsss_perception.ros.replay import LiveCounts

ONTOLOGY = Ontology("t", ("low", "high"), ((255, 0, 0), (0, 0, 255)), ((1,), (2,)))


def parse(module, words):
    parser = ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        *((segment_live, ["--rate", rate]) for rate in ("0", "-1", "nan")),
        (segment_live, ["--every", "0"]),
        (record_bag, ["--count", "0"]),
    ],
)
def test_numbers_that_are_not_positive_are_refused(module, words, capsys):
    with pytest.raises(SystemExit):
        parse(module, ["in", "out", *words])
    assert f"argument {words[0]}: '{words[1]}' is not a positive" in capsys.readouterr().err


@pytest.mark.parametrize("foreign", [0, 2])
def test_the_command_tells_the_caution_and_what_became_of_the_clouds(
    foreign, tmp_path, monkeypatch, capsys
):
    spec = ModelSpec(ONTOLOGY, NetworkSpec("none"), (Feature("x"),), 0.5)
    write_bundle(tmp_path / "bundle", spec, {"weights.safetensors": b""})
    (tmp_path / "bundle" / "README.md").write_text("> Handle with care.\n")
    counts = LiveCounts(5, 4, "5 received", ("strange clouds",))
    recorded = RecordedCounts(5, 4 - foreign, foreign, 1)
    monkeypatch.setattr(segment_live, "segment_live", lambda *_: counts)
    monkeypatch.setattr(segment_live, "draw_recorded", lambda *_: recorded)
    words = ["in", "out", "--bundle", str(tmp_path / "bundle"), "--pictures", "pages"]
    segment_live.run(parse(segment_live, words))
    assert capsys.readouterr().out.splitlines() == [
        f"model {tmp_path / 'bundle'}. Handle with care.",
        "out: 4 of 5 clouds",
        "the node: 5 received",
        "the node warned: strange clouds",
        "pages: 1 pictures",
        *(["semantic clouds: 2 of the bag's, 2 of others"] if foreign else []),
    ]
