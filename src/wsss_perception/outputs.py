"""Parts of a semantic cloud: which points are of some classes, and the message of these points."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.frame import UNKNOWN
from wsss_perception.messages.common import make_message
from wsss_perception.messages.point_layout import describe, read_layout
from wsss_perception.ontology import Ontology

UNKNOWN_NAME = "unknown"
"""Name of points without a class, where names of classes are asked for or told."""


def class_mask(
    labels: NDArray[np.uint8], ontology: Ontology, names: Iterable[str]
) -> NDArray[np.bool_]:
    """Tells which points are of some classes.

    Args:
        labels: of the points, uint8 [N].
        ontology: the classes of the labels.
        names: of the classes; UNKNOWN_NAME stands for points without a class, unless the
            ontology has a class of that name.

    Returns:
        Whether each point [N] is of one of the classes.

    Raises:
        OntologyError: there is no such class; the message names the nearest one.
    """
    table = np.zeros(256, dtype=bool)
    for name in names:
        is_class = name != UNKNOWN_NAME or name in ontology.classes
        table[ontology.index(name) if is_class else UNKNOWN] = True
    return table[labels]


def select_points(message: Any, mask: NDArray[np.bool_]) -> Any:
    """Copies some points of a cloud, with all their bytes, in their order.

    The output has the input's header, fields, point_step, byte order and is_dense; it is
    unorganised (height 1), and padding of rows is dropped.

    Args:
        message: a PointCloud2, of rclpy or rosbags; it is not changed.
        mask: which points to copy, bool [N], row by row.

    Returns:
        A new PointCloud2 of the input's class.

    Raises:
        MessageError: the cloud has another number of points, or contradicts itself.
    """
    layout = read_layout(message)
    if len(mask) != len(layout):
        raise MessageError(
            f"{describe(message)}: a mask of {len(mask)} points does not fit {len(layout)} points; "
            "select from the cloud that the mask was computed for"
        )
    selected = np.flatnonzero(mask)
    step = int(message.point_step)
    result, data = make_message(
        type(message),
        step * len(selected),
        header=message.header,
        height=1,
        width=len(selected),
        fields=list(message.fields),
        is_bigendian=bool(message.is_bigendian),
        point_step=step,
        row_step=step * len(selected),
        is_dense=bool(message.is_dense),
    )
    if len(data):
        # whole points are one element each: faster than rows of bytes
        points, target = layout.heads(step).reshape(-1), data.view(np.dtype((np.void, step)))
        np.take(points, selected, out=target, mode="clip")
    return result
