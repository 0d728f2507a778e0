"""Pictures of semantic clouds: over camera images, from above, and both on one page."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wsss_perception.frame import UNKNOWN, Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import transform_points, visible_points
from wsss_perception.ontology import Ontology

Picture = NDArray[np.uint8]
"""RGB pixels, uint8 [H, W, 3]."""

_GROUND = (13, 15, 20)
_LINE = (44, 50, 62)
_FAINT = (128, 137, 153)
_TEXT = (224, 228, 235)
_UNKNOWN_DOT = (58, 62, 70)

_SAMPLES = 2  # dots are drawn at this multiple of the size and averaged down, to be smooth
_OPACITY = 0.85  # of dots over an image
_DARKEST = 150  # largest of the three values of a colour, at least
_RING_STEPS = (1, 2, 5, 10, 20, 50, 100)  # metres between range rings
_RINGS = 5  # at most, from the sensor to the upper edge

_PAGE_WIDTH = 1600
_VIEW_FROM_ABOVE = (1250, 940)  # width, height
_CAMERAS_A_ROW = 3
_GAP = 12


def draw_overlay(
    view: View, cloud: PointCloud, labels: NDArray[np.uint8], palette: Picture
) -> Picture:
    """Draws the points that a camera sees over its dimmed image; nearer ones are larger.

    Args:
        view: the image and where its camera was.
        cloud: the points.
        labels: of the points, uint8 [N]; UNKNOWN ones are left out.
        palette: RGB colours uint8 [256, 3] by label.

    Returns:
        The picture, in the image's size.
    """
    index, uv = visible_points(cloud.xyz, view.camera, view.T_camera_lidar)
    known = labels[index] != UNKNOWN
    index, uv = index[known], uv[known]
    points = transform_points(view.T_camera_lidar, cloud.xyz[index].astype(np.float64))
    far_to_near = np.argsort(-points[:, 2])
    depth = points[far_to_near, 2]
    width = view.camera.width * _SAMPLES
    radius = np.clip(0.02 * width / depth, 0.0008 * width, 0.002 * width) + 0.3 * _SAMPLES
    image = _dim(view.image)
    canvas = image.repeat(_SAMPLES, axis=0).repeat(_SAMPLES, axis=1)
    centres = (uv[far_to_near] + 0.5) * _SAMPLES
    _splat(canvas, centres, radius, _legible(palette)[labels[index[far_to_near]]])
    return (_OPACITY * _reduce(canvas) + (1 - _OPACITY) * image).astype(np.uint8)


def draw_from_above(
    cloud: PointCloud,
    labels: NDArray[np.uint8],
    palette: Picture,
    size: tuple[int, int] = _VIEW_FROM_ABOVE,
) -> Picture:
    """Draws a cloud from above in class colours: forward is up, with range rings in metres.

    The range is chosen so that nearly all points are on the picture; higher points cover lower
    ones; UNKNOWN ones are faint.

    Args:
        cloud: the points in the LiDAR frame.
        labels: of the points, uint8 [N].
        palette: RGB colours uint8 [256, 3] by label.
        size: width and height of the picture in pixels.
    """
    width, height = size
    finite = np.isfinite(cloud.xyz).all(axis=1)
    xyz, labels = cloud.xyz[finite], labels[finite]
    step, reach = _range(xyz)
    scale = 0.5 * height / reach  # pixels per metre
    canvas = _draw_rings(size, step, scale)
    low_to_high = np.lexsort((xyz[:, 2], labels != UNKNOWN))
    xyz, labels = xyz[low_to_high], labels[low_to_high]
    colors = _legible(palette)
    colors[UNKNOWN] = _UNKNOWN_DOT
    middle = np.array([width, height]) / 2
    centres = (middle - xyz[:, [1, 0]] * scale) * _SAMPLES
    radius = np.full(len(xyz), np.clip(0.09 * scale, 0.8, 1.6) * _SAMPLES)
    _splat(canvas, centres, radius, _shade(colors[labels], xyz[:, 2]))
    picture = Image.fromarray(_reduce(canvas))
    _draw_sensor(picture)
    _label_rings(picture, step, scale)
    return np.asarray(picture)


def draw_page(frame: Frame, semantic: SemanticCloud, ontology: Ontology) -> Picture:
    """Draws a frame on one page: its cameras, the view from above, and the classes' shares.

    Args:
        frame: the cloud and its views; without views the page has no camera images.
        semantic: the cloud's labels.
        ontology: names and colours of the classes.
    """
    palette = ontology.palette()
    rows = []
    for start in range(0, len(frame.views), _CAMERAS_A_ROW):
        views = _fit_row(frame.views[start : start + _CAMERAS_A_ROW])
        overlays = [draw_overlay(v, frame.cloud, semantic.labels, palette) for v in views]
        rows.append([_name_picture(o, v.name) for o, v in zip(overlays, views, strict=True)])
    above = draw_from_above(frame.cloud, semantic.labels, palette)
    legend_width = _PAGE_WIDTH - _VIEW_FROM_ABOVE[0] - 3 * _GAP
    legend = _draw_legend(frame, semantic.labels, ontology, (legend_width, above.shape[0]))
    heights = [row[0].shape[0] for row in rows] + [above.shape[0]]
    page = np.full((sum(heights) + _GAP * (len(heights) + 1), _PAGE_WIDTH, 3), _GROUND, np.uint8)
    y = _GAP
    for row in [*rows, [above, legend]]:
        x = _GAP
        for picture in row:
            page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
            x += picture.shape[1] + _GAP
        y += row[0].shape[0] + _GAP
    return page


def _splat(
    canvas: Picture, centres: NDArray[np.floating], radius: NDArray[np.floating], colors: Picture
) -> None:
    """Draws discs onto a canvas; later ones cover earlier ones.

    Args:
        canvas: [H, W, 3], changed.
        centres: column and row of each disc [N, 2].
        radius: of each disc [N] in pixels; discs of one rounded radius must be neighbours.
        colors: [N, 3].
    """
    height, width, _ = canvas.shape
    pixels = np.floor(np.clip(centres, -1e6, 1e6)).astype(np.int64)
    sizes = np.maximum(np.rint(radius), 1).astype(np.int64)
    bounds = np.flatnonzero(np.diff(sizes)) + 1
    for part in np.split(np.arange(len(sizes)), bounds):
        if not len(part):
            continue
        around = _disc(int(sizes[part[0]]))
        column, row = (pixels[part, None] + around).reshape(-1, 2).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        # where an index repeats, numpy keeps the last value
        color = np.repeat(colors[part], len(around), axis=0)
        canvas[row[inside], column[inside]] = color[inside]


@lru_cache
def _disc(radius: int) -> NDArray[np.int64]:
    """Returns the offsets [K, 2] of a disc's pixels."""
    side = np.arange(-radius, radius + 1)
    offsets = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return offsets[(offsets**2).sum(axis=1) <= (radius + 0.3) ** 2]


