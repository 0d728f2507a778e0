"""Pictures of semantic clouds: over camera images, from above, and both on one page."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wsss_perception.drawing import (
    FAINT,
    GROUND,
    LINE,
    SAMPLES,
    TEXT,
    UNKNOWN_DOT,
    Picture,
    legible,
    reduce_samples,
    shade,
    splat,
    write_text,
)
from wsss_perception.frame import UNKNOWN, Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import transform_points, visible_points
from wsss_perception.ontology import Ontology

_OPACITY = 0.85  # of dots over an image
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
    index, uv = visible_points(cloud.xyz, view.camera, view.T_camera_lidar, depth_image=view.depth)
    known = labels[index] != UNKNOWN
    index, uv = index[known], uv[known]
    points = transform_points(view.T_camera_lidar, cloud.xyz[index].astype(np.float64))
    far_to_near = np.argsort(-points[:, 2])
    depth = points[far_to_near, 2]
    width = view.camera.width * SAMPLES
    radius = np.clip(0.02 * width / depth, 0.0008 * width, 0.002 * width) + 0.3 * SAMPLES
    image = _dim(view.image)
    canvas = image.repeat(SAMPLES, axis=0).repeat(SAMPLES, axis=1)
    centres = (uv[far_to_near] + 0.5) * SAMPLES
    splat(canvas, centres, radius, legible(palette)[labels[index[far_to_near]]])
    return (_OPACITY * reduce_samples(canvas) + (1 - _OPACITY) * image).astype(np.uint8)


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
    colors = legible(palette)
    colors[UNKNOWN] = UNKNOWN_DOT
    middle = np.array([width, height]) / 2
    centres = (middle - xyz[:, [1, 0]] * scale) * SAMPLES
    radius = np.full(len(xyz), np.clip(0.09 * scale, 0.8, 1.6) * SAMPLES)
    splat(canvas, centres, radius, shade(colors[labels], xyz[:, 2]))
    picture = Image.fromarray(reduce_samples(canvas))
    _draw_sensor(picture)
    _label_rings(picture, step, scale)
    return np.asarray(picture)


def draw_page(
    frame: Frame,
    semantic: SemanticCloud,
    ontology: Ontology,
    labels_of_view: Callable[[View], NDArray[np.uint8]] | None = None,
) -> Picture:
    """Draws a frame on one page: its cameras, the view from above, and the classes' shares.

    Args:
        frame: the cloud and its views; without views the page has no camera images, nor of those
            without pixels.
        semantic: the cloud's labels.
        ontology: names and colours of the classes.
        labels_of_view: labels uint8 [N] to draw over a view instead of the cloud's own.
    """
    palette = ontology.palette()
    rows = []
    drawn = [view for view in frame.views if view.image.size]
    for start in range(0, len(drawn), _CAMERAS_A_ROW):
        views = _fit_row(drawn[start : start + _CAMERAS_A_ROW])
        overlays = [
            draw_overlay(
                view,
                frame.cloud,
                semantic.labels if labels_of_view is None else labels_of_view(view),
                palette,
            )
            for view in views
        ]
        rows.append([_name_picture(o, v.name) for o, v in zip(overlays, views, strict=True)])
    above = draw_from_above(frame.cloud, semantic.labels, palette)
    legend_width = _PAGE_WIDTH - _VIEW_FROM_ABOVE[0] - 3 * _GAP
    legend = _draw_legend(frame, semantic.labels, ontology, (legend_width, above.shape[0]))
    heights = [row[0].shape[0] for row in rows] + [above.shape[0]]
    page = np.full((sum(heights) + _GAP * (len(heights) + 1), _PAGE_WIDTH, 3), GROUND, np.uint8)
    y = _GAP
    for row in [*rows, [above, legend]]:
        x = _GAP
        for picture in row:
            page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
            x += picture.shape[1] + _GAP
        y += row[0].shape[0] + _GAP
    return page


def _dim(image: Picture) -> Picture:
    """Darkens an image and takes half of its colour away, so that dots stand out."""
    grey = image.mean(axis=2, keepdims=True)
    return (0.55 * (0.5 * image + 0.5 * grey)).astype(np.uint8)


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
    width, height = size[0] * SAMPLES, size[1] * SAMPLES
    picture = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(picture)
    x, y = width / 2, height / 2
    for metres in _radii(size, step, scale):
        r = metres * scale * SAMPLES
        draw.ellipse((x - r, y - r, x + r, y + r), outline=LINE, width=SAMPLES)
    draw.line((x, 0, x, height), fill=LINE, width=1)
    draw.line((0, y, width, y), fill=LINE, width=1)
    return np.array(picture)


def _label_rings(picture: Image.Image, step: int, scale: float) -> None:
    """Writes the radii along the diagonal to the upper right."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for metres in _radii(picture.size, step, scale):
        offset = metres * scale * np.sqrt(0.5)
        if offset < height / 2 - 20:
            place = (width / 2 + offset, height / 2 - offset)
            write_text(draw, place, f"{metres} m", 15, FAINT, "mm")


def _draw_sensor(picture: Image.Image) -> None:
    """Draws an arrow head at the sensor that points forward."""
    x, y = picture.size[0] / 2, picture.size[1] / 2
    outline = [(x, y - 13), (x + 9, y + 10), (x, y + 5), (x - 9, y + 10)]
    ImageDraw.Draw(picture).polygon(outline, fill=(255, 255, 255), outline=GROUND)


def _draw_legend(
    frame: Frame, labels: NDArray[np.uint8], ontology: Ontology, size: tuple[int, int]
) -> Picture:
    """Lists the classes that occur with their shares of the points, largest first."""
    picture = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(picture)
    seconds = f"{frame.cloud.stamp / 1e9:.3f} s"
    write_text(draw, (8, 20), f"{len(labels):,} points", 26, TEXT)
    write_text(draw, (8, 50), f"{frame.cloud.frame_id}   {seconds}", 16, FAINT)
    counts = np.bincount(labels, minlength=256)
    known = np.argsort(-counts[:UNKNOWN], kind="stable")
    rows = [int(label) for label in (*known, UNKNOWN) if counts[label]]
    pitch = min(34.0, (size[1] - 90) / max(len(rows), 1))
    colors = legible(ontology.palette())
    colors[UNKNOWN] = UNKNOWN_DOT
    for row, label in enumerate(rows):
        y = 96 + pitch * row
        name = ontology.classes[label] if label < len(ontology) else "unknown"
        share = counts[label] / len(labels)
        percent = f"{share:.1%}" if share >= 0.0005 else "< 0.1%"
        write_text(draw, (8, y), name.replace("_", " "), 17, TEXT)
        write_text(draw, (size[0] - 8, y), percent, 17, FAINT, "rm")
        length = (size[0] - 16) * min(counts[label] / max(counts[rows[0]], 1), 1.0)
        red, green, blue = colors[label].tolist()
        draw.rectangle((8, y + 11, 8 + max(length, 3), y + 16), fill=(red, green, blue))
    return np.asarray(picture)


def _name_picture(picture: Picture, name: str) -> Picture:
    image = Image.fromarray(picture)
    write_text(ImageDraw.Draw(image), (14, 20), name, 18, TEXT)
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
    depth = view.depth
    if depth is not None:
        depth = np.asarray(Image.fromarray(depth).resize(size, Image.Resampling.NEAREST))
    return replace(view, camera=camera, image=np.asarray(image), depth=depth)
