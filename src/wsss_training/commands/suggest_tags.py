r"""Suggests scene tags from embeddings of images and of class names, for a person to confirm.

Of each view the cells that are most likely of a class speak for it, of each scene the views that
are (wsss_training.tags.suggest says exactly how). OUT is an ordinary file of tags; how sure each
class is stands beside it, in OUT's name with .confidence.csv. 'tag --suggestions OUT' asks a person
about them, who can take or change them. --texts should have background prompts, such as sky:
without any, everything that is seen must be one of the classes.

Example:
  python -m wsss_training suggest-tags suggested.yaml --dataset kitti_raw --root /data/kitti_raw \
    --ontology semantic_kitti --embeddings /data/clip/kitti_raw --texts texts.safetensors
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import ConfigError
from wsss_perception.ontology import Ontology, load_ontology
from wsss_perception.progress import tracked
from wsss_perception.texts import TextEmbeddings, read_texts
from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.data.sample import Dataset
from wsss_training.tags import SceneTags
from wsss_training.tags.scenes import samples_by_scene
from wsss_training.tags.suggest import class_probabilities, scene_confidence, view_scores
from wsss_training.tags.suggestions import Suggestions, write_suggestions
from wsss_training.tags.tags_file import check_new_file, refer_to_ontology

if TYPE_CHECKING:
    from wsss_training.teachers.embedding_maps import EmbeddingMaps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="new file: .yaml, .yml or .csv")
    add_dataset_arguments(parser)
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="folder that embed-images wrote"
    )
    parser.add_argument(
        "--images-root",
        type=Path,
        help="folder that the images' paths are relative to (default: --root)",
    )
    parser.add_argument("--texts", type=Path, required=True, help="file that embed-texts wrote")
    parser.add_argument("--ontology", help="the classes (default: those of the dataset's labels)")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="least confidence of a suggested class (0.5)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Suggests.

    Raises:
        WsssError: the dataset, embeddings or texts cannot be used or do not fit together, or the
            file exists or cannot be written.
    """
    from wsss_training.teachers.embedding_maps import EmbeddingMaps
    from wsss_training.teachers.text_classes import check_texts

    if not 0 <= arguments.threshold <= 1:
        raise ConfigError(f"--threshold {arguments.threshold}: must lie in 0..1")
    check_new_file(arguments.output)
    dataset = open_named_dataset(arguments, labels=False)
    ontology = dataset.ontology
    if arguments.ontology is not None:
        ontology = load_ontology(arguments.ontology)
    if ontology is None:
        raise ConfigError("the dataset has no classes of its own; name some with --ontology")
    maps = EmbeddingMaps(arguments.embeddings, arguments.images_root or arguments.root)
    texts = read_texts(arguments.texts)
    check_texts(texts, maps, ontology, arguments.texts)
    confidence = _confidences(dataset, maps, texts, ontology)
    named = {
        scene: dict(zip(ontology.classes, values.tolist(), strict=True))
        for scene, values in confidence.items()
    }
    classes = {
        scene: frozenset(name for name, sure in of_scene.items() if sure >= arguments.threshold)
        for scene, of_scene in named.items()
    }
    suggestions = Suggestions(SceneTags(ontology, classes), named)
    name = arguments.ontology or ontology.name
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_suggestions(arguments.output, suggestions, refer_to_ontology(arguments.output, name))
    print(
        f"{arguments.output}: suggestions for {len(classes)} scenes, nobody has looked at them; "
        f"'tag TAGS --suggestions {arguments.output}' asks about each"
    )


def _confidences(
    dataset: Dataset, maps: "EmbeddingMaps", texts: TextEmbeddings, ontology: Ontology
) -> dict[str, NDArray[np.float32]]:
    """How surely each scene that has images shows each class [C]; one image is read at a time."""
    found, by_scene = {}, samples_by_scene(dataset)
    for scene, samples in tracked(by_scene.items(), "scenes", len(by_scene)):
        scores: dict[Path, NDArray[np.float32]] = {}
        for index in samples:
            for image in dataset[index].images:
                if image.path not in scores:
                    cells = maps.cells(image.path).reshape(-1, maps.size)
                    scores[image.path] = view_scores(
                        class_probabilities(cells, texts, ontology.classes, maps.logit_scale)
                    )
        if scores:
            found[scene] = scene_confidence(np.stack(list(scores.values())))
    return found