def _legible(palette: Picture) -> Picture:
    """Brightens dark colours, hue kept, so that they stand out from the dark ground."""
    largest = np.maximum(palette.max(axis=1, keepdims=True), 1)
    factor = np.maximum(_DARKEST / largest, 1.0)
    return np.rint(palette * factor).astype(np.uint8)


def _dim(image: Picture) -> Picture:
    """Darkens an image and takes half of its colour away, so that dots stand out."""
    grey = image.mean(axis=2, keepdims=True)
    return (0.55 * (0.5 * image + 0.5 * grey)).astype(np.uint8)


def _shade(colors: Picture, heights: NDArray[np.floating]) -> Picture:
    """Lets lower points be a little darker, for an impression of relief."""
    if not len(heights):
        return colors
    low, high = np.percentile(heights, [2, 98])
    level = np.clip((heights - low) / max(high - low, 1e-6), 0.0, 1.0)
    return (colors * (0.78 + 0.22 * level[:, None])).astype(np.uint8)


def _reduce(canvas: Picture) -> Picture:
    """Averages blocks of samples to pixels."""
    height, width, _ = canvas.shape
    blocks = canvas.reshape(height // _SAMPLES, _SAMPLES, width // _SAMPLES, _SAMPLES, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def _range(xyz: NDArray[np.floating]) -> tuple[int, float]:
    """Chooses the metres between rings, and from the sensor to the upper edge."""
    distance = np.hypot(xyz[:, 0], xyz[:, 1])
    reach = 1.05 * float(np.percentile(distance, 96)) if len(distance) else 50.0
    reach = float(np.clip(reach, _RING_STEPS[0], _RINGS * _RING_STEPS[-1]))
    return next(step for step in _RING_STEPS if step * _RINGS >= reach), reach


def _radii(size: tuple[int, int], step: int, scale: float) -> NDArray[np.int64]:
    """Returns the radii in metres of the rings that reach into a picture."""
    farthest = 0.5 * np.hypot(*size) / scale
    return np.arange(step, farthest, step).astype(np.int64)


def _draw_rings(size: tuple[int, int], step: int, scale: float) -> Picture:
    width, height = size[0] * _SAMPLES, size[1] * _SAMPLES
    picture = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(picture)
    x, y = width / 2, height / 2
    for metres in _radii(size, step, scale):
        r = metres * scale * _SAMPLES
        draw.ellipse((x - r, y - r, x + r, y + r), outline=_LINE, width=_SAMPLES)
    draw.line((x, 0, x, height), fill=_LINE, width=1)
    draw.line((0, y, width, y), fill=_LINE, width=1)
    return np.array(picture)


def _label_rings(picture: Image.Image, step: int, scale: float) -> None:
    """Writes the radii along the diagonal to the upper right."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for metres in _radii(picture.size, step, scale):
        offset = metres * scale * np.sqrt(0.5)
        if offset < height / 2 - 20:
            place = (width / 2 + offset, height / 2 - offset)
            _write(draw, place, f"{metres} m", 15, _FAINT, "mm")


def _draw_sensor(picture: Image.Image) -> None:
    """Draws an arrow head at the sensor that points forward."""
    x, y = picture.size[0] / 2, picture.size[1] / 2
    outline = [(x, y - 13), (x + 9, y + 10), (x, y + 5), (x - 9, y + 10)]
    ImageDraw.Draw(picture).polygon(outline, fill=(255, 255, 255), outline=_GROUND)


def _draw_legend(
    frame: Frame, labels: NDArray[np.uint8], ontology: Ontology, size: tuple[int, int]
) -> Picture:
    """Lists the classes that occur with their shares of the points, largest first."""
    picture = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(picture)
    seconds = f"{frame.cloud.stamp / 1e9:.3f} s"
    _write(draw, (8, 20), f"{len(labels):,} points", 26, _TEXT)
    _write(draw, (8, 50), f"{frame.cloud.frame_id}   {seconds}", 16, _FAINT)
    counts = np.bincount(labels, minlength=256)
    known = np.argsort(-counts[:UNKNOWN], kind="stable")
    rows = [int(label) for label in (*known, UNKNOWN) if counts[label]]
    pitch = min(34.0, (size[1] - 90) / max(len(rows), 1))
    colors = _legible(ontology.palette())
    colors[UNKNOWN] = _UNKNOWN_DOT
    for row, label in enumerate(rows):
        y = 96 + pitch * row
        name = ontology.classes[label] if label < len(ontology) else "unknown"
        share = counts[label] / len(labels)
        percent = f"{share:.1%}" if share >= 0.0005 else "< 0.1%"
        _write(draw, (8, y), name.replace("_", " "), 17, _TEXT)
        _write(draw, (size[0] - 8, y), percent, 17, _FAINT, "rm")
        length = (size[0] - 16) * min(counts[label] / max(counts[rows[0]], 1), 1.0)
        red, green, blue = colors[label].tolist()
        draw.rectangle((8, y + 11, 8 + max(length, 3), y + 16), fill=(red, green, blue))
    return np.asarray(picture)


def _name_picture(picture: Picture, name: str) -> Picture:
    image = Image.fromarray(picture)
    _write(ImageDraw.Draw(image), (14, 20), name, 18, _TEXT)
    return np.asarray(image)


def _fit_row(views: Sequence[View]) -> list[View]:
    """Scales views to one height at which they fill the page's width."""
    ratio = sum(view.camera.width / view.camera.height for view in views)
    height = (_PAGE_WIDTH - _GAP * (len(views) + 1)) / ratio
    return [_scale(view, height / view.camera.height) for view in views]


def _scale(view: View, factor: float) -> View:
    camera = view.camera.scaled(factor)
    size = (camera.width, camera.height)
    image = Image.fromarray(view.image).resize(size, Image.Resampling.LANCZOS)
    return replace(view, camera=camera, image=np.asarray(image))


def _write(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    anchor: str = "lm",
) -> None:
    font = _font(size)
    draw.text(position, text, color, font, anchor, stroke_width=2, stroke_fill=_GROUND)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
