import pytest
import yaml

from wsss_perception.errors import ConfigError
from wsss_training.config import config_to_yaml, load_config


def test_load_config_applies_overrides(mini_log):
    config = load_config(mini_log.config, ["seed=3", "optimization.steps=7"])
    assert (config.seed, config.optimization.steps) == (3, 7)


def test_config_survives_being_written_and_read(mini_log, tmp_path):
    config = load_config(mini_log.config)
    path = tmp_path / "again.yaml"
    path.write_text(config_to_yaml(config))
    assert load_config(path) == config


def test_overrides_reach_entries_of_lists_and_whole_lists(mini_log):
    entry = load_config(mini_log.config, ["sources.0.every=2"]).sources
    assert [(s.dataset, s.every) for s in entry] == [("semantic_kitti", 2)]
    source = "{dataset: kitti_raw, root: /logs, options: {cameras: [image_02]}}"
    (whole,) = load_config(mini_log.config, [f"sources=[{source}]"]).sources
    assert (whole.root, whole.every, whole.options) == ("/logs", 1, {"cameras": ["image_02"]})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimization.stepz=3", "stepz"),
        ("optimization.steps=many", "many"),
        ("seed", "key=value"),
        ("sources=[]", "sources"),
        ("sources=[", "sources"),
        ("sources.0.evry=2", "evry"),
        ("sources.7.every=2", r"sources\[7\]"),
        ("model.voxel_size=0", "voxel_size"),
        ("model.point_range=[1,2]", "point_range"),
        ("optimization.steps=0", "steps"),
        ("model.cameras=always", "'always'; known are none, optional"),
        ("model.features=[{name: image_red}]", "are added by 'model.cameras: optional'"),
        ("augment.drop_cameras=1.5", "drop_all_cameras must lie in 0..1"),
        ("optimization.precision=8bit", "16-mixed"),
    ],
)
def test_load_config_names_what_does_not_fit(mini_log, override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(mini_log.config, [override])


def test_wsegpc_is_for_models_without_images_at_run_time(mini_log):
    with pytest.raises(ConfigError, match=r"model\.cameras: .* use 'method: projected_prior'"):
        load_config(mini_log.config, ["method=wsegpc", "model.cameras=optional"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"supervision": "images"}], r"sources\[0\] \(a\): supervision 'images'; known are teach"),
        ([{}, {"supervision": "labels", "teacher": True}], r"sources\[1\] \(a\): has a teacher"),
        (
            [{"supervision": "labels", "pseudo_labels": "p"}],
            r"sources\[0\] \(a\): has pseudo_labels",
        ),
        ([{"weak_labels": "few"}], r"sources\[0\] \(a\): has weak_labels, which need supervision"),
        ([{"share": 0.0}, {}], r"sources\[0\] \(a\): share 0.0"),
        ([{}, {"share": 1.5}], r"sources\[1\] \(a\): share 1.5"),
        ([{"share": 0.6}, {"share": 0.6}], "the sum is 1.2, not 1"),
        ([{"share": 0.3}, {"share": 0.3}], "the sum is 0.6, not 1"),
        ([{"share": 0.5}, {"share": 0.5}, {}], "leave nothing to those without"),
    ],
)
def test_load_config_names_the_source_that_does_not_fit(mini_log, tmp_path, changes, message):
    data = yaml.safe_load(mini_log.config.read_text())
    own = data["teacher"]
    for change in changes:
        change.update({"teacher": own} if "teacher" in change else {})
    data["sources"] = [{"dataset": "a", "root": "b", **change} for change in changes]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_load_config_wants_a_teacher_only_where_a_source_needs_one(mini_log, tmp_path):
    data = yaml.safe_load(mini_log.config.read_text())
    own, path = data.pop("teacher"), tmp_path / "config.yaml"
    labelled = {"dataset": "a", "root": "b", "supervision": "labels", "share": 0.5}
    data["sources"] = [labelled, {"dataset": "c", "root": "d", "teacher": own}]
    path.write_text(yaml.safe_dump(data))
    config = load_config(path)
    assert config.teacher is None
    assert config.sources[0].teacher is None
    assert vars(config.sources[1].teacher) == own
    again = tmp_path / "again.yaml"
    again.write_text(config_to_yaml(config))
    assert load_config(again) == config
    del data["sources"][1]["teacher"]
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=r"sources\[1\] \(c\): .* needs a teacher"):
        load_config(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sources.0.supervision=labels"], "all have supervision 'labels'; use 'method: projected"),
        (["sources.0.pseudo_labels=folder"], r"sources\[0\]: has pseudo_labels, which .* makes"),
    ],
)
def test_load_config_refuses_sources_that_pseudo_labels_cannot_be_made_for(
    mini_log, words, message
):
    with pytest.raises(ConfigError, match=message):
        load_config(mini_log.config, ["method=wsegpc", *words])


def test_load_config_takes_tags_without_wsegpc_only_where_it_made_labels_of_them(mini_log):
    words = ["sources.0.supervision=tags", "sources.0.tags=tags.yaml"]
    with pytest.raises(ConfigError, match=r"sources\[0\]: supervision 'tags' needs"):
        load_config(mini_log.config, words)
    assert load_config(mini_log.config, [*words, "sources.0.pseudo_labels=folder"])


def test_load_config_reads_tags_and_weak_labels_of_a_source(mini_log):
    overrides = ["sources.0.supervision=labels", "sources.0.weak_labels=few"]
    (source,) = load_config(mini_log.config, [*overrides, "sources.0.tags=tags.yaml"]).sources
    assert (source.weak_labels, source.tags) == ("few", "tags.yaml")
    (source,) = load_config(mini_log.config).sources
    assert (source.weak_labels, source.tags) == (None, None)


def test_load_config_of_a_missing_file_says_where_shipped_ones_are(tmp_path):
    with pytest.raises(ConfigError, match="config/train"):
        load_config(tmp_path / "none.yaml")


def test_load_config_names_values_that_are_missing(mini_log, tmp_path):
    text = mini_log.config.read_text().replace("images_root:", "images_folder:")
    path = tmp_path / "typo.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="images_folder"):
        load_config(path)
    path.write_text("\n".join(line for line in text.splitlines() if "images_folder" not in line))
    with pytest.raises(ConfigError, match=r"no value for teacher\.images_root"):
        load_config(path)
