import pytest

from wsss_perception.errors import ConfigError
from wsss_perception.networks.presets import PRESETS
from wsss_training.config import SourceConfig, TeacherConfig, config_to_yaml, load_config
from wsss_training.config_msdkt import LEVELS, MSDKTConfig, wrong_msdkt

WORDS = ("method=msdkt", "sources.0.supervision=labels", "sources.0.weak_labels=few")
ALONE = ("msdkt.transfer_weight=0", "msdkt.contrast_weight=0")
OWN = "{root: a, images_root: b, ontology: cityscapes, mapping: m}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": 0}, r"msdkt.scales: must lie in 1..4"),
        ({"scales": 5}, r"msdkt.scales: must lie in 1..4"),
        ({"samples": 0}, "msdkt.samples, hidden, views and points"),
        ({"hidden": 0}, "msdkt.samples, hidden, views and points"),
        ({"views": 0}, "msdkt.samples, hidden, views and points"),
        ({"points": 0}, "msdkt.samples, hidden, views and points"),
        ({"transfer_weight": -1.0}, "msdkt.transfer_weight, contrast_weight and"),
        ({"contrast_weight": float("nan")}, "msdkt.transfer_weight, contrast_weight and"),
        ({"tag_weight": -0.1}, "msdkt.transfer_weight, contrast_weight and"),
        ({"temperature": 0.0}, "msdkt.temperature"),
        ({"prototype_momentum": 1.1}, "msdkt.prototype_momentum"),
        ({"texts": "t", "contrast_weight": 0.0}, "msdkt.texts: have no part"),
    ],
)
def test_wrong_values_are_told(change, message):
    sources, teacher = [SourceConfig("a", "b", supervision="labels")], TeacherConfig()
    assert wrong_msdkt(MSDKTConfig(), sources, teacher) == []
    (told,) = wrong_msdkt(MSDKTConfig(**change), sources, teacher)
    assert told.startswith(message)


def test_all_networks_have_as_many_decoder_levels():
    assert {len(sizes.planes) - 4 for sizes in PRESETS.values()} == {LEVELS}


def test_load_config_reads_the_method_and_writes_it(mini_log, tmp_path):
    config = load_config(mini_log.config, [*WORDS, "msdkt.deformable=false"])
    assert (config.msdkt.deformable, config.msdkt.scales) == (False, 3)
    again = tmp_path / "again.yaml"
    again.write_text(config_to_yaml(config))
    assert load_config(again) == config


@pytest.mark.parametrize(
    "words",
    [
        [f"sources.0.teacher={OWN}"],
        [f"sources.0.teacher={OWN}", "teacher=null"],
        [*ALONE, "teacher=null"],
        ["sources.0.weak_labels=null"],
        ["msdkt.transfer_weight=0"],
    ],
)
def test_load_config_takes_labels_with_a_teacher_or_alone(mini_log, words):
    assert load_config(mini_log.config, [*WORDS, *words]).method == "msdkt"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["teacher=null"], r"sources\[0\]: 'method: msdkt' needs a teacher"),
        ([*ALONE], r"sources\[0\]: has a teacher, which .*; say teacher=null$"),
        ([*ALONE, "teacher=null", f"sources.0.teacher={OWN}"], r"say sources\.0\.teacher=null$"),
        (
            ["sources.0.supervision=teacher", "sources.0.weak_labels=null"],
            "'teacher' needs 'method: projected_prior' or 'method: wsegpc'$",
        ),
        (["sources.0.pseudo_labels=p"], "has pseudo_labels, which 'method: msdkt' does not take"),
        (["model.cameras=optional"], r"model\.cameras: 'method: msdkt' has images"),
        (
            ["method=projected_prior", f"sources.0.teacher={OWN}"],
            "has a teacher, which supervision 'labels' makes no use of",
        ),
        (["method=wsegpd"], "known are projected_prior, wsegpc, vlg, msdkt"),
    ],
)
def test_load_config_refuses_what_the_method_cannot_do(mini_log, words, message):
    with pytest.raises(ConfigError, match=message):
        load_config(mini_log.config, [*WORDS, *words])
