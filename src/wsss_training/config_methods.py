"""Whether a training configuration has what its method takes."""

from typing import TYPE_CHECKING

from wsss_training.config_msdkt import wrong_msdkt
from wsss_training.config_vlg import wrong_vlg
from wsss_training.config_wsegpc import wrong_values

if TYPE_CHECKING:
    from wsss_training.config import SourceConfig, TrainConfig

METHODS = ("projected_prior", "wsegpc", "vlg", "msdkt")
_TAKEN = {
    "projected_prior": ("teacher", "labels"),
    "wsegpc": ("teacher", "labels", "tags"),
    "vlg": ("tags", "texts"),
    "msdkt": ("labels",),
}
"""Supervisions that each method learns from."""


def wrong_method(config: "TrainConfig") -> list[str]:
    """Says what is wrong with the method and its settings."""
    if config.method not in METHODS:
        return [f"method: '{config.method}'; known are {', '.join(METHODS)}"]
    named = [(f"sources[{number}]", source) for number, source in enumerate(config.sources)]
    messages = [m for name, source in named for m in _wrong_source(config.method, name, source)]
    if config.method == "projected_prior":
        return messages
    messages += _wrong_settings(config)
    if config.model.cameras != "none":
        messages.append(
            f"model.cameras: 'method: {config.method}' has images to learn from, and makes bundles "
            "of 'cameras: none' alone; use 'method: projected_prior'"
        )
    if config.method == "vlg":
        having = [name for name, source in named if source.teacher is not None]
        having += ["teacher"] * (config.teacher is not None)
        messages += [
            f"{name}: a 2D teacher of classes, which 'method: vlg' makes no use of"
            for name in having
        ]
        messages += [
            f"{name}: has no embeddings of its own, and there is no vlg.embeddings"
            for name, source in named
            if source.embeddings is None and config.vlg.embeddings is None
        ]
    elif config.method == "wsegpc" and named and _have_labels(config.sources):
        messages.append(
            "method: wsegpc makes pseudo-labels for sources with a teacher or tags, and all have "
            "supervision 'labels'; use 'method: projected_prior'"
        )
    return messages


def _wrong_settings(config: "TrainConfig") -> list[str]:
    """Says what is wrong with the settings that the method alone has."""
    if config.method == "wsegpc":
        return wrong_values(config.wsegpc)
    if config.method == "vlg":
        return wrong_vlg(config.vlg)
    return wrong_msdkt(config.msdkt, config.sources, config.teacher)


def _have_labels(sources: "list[SourceConfig]") -> bool:
    return all(source.supervision == "labels" for source in sources)


def _wrong_source(method: str, name: str, source: "SourceConfig") -> list[str]:
    """Says what a method cannot do with a source."""
    messages = []
    if source.pseudo_labels is not None and method != "projected_prior":
        makes = "" if method == "msdkt" else "makes and "
        messages.append(f"{name}: has pseudo_labels, which 'method: {method}' {makes}does not take")
    if source.supervision == "texts" and source.tags is not None:
        messages.append(f"{name}: has tags, which supervision 'texts' makes no use of; say 'tags'")
    if source.supervision == "tags" and source.tags is None and method == "vlg":
        messages.append(f"{name}: supervision 'tags' needs a file of tags; without any say 'texts'")
    known = any(source.supervision in taken for taken in _TAKEN.values())
    if known and source.supervision not in _TAKEN[method] and source.pseudo_labels is None:
        able = [f"'method: {m}'" for m, taken in _TAKEN.items() if source.supervision in taken]
        messages.append(f"{name}: supervision '{source.supervision}' needs {' or '.join(able)}")
    return messages
