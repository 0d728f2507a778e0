import pytest

from wsss_perception.errors import ConfigError
from wsss_training.config import config_to_yaml, load_config
from wsss_training.config_vlg import _REGIONS, AdapterConfig, EmbeddingsConfig, VLGConfig, wrong_vlg
from wsss_training.regions import REGIONS

WORDS = (
    "method=vlg",
    "teacher=null",
    "vlg.texts=texts.safetensors",
    "vlg.embeddings={root: maps, images_root: images}",
    "sources.0.supervision=texts",
)
TEACHER = "{root: a, images_root: b, ontology: c, mapping: d}"


def test_the_papers_values_are_the_defaults():
    adapter = AdapterConfig()
    assert (adapter.learning_rate, adapter.weight_decay) == (3e-3, 4e-4)
    assert (adapter.alpha, adapter.reduction) == (0.05, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": None}, "vlg.texts: needs"),
        ({"points": 0}, "vlg.points and adapter.points"),
        ({"regions": "cubes"}, "vlg.regions: 'cubes'; known are planes"),
        ({"region_guidance": 0.5}, "vlg.region_guidance: needs a kind of regions"),
        ({"region_guidance": 1.5, "regions": "planes"}, "vlg.region_guidance: must lie in 0..1"),
        ({"region_share": 1.1}, "vlg.region_share"),
        ({"adapter": AdapterConfig(points=0)}, "vlg.points and adapter.points"),
        ({"adapter": AdapterConfig(steps=0)}, "vlg.adapter.steps"),
        ({"adapter": AdapterConfig(alpha=1.1)}, "vlg.adapter.alpha"),
        ({"adapter": AdapterConfig(alpha=float("nan"))}, "vlg.adapter.alpha"),
        ({"adapter": AdapterConfig(reduction=0)}, "vlg.adapter.reduction"),
        ({"adapter": AdapterConfig(learning_rate=0.0)}, "vlg.adapter.learning_rate"),
        ({"adapter": AdapterConfig(weight_decay=-1.0)}, "vlg.adapter.weight_decay"),
    ],
)
def test_wrong_values_are_told(change, message):
    assert wrong_vlg(VLGConfig(texts="t")) == []
    (told,) = wrong_vlg(VLGConfig(**{"texts": "t", **change}))
    assert told.startswith(message)


def test_all_kinds_of_regions_are_known():
    assert set(_REGIONS) == set(REGIONS)


def test_load_config_reads_the_method_and_writes_it(mini_log, tmp_path):
    config = load_config(mini_log.config, [*WORDS])
    assert config.vlg.embeddings == EmbeddingsConfig("maps", "images")
    again = tmp_path / "again.yaml"
    again.write_text(config_to_yaml(config))
    assert load_config(again) == config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sources.0.supervision=teacher"], r"'teacher' needs 'method: projected_prior' or"),
        (["sources.0.supervision=labels"], r"'labels' needs 'method: projected_prior' or"),
        (["sources.0.supervision=tags"], "'tags' needs a file of tags; without any say 'texts'"),
        (["sources.0.tags=t.yaml"], "has tags, which supervision 'texts' makes no use of"),
        (["sources.0.pseudo_labels=p"], "has pseudo_labels, which 'method: vlg' makes"),
        ([f"teacher={TEACHER}"], "teacher: a 2D teacher of classes, which 'method: vlg'"),
        ([f"sources.0.teacher={TEACHER}"], r"sources\[0\]: a 2D teacher of classes"),
        (["vlg.embeddings=null"], r"sources\[0\]: has no embeddings of its own"),
        (["vlg.texts=null"], r"vlg\.texts: needs"),
        (["model.cameras=optional"], r"model\.cameras: 'method: vlg' has images"),
        (["method=projected_prior"], r"sources\[0\]: supervision 'texts' needs 'method: vlg'"),
        (["method=wsegpc"], r"sources\[0\]: supervision 'texts' needs 'method: vlg'"),
    ],
)
def test_load_config_refuses_what_the_method_cannot_do(mini_log, words, message):
    with pytest.raises(ConfigError, match=message):
        load_config(mini_log.config, [*WORDS, *words])


def test_a_source_may_have_its_own_embeddings(mini_log):
    own = "sources.0.embeddings={root: a, images_root: b}"
    config = load_config(mini_log.config, [*WORDS, "vlg.embeddings=null", own])
    assert config.sources[0].embeddings == EmbeddingsConfig("a", "b")
