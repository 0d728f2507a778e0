"""One picture per scene, from which a person sees which classes occur in it."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from wsss_perception.drawing import FAINT, GROUND, TEXT, Picture, legible, write_text
from wsss_perception.errors import DatasetError
from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology
from wsss_training.data.sample import Dataset, ImageSource, Sample
from wsss_training.dataset_pictures import spread
from wsss_training.files import write_whole
from wsss_training.tags.scene_map import draw_scene_map, group_sweeps
from wsss_training.tags.scenes import samples_by_scene
from wsss_training.tags.sheet_note import SheetNote, note_of, read_note, sheet_path

SWEEPS = 9
"""Sweeps that are read of a scene, at most."""

_PAGE_WIDTH = 1600
_GAP = 10
_HEAD = 56  # pixels, of the line at the top
_MAX_TILE_HEIGHT = 420
_ROWS = {2: 4, 3: 3, 4: 2}  # rows of images by columns
_ROW_RATIO = 5.5  # a row of images should be so many times as wide as high
_MAP_SIDES = {1: (1140, 700), 2: (610, 610)}  # by number of maps
_LINE_HEIGHT = 28  # of the list of classes
_INSTANT = 100_000_000  # nanoseconds; less is not shown


def draw_sheets(
    dataset: Dataset,
    folder: str | Path,
    scenes: Sequence[str] | None = None,
    ontology: Ontology | None = None,
    labels: bool = False,
) -> Iterator[tuple[Path, bool]]:
    """Draws the pictures of scenes; those that are there already stay.

    One that lists other classes, or shows labels where this one shall not, or the other way
    round, is drawn anew. A picture that was not drawn here always stays.

    Args:
        dataset: its scenes.
        folder: where the pictures go, ``<scene>.jpg``.
        scenes: which ones; all by default.
        ontology: whose classes are listed beside the map; none are by default.
        labels: draw the dataset's labels, for those who do not tag from the pictures.

    Yields:
        The path of each picture, and whether it was drawn now.

    Raises:
        DatasetError: a scene is unknown, a sample or an image cannot be read, or a picture cannot
            be written.
    """
    index = samples_by_scene(dataset)
    for scene in index if scenes is None else scenes:
        if scene not in index:
            raise DatasetError(f"no scene '{scene}'; there are: {', '.join(index) or 'none'}")
    note = note_of(ontology, labels)
    label_ontology = dataset.ontology if labels else None
    for scene in index if scenes is None else scenes:
        path = sheet_path(folder, scene)
        is_new = not path.exists() or read_note(path) not in (None, note)
        if is_new:
            samples = [dataset[number] for number in spread(index[scene], SWEEPS)]
            page = draw_sheet(samples, len(index[scene]), label_ontology, ontology)
            _save(path, page, note)
        yield path, is_new


def draw_sheet(
    samples: Sequence[Sample],
    sweeps: int,
    label_ontology: Ontology | None = None,
    ontology: Ontology | None = None,
) -> Picture:
    """Draws the picture of one scene: images above, the scene from above, the classes beside it.

    Args:
        samples: of the scene, spread over it, in order.
        sweeps: number of sweeps that the scene has.
        label_ontology: of the samples' labels, which are drawn if most points have one; None
            not to draw them.
        ontology: whose classes are listed.
    """
    rows = [[_draw_head(samples, sweeps)], *_draw_tiles(samples)]
    groups = group_sweeps(samples)
    size = _MAP_SIDES[len(groups)]
    drawn_labels = label_ontology if _mostly_labelled(samples) else None
    maps = [draw_scene_map(group, drawn_labels, size) for group in groups]
    if ontology is not None:
        width = _PAGE_WIDTH - len(maps) * (size[0] + _GAP) - 2 * _GAP
        maps.append(draw_classes(ontology, (width, size[1]), colored=ontology == drawn_labels))
    rows.append(maps)
    height = sum(row[0].shape[0] + _GAP for row in rows) + _GAP
    page = np.full((height, _PAGE_WIDTH, 3), GROUND, np.uint8)
    y = _GAP
    for row in rows:
        x = _GAP
        for picture in row:
            page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
            x += picture.shape[1] + _GAP
        y += row[0].shape[0] + _GAP
    return page


def draw_classes(ontology: Ontology, size: tuple[int, int], colored: bool) -> Picture:
    """Lists the classes with their numbers, as the terminal does.

    Args:
        ontology: the classes.
        size: width and height of the picture in pixels.
        colored: show their colours, which mean nothing where the map has others.
    """
    width, height = size
    picture = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(picture)
    columns = -(-len(ontology) * _LINE_HEIGHT // height)
    rows = -(-len(ontology) // columns)
    pitch = width / columns
    size_of_text = int(np.clip(pitch / 12, 8, 19))
    for index, color in enumerate(legible(ontology.palette())[: len(ontology)].tolist()):
        x, y = pitch * (index // rows), (index % rows + 0.5) * _LINE_HEIGHT
        if colored:
            draw.rectangle((x, y - 8, x + 8, y + 8), fill=tuple(color))
        write_text(draw, (x + 46, y), f"{index + 1}", size_of_text, FAINT, "rm")
        name = ontology.classes[index].replace("_", " ")
        write_text(draw, (x + 54, y), name, size_of_text, TEXT)
    return np.asarray(picture)


def _draw_head(samples: Sequence[Sample], sweeps: int) -> Picture:
    picture = Image.new("RGB", (_PAGE_WIDTH - 2 * _GAP, _HEAD), GROUND)
    draw = ImageDraw.Draw(picture)
    write_text(draw, (4, _HEAD / 2), samples[0].scene, 34, TEXT)
    facts = [f"{sweeps} sweep{'s' * (sweeps > 1)}"]
    if sweeps == 1 and len(samples[0].images) > 1:
        facts.append(f"{len(samples[0].images)} images")
    start, end = _times(samples)
    if end - start >= _INSTANT:
        facts.append(f"{(end - start) / 1e9:.1f} s")
    write_text(draw, (picture.width - 4, _HEAD / 2), "   ".join(facts), 22, FAINT, "rm")
    return np.asarray(picture)


def _mostly_labelled(samples: Sequence[Sample]) -> bool:
    labels = [sample.labels for sample in samples if sample.labels is not None]
    known = sum(int(np.count_nonzero(of_sweep != UNKNOWN)) for of_sweep in labels)
    return 2 * known > sum(len(sample.cloud) for sample in samples)


def _times(samples: Sequence[Sample]) -> tuple[int, int]:
    """Returns when a scene begins and ends, in nanoseconds; images count where it is one sweep."""
    stamps = [sample.cloud.stamp for sample in samples]
    if len(samples) == 1:
        stamps = [image.stamp for image in samples[0].images] or stamps
    return min(stamps), max(stamps)


def _draw_tiles(samples: Sequence[Sample]) -> list[list[Picture]]:
    """Draws some of the images in rows that fill the page, spread over time and cameras."""
    begin, _ = _times(samples)
    images = [image for sample in samples for image in sample.images]
    if not images:
        return []
    ratio = float(np.median([image.camera.width / image.camera.height for image in images]))
    columns = int(np.clip(round(_ROW_RATIO / ratio), min(_ROWS), max(_ROWS)))
    chosen = spread(images, columns * _ROWS[columns])
    rows: list[list[Picture]] = []
    for start in range(0, len(chosen), columns):
        row = chosen[start : start + columns]
        total = sum(image.camera.width / image.camera.height for image in row)
        if rows:  # a last row that is not full is as high as the others
            total *= columns / len(row)
        height = int(min((_PAGE_WIDTH - _GAP * (columns + 1)) / total, _MAX_TILE_HEIGHT))
        rows.append([_draw_tile(image, height, begin) for image in row])
    return rows


def _draw_tile(source: ImageSource, height: int, begin: int) -> Picture:
    pixels = Image.fromarray(source.load().image)
    width = max(round(pixels.width * height / pixels.height), 1)
    picture = pixels.resize((width, height), Image.Resampling.LANCZOS)
    caption, elapsed = source.name, source.stamp - begin
    if abs(elapsed) >= _INSTANT:
        caption += f"   {elapsed / 1e9:.1f} s"
    write_text(ImageDraw.Draw(picture), (10, 16), caption, 16, TEXT)
    return np.asarray(picture)


def _save(path: Path, page: Picture, note: SheetNote) -> None:
    buffer = io.BytesIO()
    try:
        Image.fromarray(page).save(buffer, format="JPEG", quality=88, comment=note.encode())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror or error}") from error
