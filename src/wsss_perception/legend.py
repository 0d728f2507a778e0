"""An image that tells which colour is which class."""

import numpy as np
from PIL import Image, ImageDraw

from wsss_perception.drawing import FAINT, GROUND, TEXT, Picture, text_width, write_text
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology
from wsss_perception.outputs import UNKNOWN_NAME

_ROWS = 26  # in a column, at most
_PITCH = 28
_MARGIN = 10
_SWATCH = 18
_LETTERS = 17


def draw_legend(ontology: Ontology) -> Picture:
    """Draws each class's colour, label and name, in the order of the labels; unknown is last.

    The colours are those of the field ``rgb`` of the semantic cloud.

    Args:
        ontology: the classes.

    Returns:
        The picture, as large as it must be.
    """
    names = [*ontology.classes, UNKNOWN_NAME]
    labels = [*range(len(ontology)), UNKNOWN]
    columns = -(-len(names) // _ROWS)
    rows = -(-len(names) // columns)
    text = _MARGIN + _SWATCH + 46
    width = text + _MARGIN + max(text_width(name, _LETTERS) for name in names)
    picture = Image.new("RGB", (columns * width, rows * _PITCH + 2 * _MARGIN), GROUND)
    draw = ImageDraw.Draw(picture)
    palette = ontology.palette()
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        column, row = divmod(number, rows)
        x, y = column * width, _MARGIN + row * _PITCH + _PITCH // 2
        red, green, blue = palette[label].tolist()
        swatch = (x + _MARGIN, y - _SWATCH // 2, x + _MARGIN + _SWATCH - 1, y + _SWATCH // 2 - 1)
        draw.rectangle(swatch, fill=(red, green, blue))
        write_text(draw, (x + text - 10, y), str(label), _LETTERS - 3, FAINT, "rm")
        write_text(draw, (x + text, y), name, _LETTERS, TEXT)
    return np.asarray(picture)
