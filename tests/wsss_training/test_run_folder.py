import pytest
import yaml

from wsss_perception.errors import ConfigError
from wsss_training.config import load_config
from wsss_training.run_folder import INPUTS_FILE, claim, input_files


@pytest.fixture
def named(mini_log, tmp_path):
    """A config that names a file of tags, a mapping of its own, and a folder of weak labels."""
    files = [tmp_path / name for name in ("tags.yaml", "mapping.yaml", "weak/weak_labels.yaml")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("before")
    config = load_config(mini_log.config, [f"output={tmp_path / 'run'}"])
    config.sources[0].supervision = "labels"
    config.sources[0].tags = str(files[0])
    config.teacher.mapping = str(files[1])
    config.sources[0].weak_labels = str(files[2].parent)
    return config, files


def test_all_files_that_a_config_names_are_inputs(named):
    config, files = named
    assert input_files(config) == sorted(map(str, files))


@pytest.mark.parametrize("number", range(3))
def test_a_run_does_not_go_on_when_a_file_that_it_names_has_changed(named, tmp_path, number):
    config, files = named
    run = tmp_path / "run"
    claim(run, config)
    files[number].write_text("after")
    claim(run, config)  # nothing was learned yet
    (run / "last.ckpt").touch()
    claim(run, config)
    files[number].write_text("before")
    with pytest.raises(ConfigError, match=f"{files[number]}: not what the run in .* learned from"):
        claim(run, config)
    files[number].write_text("after")
    claim(run, config)


def test_a_run_of_a_version_that_noted_no_inputs_goes_on(named, tmp_path):
    config, files = named
    run = tmp_path / "run"
    claim(run, config)
    (run / "last.ckpt").touch()
    (run / INPUTS_FILE).unlink()
    claim(run, config)
    assert set(yaml.safe_load((run / INPUTS_FILE).read_text())) == set(map(str, files))
