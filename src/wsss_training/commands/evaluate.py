r"""Scores a model bundle on a labelled dataset.

Prints the table, computed as the official evaluator of the dataset's benchmark does; writes the
JSON file and, beside it, a confusion and a bar picture. Several processes share the sweeps under
torchrun.

Example:
  python -m wsss_training evaluate --bundle models/kitti --dataset semantic_kitti \
    --root ../shared/data/semantic_kitti --option sequences=00 --json out/seq00.json
"""

import argparse
from pathlib import Path

from wsss_training.commands.dataset_arguments import add_dataset_arguments, open_named_dataset
from wsss_training.data import parse_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("--bundle", type=Path, help="model bundle (default: the package's model)")
    add_dataset_arguments(parser)
    parser.add_argument(
        "--cameras",
        metavar="all|none|NAME",
        help="whose images a model of 'cameras: optional' gets, such as CAM_FRONT (default: all)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="file to write the scores to")
    parser.add_argument("--device", default="auto", help="cpu, cuda... (default: auto)")


def run(arguments: argparse.Namespace) -> None:
    """Evaluates.

    Raises:
        WsssError: the dataset, the bundle or a label cannot be read, or OUT cannot be written.
    """
    from wsss_perception.bundle import choose_bundle
    from wsss_perception.engines import load_engine
    from wsss_perception.segmenter import Segmenter
    from wsss_training import report
    from wsss_training.evaluate import (
        NO_CAMERAS,
        check_same_classes,
        choose_cameras,
        evaluate,
        scene_starts_first,
    )
    from wsss_training.metrics import scores_for
    from wsss_training.processes import place, sum_over_all

    if arguments.json is not None:
        report.check_writable(arguments.json)
    here = place()
    bundle = choose_bundle(arguments.bundle, here.say)
    cameras = choose_cameras(arguments.cameras, bundle.spec)
    dataset = open_named_dataset(arguments, images=cameras != NO_CAMERAS)
    ontology = bundle.spec.ontology
    benchmark = check_same_classes(dataset.ontology, ontology).name
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, arguments.device, "fp32"))
    mine = here.share(scene_starts_first(dataset.sample_ids))
    samples = (dataset[index] for index in mine)
    matrix = evaluate(segmenter, here.tracked(samples, "sweeps", len(mine)), cameras)
    matrix.counts = sum_over_all(matrix.counts)
    if not here.is_first:
        return
    scores = scores_for(benchmark)(matrix)
    print(report.format_table(ontology, scores))
    if arguments.json is not None:
        result = {
            "bundle": str(bundle.folder),
            "dataset": arguments.dataset,
            "options": parse_options(arguments.dataset, arguments.option),
            "cameras": cameras,
            "sweeps": len(dataset),
            **report.to_dict(ontology, scores),
        }
        report.write_json(arguments.json, result)
        stem = arguments.json.with_suffix("")
        report.draw_confusion(Path(f"{stem}_confusion.png"), ontology, matrix)
        report.draw_iou(Path(f"{stem}_iou.png"), ontology, scores)
        print(f"written: {arguments.json}, {stem}_confusion.png, {stem}_iou.png")
