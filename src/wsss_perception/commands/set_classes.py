"""Makes a bundle for other classes of a model that answers texts; nothing is trained.

The classes are those of --classes, of --ontology, or all names of --texts. Their vectors come from
the file --texts, which 'wsss_training embed-texts' wrote; without it from the bundle, and for names
it does not have from open_clip, where that is installed. Engines that were built for the bundle
serve the new one too.
"""

import argparse
import shutil
from pathlib import Path

from wsss_perception.bundle import CARD_FILE, Bundle, choose_bundle
from wsss_perception.errors import ConfigError
from wsss_perception.new_classes import (
    class_names,
    embedding_of,
    find_texts,
    ontology_of,
    write_new_classes,
)
from wsss_perception.ontology import Ontology, load_ontology
from wsss_perception.texts import read_texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the model bundle")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the new bundle")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--classes", nargs="+", metavar="NAME", help="names of the classes")
    which.add_argument(
        "--ontology",
        metavar="NAME",
        help="classes with their colours and raw ids: a shipped ontology, or a .yaml file",
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="text embeddings, of the bundle's teacher"
    )
    parser.add_argument(
        "--text-model",
        nargs="+",
        default=[],
        metavar="NAME",
        help="open_clip model, and its weights, that encodes names (default: the one that the "
        "bundle's teacher names)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the bundle and prints its classes.

    Raises:
        WsssError: of the bundle, the classes or their texts.
    """
    if not (arguments.classes or arguments.ontology or arguments.texts):
        raise ConfigError("give the classes: --classes, --ontology or --texts")
    bundle = choose_bundle(arguments.bundle, print)
    embedding_of(bundle)
    if arguments.texts is not None:
        texts = read_texts(arguments.texts)
        ontology = _ontology(arguments, bundle, class_names(texts))
    else:
        ontology = _ontology(arguments, bundle, ())
        texts = find_texts(bundle, ontology.classes, " ".join(arguments.text_model))
    made = write_new_classes(arguments.output, bundle, ontology, texts)
    card = bundle.folder / CARD_FILE
    if card.exists() and not (made.folder / CARD_FILE).exists():
        shutil.copyfile(card, made.folder / CARD_FILE)  # what it warns of holds for the weights
    print(f"{made.folder}: {len(ontology)} classes: {', '.join(ontology.classes)}")
    print(
        f"the temperature, {made.spec.temperature:g}, was fitted on the former classes: the "
        "confidences are not calibrated for these"
    )


def _ontology(arguments: argparse.Namespace, bundle: Bundle, names: tuple[str, ...]) -> Ontology:
    if arguments.ontology:
        return load_ontology(arguments.ontology)
    return ontology_of(
        arguments.classes or names, arguments.output.resolve().name, bundle.spec.ontology
    )
