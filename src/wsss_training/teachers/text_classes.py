"""A vision-language teacher as an ordinary 2D one: classes of its embeddings, cell by cell."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import Ontology
from wsss_perception.texts import BACKGROUND, TextEmbeddings, read_texts
from wsss_training.tags.suggest import class_probabilities
from wsss_training.teachers.embedding_maps import EmbeddingMaps
from wsss_training.teachers.images import ImageFile


def check_texts(texts: TextEmbeddings, maps: EmbeddingMaps, ontology: Ontology, path: Path) -> None:
    """Raises ConfigError unless texts are of the embeddings' space and of all classes alone."""
    if (texts.teacher, texts.size) != (maps.teacher.get("model"), maps.size):
        raise ConfigError(
            f"{path}: texts of '{texts.teacher}' cannot be compared with images of "
            f"'{maps.teacher.get('model')}'; run 'embed-texts' with the model of the images"
        )
    names = {name for name in texts.names if not name.startswith(BACKGROUND)}
    strange = sorted(names.difference(ontology.classes))
    missing = sorted(set(ontology.classes).difference(names))
    if strange or missing:
        problem = f"'{strange[0]}' is no class" if strange else f"has no text for '{missing[0]}'"
        raise ConfigError(
            f"{path}: {problem} of '{ontology.name}'; run 'embed-texts' with that --ontology"
        )


class TextClasses:
    """Tells classes of the cells of embedding maps by the classes' texts.

    Args:
        maps: of the images.
        texts: file of the texts of all classes, and of the background.
        ontology: the classes.

    Raises:
        ConfigError: texts and maps, or texts and classes, do not fit together.
        TextsError: the texts cannot be read.
    """

    def __init__(self, maps: EmbeddingMaps, texts: Path, ontology: Ontology) -> None:
        self._maps, self._texts, self._classes = maps, read_texts(texts), ontology.classes
        check_texts(self._texts, maps, ontology, texts)
        self._digest = hashlib.sha256(texts.read_bytes()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """What tells it from other teachers."""
        return {"embeddings": self._maps.teacher, "texts": self._digest}

    def probabilities(self, images: Iterable[ImageFile]) -> Iterator[NDArray[np.float32]]:
        """Probabilities [C, h, w] of each image: ``softmax(logit_scale * cosine)``.

        What they lack to 1 is that of the background; cells of which the teacher says nothing have
        none at all.

        Raises:
            DatasetError: an image has no map, or a damaged one.
        """
        for image in images:
            cells = self._maps.cells(image.path)
            found = np.zeros((*cells.shape[:2], len(self._classes)), dtype=np.float32)
            found[cells.any(axis=2)] = class_probabilities(
                cells.reshape(-1, self._maps.size),
                self._texts,
                self._classes,
                self._maps.logit_scale,
            )
            yield found.transpose(2, 0, 1)
