r"""Embeds a dataset's images cell by cell with a frozen open_clip model, for 'method: vlg'.

Several processes share the images under torchrun. What was killed goes on when the same command is
given again; maps that are there are not made again.

Example:
  python -m wsss_training embed-images --dataset kitti_raw --root /data/kitti_raw \
    --model ViT-B-16 --pretrained laion2b_s34b_b88k --output /data/clip/kitti_raw --pca 128
"""

import argparse

from wsss_perception.cli import positive_integer, positive_number
from wsss_training.commands.teacher_arguments import (
    add_image_arguments,
    add_model_arguments,
    named_images,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    add_image_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument(
        "--pca",
        type=positive_integer,
        metavar="K",
        help="numbers to keep of each embedding (default: all)",
    )
    parser.add_argument(
        "--window",
        type=positive_integer,
        metavar="PIXELS",
        help="width and height of the windows that are embedded (default: what the model saw)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.5,
        help="share of a window that the next one covers too (0.5)",
    )
    parser.add_argument(
        "--scale",
        type=positive_number,
        default=1.0,
        help="by what images are enlarged before they are cut (1)",
    )
    parser.add_argument(
        "--batch", type=positive_integer, default=16, help="windows embedded at once (16)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Embeds.

    Raises:
        WsssError: the model or the dataset cannot be had, the disk has too little space, or OUT has
            embeddings of something else.
    """
    from wsss_perception.errors import ConfigError
    from wsss_training.processes import place
    from wsss_training.teachers.clip.model import open_clip_model
    from wsss_training.teachers.embedding_job import Embedder, write_embeddings
    from wsss_training.teachers.embedding_maps import EmbeddingInfo
    from wsss_training.teachers.windows import WindowedEmbedder, Windows

    place()
    model = open_clip_model(arguments.model, arguments.pretrained)
    if arguments.pca is not None and arguments.pca > model.size:
        raise ConfigError(f"--pca {arguments.pca}: the embeddings have {model.size} numbers")
    windows = Windows(
        arguments.window or model.tower.window,
        model.tower.stride,
        arguments.overlap,
        arguments.scale,
        arguments.batch,
    )
    teacher = {
        "model": model.description,
        "window": windows.window,
        "overlap": windows.overlap,
        "scale": windows.scale,
    }
    info = EmbeddingInfo(teacher, model.size, arguments.pca or model.size, model.logit_scale)
    embedder = Embedder(WindowedEmbedder(model, windows), windows.cells, info)
    write_embeddings(embedder, named_images(arguments), arguments.output)
