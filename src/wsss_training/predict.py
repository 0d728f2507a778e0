"""Writes predictions as files: SemanticKITTI labels or coloured PLY clouds."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import Frame, SemanticCloud
from wsss_perception.input_check import InputCheck
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter
from wsss_training.data.kitti_files import read_sweep
from wsss_training.files import write_whole

_log = logging.getLogger(__name__)


def predict_sweeps(
    segmenter: Segmenter, sweeps: Iterable[Path], output: Path, file_format: str
) -> None:
    """Segments sweeps and writes one file each, under the sweep's name.

    Args:
        segmenter: the model.
        sweeps: KITTI ``.bin`` files.
        output: folder to write to.
        file_format: ``label`` or ``ply``.

    Raises:
        DatasetError: a sweep cannot be read, or a file cannot be written.
    """
    ontology, check = segmenter.spec.ontology, InputCheck(segmenter.spec)
    for sweep in sweeps:
        cloud = read_sweep(sweep, stamp=0)
        for warning in check(cloud):
            _log.warning("%s: %s", sweep, warning)
        result = segmenter(Frame(cloud))
        if file_format == "label":
            content = ontology.raw_from_labels(result.labels).astype(np.uint32).tobytes()
        else:
            content = ply_bytes(cloud.xyz, result, ontology)
        _write(output / f"{sweep.stem}.{file_format}", content)


def ply_bytes(xyz: NDArray[np.float32], semantic: SemanticCloud, ontology: Ontology) -> bytes:
    """Encodes points [N, 3] in class colours as a binary PLY with label and confidence."""
    layout = [
        *((axis, "<f4", "float") for axis in "xyz"),
        *((channel, "u1", "uchar") for channel in ("red", "green", "blue", "label")),
        ("confidence", "<f4", "float"),
    ]
    vertices = np.empty(len(xyz), dtype=[(name, kind) for name, kind, _ in layout])
    colors = ontology.palette()[semantic.labels]
    columns = [*xyz.T, *colors.T, semantic.labels, semantic.confidence]
    for (name, _, _), values in zip(layout, columns, strict=True):
        vertices[name] = values
    properties = "\n".join(f"property {kind} {name}" for name, _, kind in layout)
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(xyz)}\n"
        f"{properties}\nend_header\n"
    )
    return header.encode("ascii") + vertices.tobytes()


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror}") from error
