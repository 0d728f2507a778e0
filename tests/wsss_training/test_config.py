import pytest

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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimization.stepz=3", "stepz"),
        ("optimization.steps=many", "many"),
        ("seed", "key=value"),
        ("sources=[]", "sources"),
        ("sources=[", "sources"),
        ("sources.0.every=2", "list"),
        ("model.voxel_size=0", "voxel_size"),
        ("model.point_range=[1,2]", "point_range"),
        ("optimization.steps=0", "steps"),
        ("optimization.precision=8bit", "16-mixed"),
    ],
)
def test_load_config_names_what_does_not_fit(mini_log, override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(mini_log.config, [override])


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
