r"""Writes a 2D teacher's maps of a dataset's images: of any segmenter in an ONNX file, or of texts.

SEGMENTER is a YAML file that says what the graph takes and gives (docs/teachers.md). Its maps are
what a training config's 'teacher' reads; those of a segmenter that gives embeddings are what
'method: vlg' reads. In its place --embeddings and --texts make maps of the classes whose texts each
cell of embedding maps is most like, as a 'teacher' for 'method: wsegpc'.

Several processes share the images under torchrun; what was killed goes on when the same command is
given again.

Example:
  python -m wsss_training teacher-maps segmenter.yaml --dataset kitti_raw --root /data/kitti_raw \
    --output /data/teacher/kitti_raw
  python -m wsss_training teacher-maps --embeddings /data/clip/kitti_raw --texts texts.safetensors \
    --ontology semantic_kitti --dataset kitti_raw --root /data/kitti_raw --output /data/clip_classes
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from wsss_perception.cli import positive_integer
from wsss_training.commands.teacher_arguments import add_image_arguments, named_images

if TYPE_CHECKING:
    from wsss_training.teachers.embedding_job import Embedder
    from wsss_training.teachers.onnx_segmenter import OnnxSegmenter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument(
        "segmenter", type=Path, nargs="?", metavar="SEGMENTER", help="the segmenter's YAML file"
    )
    parser.add_argument("--embeddings", type=Path, help="folder that embed-images wrote")
    parser.add_argument("--texts", type=Path, help="file that embed-texts wrote")
    parser.add_argument("--ontology", help="the classes of the texts")
    add_image_arguments(parser)
    parser.add_argument(
        "--pca",
        type=positive_integer,
        metavar="K",
        help="of a segmenter that gives embeddings: numbers to keep of each (default: all)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the maps.

    Raises:
        WsssError: the teacher or the dataset cannot be used, or OUT has maps of something else.
    """
    from wsss_perception.errors import ConfigError
    from wsss_training.processes import place

    place()
    of_texts = [arguments.embeddings, arguments.texts, arguments.ontology]
    if arguments.segmenter is not None and not any(of_texts):
        _run_segmenter(arguments)
    elif arguments.segmenter is None and all(of_texts) and arguments.pca is None:
        _compare_texts(arguments)
    else:
        raise ConfigError(
            "give SEGMENTER, or instead of it --embeddings, --texts and --ontology; --pca goes "
            "with SEGMENTER"
        )


def _compare_texts(arguments: argparse.Namespace) -> None:
    from wsss_perception.ontology import load_ontology
    from wsss_training.teachers.class_map_job import write_class_maps
    from wsss_training.teachers.embedding_maps import EmbeddingMaps
    from wsss_training.teachers.text_classes import TextClasses

    ontology = load_ontology(arguments.ontology)
    maps = EmbeddingMaps(arguments.embeddings, arguments.images_root or arguments.root)
    teacher, images = TextClasses(maps, arguments.texts, ontology), named_images(arguments)
    write_class_maps(teacher.probabilities, teacher.describe(), ontology, images, arguments.output)


def _run_segmenter(arguments: argparse.Namespace) -> None:
    from wsss_perception.errors import ConfigError
    from wsss_training.teachers.class_map_job import write_class_maps
    from wsss_training.teachers.embedding_job import write_embeddings
    from wsss_training.teachers.images import read_images
    from wsss_training.teachers.onnx_segmenter import OnnxSegmenter
    from wsss_training.teachers.onnx_settings import load_onnx_settings, ontology_of

    settings = load_onnx_settings(arguments.segmenter)
    gives_embeddings = settings.output.kind == "embeddings"
    if arguments.pca is not None and not gives_embeddings:
        raise ConfigError(f"--pca is of embeddings; {arguments.segmenter} gives classes")
    ontology = None if gives_embeddings else ontology_of(settings)
    segmenter, images = OnnxSegmenter(settings), named_images(arguments)
    if ontology is None:
        embedder = _embedder(segmenter, images[0].size, arguments.pca)
        write_embeddings(embedder, images, arguments.output)
    else:
        classes = len(ontology)
        write_class_maps(
            lambda mine: segmenter.probabilities(read_images(mine), classes),
            segmenter.describe(),
            ontology,
            images,
            arguments.output,
        )


def _embedder(segmenter: "OnnxSegmenter", size: tuple[int, int], pca: int | None) -> "Embedder":
    """Takes a segmenter that gives embeddings as a teacher.

    Args:
        segmenter: the segmenter.
        size: of any image; embeddings have as many numbers as of one of that size.
        pca: numbers to keep; None for all.
    """
    from wsss_perception.errors import ConfigError
    from wsss_training.teachers.embedding_job import Embedder
    from wsss_training.teachers.embedding_maps import EmbeddingInfo

    numbers, settings = segmenter.output_shape(size)[0], segmenter.settings
    if pca is not None and pca > numbers:
        raise ConfigError(f"--pca {pca}: the embeddings have {numbers} numbers")
    teacher = {"model": settings.space, **segmenter.describe()}
    info = EmbeddingInfo(teacher, numbers, pca or numbers, float(settings.logit_scale or 1))

    def cells(size: tuple[int, int]) -> tuple[int, int]:
        _, height, width = segmenter.output_shape(size)
        return height, width

    return Embedder(
        lambda images: (maps.transpose(1, 2, 0) for maps in segmenter.outputs(images)), cells, info
    )
