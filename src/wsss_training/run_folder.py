"""The folder of a run: that nothing goes on with other settings, or other files, than it began."""

from pathlib import Path
from typing import Any

import yaml

from wsss_perception.errors import ConfigError
from wsss_training.config import SourceConfig, TrainConfig, config_to_yaml, load_config
from wsss_training.data.weak_labels import INFO_FILE
from wsss_training.files import digest_files, write_whole
from wsss_training.processes import place, wait_for_all

CONFIG_FILE = "config.yaml"
INPUTS_FILE = "inputs.yaml"


def claim(output: Path, config: TrainConfig) -> None:
    """Makes the run's folder, or checks that one that has checkpoints is of the same run.

    The first of several processes does so, and the others look whether they see it. A run of an
    older version, which had fewer settings, goes on with the defaults of those that it lacks.

    Raises:
        ConfigError: it is of another configuration, or tags, texts, classes or labels have changed
            since; or it is not one folder for all processes.
    """
    text, path = config_to_yaml(config), output / CONFIG_FILE
    if place().is_first:
        inputs = {name: digest_files([Path(name)]) for name in input_files(config)}
        if any(output.glob("**/last.ckpt")):
            _check_same(output, text, inputs)
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / INPUTS_FILE, yaml.safe_dump(inputs).encode("utf-8"))
        write_whole(path, text.encode("utf-8"))
    wait_for_all()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        raise ConfigError(
            f"{path}: is not what the first process wrote; all need the same configuration, and an "
            "'output' that all machines share"
        )


def input_files(config: TrainConfig) -> list[str]:
    """Small files that a configuration names: tags, texts, classes, and what labels are of.

    What is no file, such as the name of a shipped ontology, is left out.
    """
    teachers = [config.teacher, *(source.teacher for source in config.sources)]
    named = [config.ontology, config.vlg.texts, config.msdkt.texts]
    named += [source.tags for source in config.sources]
    named += [
        name for each in teachers if each is not None for name in (each.ontology, each.mapping)
    ]
    for source in config.sources:
        folders = (source.weak_labels, source.pseudo_labels)
        named += [str(Path(folder) / INFO_FILE) for folder in folders if folder is not None]
    return sorted({name for name in named if name is not None and Path(name).is_file()})


def describe_source(source: SourceConfig) -> dict[str, Any]:
    """What tells a source's samples from those of another: reader, folder, options."""
    root = str(Path(source.root).resolve())
    return {"dataset": source.dataset, "root": root, "options": source.options}


def _check_same(output: Path, text: str, inputs: dict[str, str]) -> None:
    """Raises ConfigError if a run was begun with another configuration or other files."""
    path = output / CONFIG_FILE
    if not (path.exists() and config_to_yaml(load_config(path)) == text):
        raise ConfigError(
            f"{output}: holds a run of another configuration; choose another 'output', or remove "
            "the folder"
        )
    kept = output / INPUTS_FILE
    began = yaml.safe_load(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    changed = [name for name, digest in inputs.items() if began.get(name, digest) != digest]
    if changed:
        raise ConfigError(
            f"{', '.join(changed)}: not what the run in {output} has learned from; choose another "
            "'output', or remove the folder (of a 'vlg' run all but 'fused')"
        )
