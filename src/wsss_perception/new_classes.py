"""Other classes for a model that answers texts, without any training."""

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsss_perception.bundle import WEIGHTS_FILE, Bundle, write_bundle
from wsss_perception.bundle_texts import embedding_files
from wsss_perception.errors import BundleError, TextsError
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.ontology import Ontology
from wsss_perception.query import encode_phrases
from wsss_perception.texts import BACKGROUND, TextEmbeddings

_HUE_STEP = 0.381966
"""Turns between the hues of neighbouring classes: far apart however many there are."""


def embedding_of(bundle: Bundle) -> EmbeddingSpec:
    """Returns how a bundle answers texts.

    Raises:
        BundleError: it answers none.
    """
    if bundle.spec.embedding is None:
        raise BundleError(
            f"{bundle.folder}: has no 'embedding', so its classes are those it was trained for; "
            "train with 'method: vlg' for a model whose classes can be set"
        )
    return bundle.spec.embedding


def ontology_of(names: Sequence[str], name: str, former: Ontology) -> Ontology:
    """Makes an ontology of class names; those that there were keep their colour and ground.

    Args:
        names: of the classes, in the order of their labels; raw ids count from 1.
        name: of the ontology.
        former: the classes that the model has had.

    Raises:
        OntologyError: the names are no classes, such as twice the same.
    """
    colors = dict(zip(former.classes, former.colors, strict=True))
    return Ontology(
        name=name,
        classes=tuple(names),
        colors=tuple(colors.get(each, _color(number)) for number, each in enumerate(names)),
        raw_ids=tuple((number,) for number in range(1, len(names) + 1)),
        ground=tuple(each for each in names if each in former.ground),
    )


def find_texts(bundle: Bundle, names: Sequence[str], text_model: str = "") -> TextEmbeddings:
    """Finds vectors of class names: those that the bundle has, and of others by a text tower.

    Raises:
        BundleError: the bundle answers no texts.
        TextsError: a name cannot be encoded here, and why.
    """
    embedding = embedding_of(bundle)
    own = embedding.loaded().texts
    unknown = [name for name in names if name not in own.names]
    vectors = own.vectors
    if unknown:
        try:
            phrases = [
                " ".join(name.replace("_", " ").replace("-", " ").split()) for name in unknown
            ]
            vectors = np.concatenate([vectors, encode_phrases(embedding, phrases, text_model)])
        except TextsError as error:
            raise TextsError(
                f"{', '.join(unknown)}: not among the texts of {bundle.folder}, and cannot be "
                f"encoded here: {error}; or give --texts"
            ) from error
    return TextEmbeddings((*own.names, *unknown), vectors, own.teacher)


def class_names(texts: TextEmbeddings) -> tuple[str, ...]:
    """Returns the names of texts that are no background prompts, each once."""
    return tuple(n for n in dict.fromkeys(texts.names) if not n.startswith(BACKGROUND))


def write_new_classes(
    folder: Path, bundle: Bundle, ontology: Ontology, texts: TextEmbeddings
) -> Bundle:
    """Writes a bundle of the same network for other classes.

    Weights and graph stay the same to the byte, so that engines built for the one serve the other.
    The former texts stay as phrases, unless there are new ones of their names.

    Args:
        folder: where the bundle goes.
        bundle: the model, which answers texts.
        ontology: the classes.
        texts: of all classes, by the bundle's teacher.

    Raises:
        BundleError: the bundle answers no texts, a class has none, they are another teacher's, or
            the bundle cannot be written.
    """
    embedding = embedding_of(bundle)
    own = embedding.loaded()
    if (texts.teacher, texts.size) != (own.texts.teacher, own.texts.size):
        raise BundleError(
            f"{bundle.folder}: its space is of '{own.texts.teacher}' and {own.texts.size} numbers, "
            f"the texts of '{texts.teacher}' and {texts.size}; take texts of the same teacher"
        )
    rest = [index for index, name in enumerate(own.texts.names) if name not in texts.names]
    merged = TextEmbeddings(
        (*texts.names, *(own.texts.names[index] for index in rest)),
        np.concatenate([texts.vectors, own.texts.vectors[rest]]),
        texts.teacher,
    )
    former = list(bundle.spec.provenance.get("trained_classes", bundle.spec.ontology.classes))
    spec = replace(
        bundle.spec,
        ontology=ontology,
        provenance={**bundle.spec.provenance, "trained_classes": former},
    )
    weights = bundle.weights.read_bytes()
    files = {WEIGHTS_FILE: weights, **embedding_files(embedding, merged, own.basis)}
    return write_bundle(folder, spec, files)


def _color(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(
        number * _HUE_STEP % 1, 0.65 + 0.3 * (number % 2), 0.95 - 0.2 * (number % 3)
    )
    return round(255 * red), round(255 * green), round(255 * blue)
