"""Copies a rosbag2 and adds semantic clouds; needs no ROS.

Every message is copied as it is. The results are on semantic_points, in the namespace of the
clouds. Cameras with a camera_info that TF or a calibration file places are used for the points'
`seen` counts, for the pictures, and for the labels where the bundle has `cameras: optional`.
"""

import argparse
from pathlib import Path

from wsss_perception.bag import Pages, segment_bag
from wsss_perception.bundle import choose_bundle
from wsss_perception.cli import positive_integer
from wsss_perception.engines import ENGINES, describe, load_engine
from wsss_perception.engines.options import PRECISIONS
from wsss_perception.query import find_query
from wsss_perception.segmenter import Segmenter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("input", type=Path, metavar="IN", help="the bag: a folder, .mcap or .db3")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the new bag")
    parser.add_argument(
        "--bundle", type=Path, help="folder of the model bundle (default: the package's model)"
    )
    parser.add_argument("--points-topic", help="topic of the clouds, where the bag has several")
    parser.add_argument(
        "--intensity-scale",
        type=float,
        default=1.0,
        help="factor that brings the intensities to 0..1, such as 0.0039 for 0..255 (default: 1)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="what runs the network (default: auto, the first that works here)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:<n> (default: auto)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="in which the network computes (default: auto, fp16 on a GPU, fp32 on a CPU)",
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        help="weaker labels become unknown, 255 (default: 0)",
    )
    parser.add_argument(
        "--calibration", type=Path, help="calibration file of the cameras, instead of TF"
    )
    parser.add_argument(
        "--query",
        metavar="PHRASE",
        help="write how alike each point is to a phrase to query_points, for models that answer "
        "phrases",
    )
    parser.add_argument(
        "--text-model",
        nargs="+",
        default=[],
        metavar="NAME",
        help="open_clip model, and its weights, that encodes a phrase which is not the model's own "
        "(default: the one that the bundle's teacher names)",
    )
    parser.add_argument("--pictures", type=Path, help="folder to draw pictures of the clouds into")
    parser.add_argument(
        "--every",
        type=positive_integer,
        default=10,
        help="draw every so many clouds (default: 10)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Segments the bag and prints what became of its clouds.

    Raises:
        WsssError: of the bundle, the phrase, the engine, the bag or the calibration file.
    """
    bundle = choose_bundle(arguments.bundle, print)
    how = (arguments.engine, bundle, arguments.device, arguments.precision)
    query = None
    if arguments.query is not None:
        query = find_query(bundle.spec, arguments.query, " ".join(arguments.text_model))
    engine = load_engine(*how, tell=print)
    print(f"engine {describe(engine)}")
    segmenter = Segmenter(bundle.spec, engine, arguments.min_confidence)
    pictures = None
    if arguments.pictures is not None:
        pictures = Pages(arguments.pictures, arguments.every, bundle.spec.ontology)
    counts = segment_bag(
        arguments.input,
        arguments.output,
        segmenter,
        arguments.points_topic,
        arguments.intensity_scale,
        arguments.calibration,
        pictures,
        query,
    )
    failed = f", {counts.failed} left without labels" if counts.failed else ""
    print(f"{arguments.output}: {counts.clouds} clouds, {counts.points} points{failed}")
    if pictures is not None:
        print(f"{arguments.pictures}: {pictures.drawn} pictures")
