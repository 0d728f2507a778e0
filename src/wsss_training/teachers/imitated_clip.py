"""An imitated vision-language teacher for the synthetic worlds: for measuring and tests.

It is no network and never sees a colour. Every class has a random unit vector; those of classes
that look alike are closer. It is given true or nearly true classes of an image's cells and damages
them by rules whose numbers (``imitated_clip.yaml``) are guesses. What it has of a real one:

- all vectors of images share a direction, all those of texts another one: cosines are low and
  differ little, and only a logit scale of 100 tells classes apart;
- patches of surfaces are seen as another class, mostly a related one, and mostly so from
  everywhere; in some images all of a class is;
- some classes are never recognised; synonyms are near their class, and not equal to it;
- embeddings are blurred at borders, noisy, and shifted a little from image to image.

What it lacks: errors that come from light, texture and context; vectors between classes that mean
something; words that it was not given.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from wsss_perception.texts import BACKGROUND, TextEmbeddings
from wsss_training.teachers.embedding_info import EmbeddingInfo
from wsss_training.world.lasting_noise import Dice
from wsss_training.world.settings_files import read_settings

SETTINGS_FILE = "imitated_clip.yaml"
MODEL = "imitated clip"

Array = NDArray[np.float32]


@dataclass
class ImitationSettings:
    """How the teacher sees; see ``imitated_clip.yaml``."""

    seed: int = MISSING
    size: int = MISSING
    logit_scale: float = MISSING
    common: float = MISSING
    related: float = MISSING
    synonym_noise: float = MISSING
    groups: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    synonyms: dict[str, list[str]] = field(default_factory=dict)
    patch: float = MISSING
    patch_errors: float = MISSING
    persistence: float = MISSING
    image_errors: float = MISSING
    group_rivals: float = MISSING
    blur: float = MISSING
    shift: float = MISSING
    noise: float = MISSING


def load_imitation(path: str | Path | None = None) -> ImitationSettings:
    """Reads the settings; the shipped ones by default.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema.
    """
    return read_settings(ImitationSettings, path, __package__, SETTINGS_FILE)


def imitated_texts(
    classes: Sequence[str], background: Sequence[str], settings: ImitationSettings
) -> TextEmbeddings:
    """Makes the texts of classes, of their synonyms under the classes' names, and of background.

    Args:
        classes: names.
        background: names of what is no class; they get the prefix of background prompts.
        settings: of the teacher.
    """
    common = np.sqrt(settings.common) * _direction("common of texts", settings)
    names, vectors = [], []
    for name in (*classes, *background):
        concept = _concept(name, settings)
        for word in (name, *settings.synonyms.get(name, [])):
            away = 0.0 if word == name else settings.synonym_noise
            meaning = _unit(concept + away * _direction(f"synonym {word}", settings))
            names.append(name if name in classes else f"{BACKGROUND}{name}")
            vectors.append(_unit(common + np.sqrt(1 - settings.common) * meaning))
    return TextEmbeddings(tuple(names), np.array(vectors, dtype=np.float32), MODEL)


def imitation_info(settings: ImitationSettings) -> EmbeddingInfo:
    """What a folder of its maps says of them."""
    size = settings.size
    return EmbeddingInfo({"model": MODEL, "seed": settings.seed}, size, size, settings.logit_scale)


class ImitatedClip:
    """Imitates a teacher's embeddings of images.

    Args:
        names: what cells can show: classes, and what is none of them.
        settings: how it sees.
    """

    def __init__(self, names: Sequence[str], settings: ImitationSettings) -> None:
        self._settings = settings
        self._concepts = np.array([_concept(name, settings) for name in names], dtype=np.float32)
        self._looks_like = np.array(
            [
                names.index(settings.missing[name])
                if settings.missing.get(name) in names
                else number
                for number, name in enumerate(names)
            ]
        )
        self._rivals = np.cumsum(_rivals(names, settings), axis=1)

    def __call__(
        self, shares: Array, patches: NDArray[np.int64], scene_seed: int, image: int
    ) -> Array:
        """Imitates the map of an image.

        Args:
            shares: how much of each cell shows each name [C, h, w].
            patches: of the surface in each cell [h, w], the same number in all images of a scene;
                -1 for none, which no error of patches befalls.
            scene_seed: which scene, 0 or more.
            image: its number in the scene.

        Returns:
            float32 [h, w, D], rows of length 1; 0 where a cell shows nothing.
        """
        settings = self._settings
        generator = np.random.default_rng([settings.seed, scene_seed, image])
        seen = self._mistake(shares, patches, scene_seed, image, generator)
        seen = settings.blur * _box_mean(seen) + (1 - settings.blur) * seen
        meaning = _unit(np.moveaxis(seen, 0, 2) @ self._concepts)
        noise = generator.standard_normal((*meaning.shape[:2], settings.size + 1), np.float32)
        shift = _unit(generator.standard_normal(settings.size)).astype(np.float32)
        meaning += settings.shift * shift
        meaning += settings.noise / np.sqrt(settings.size) * noise[..., :-1]
        common = np.sqrt(settings.common) * _direction("common of images", settings)
        given = _unit(common + np.sqrt(1 - settings.common) * _unit(meaning))
        return np.where(seen.sum(axis=0)[..., None] > 0, given, 0).astype(np.float32)

    def _mistake(
        self,
        shares: Array,
        patches: NDArray[np.int64],
        scene_seed: int,
        image: int,
        generator: np.random.Generator,
    ) -> Array:
        """Gives the shares of names to those they are taken for."""
        settings, count = self._settings, len(shares)
        dice = Dice(int(patches.max(initial=0)) + 1, scene_seed, image, settings.persistence)
        known = patches >= 0
        wrong = known & (dice.uniform("wrong")[patches] < settings.patch_errors)
        draw = dice.uniform("rival")[patches]
        image_wrong = generator.random(count) < settings.image_errors
        image_draw = generator.random(count)
        seen = np.zeros_like(shares)
        rows, columns = np.ogrid[: patches.shape[0], : patches.shape[1]]
        for name in range(count):
            chances = self._rivals[name]
            taken_for = np.where(wrong, np.searchsorted(chances, draw), self._looks_like[name])
            if image_wrong[name]:
                taken_for[:] = np.searchsorted(chances, image_draw[name])
            seen[np.minimum(taken_for, count - 1), rows, columns] += shares[name]
        return seen


def _rivals(names: Sequence[str], settings: ImitationSettings) -> NDArray[np.float64]:
    """Probability [C, C] that a name in error is taken for each other one."""
    count = len(names)
    related = np.zeros((count, count))
    for group in settings.groups.values():
        members = [number for number, name in enumerate(names) if name in group]
        related[np.ix_(members, members)] = 1
    others = 1 - np.eye(count)
    related *= others
    size = related.sum(axis=1, keepdims=True)
    share = np.where(size > 0, settings.group_rivals, 0)
    return share * related / np.maximum(size, 1) + (1 - share) * others / max(count - 1, 1)


def _concept(name: str, settings: ImitationSettings) -> NDArray[np.float64]:
    """The unit vector of a name, near those of its groups."""
    groups = [group for group, members in settings.groups.items() if name in members]
    own = _direction(f"name {name}", settings)
    if not groups:
        return own
    shared = _unit(np.sum([_direction(f"group {group}", settings) for group in groups], axis=0))
    return _unit(np.sqrt(settings.related) * shared + np.sqrt(1 - settings.related) * own)


def _direction(purpose: str, settings: ImitationSettings) -> NDArray[np.float64]:
    """A random unit vector that depends on nothing but its purpose and the seed."""
    generator = np.random.default_rng([settings.seed, zlib.crc32(purpose.encode())])
    return _unit(generator.standard_normal(settings.size))


def _unit(vectors: NDArray) -> NDArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _box_mean(planes: Array) -> Array:
    """Mean over 3x3 cells in each plane [C, h, w], edges repeated."""
    _, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifted = [padded[:, r : r + height, c : c + width] for r in range(3) for c in range(3)]
    return np.mean(shifted, axis=0, dtype=np.float32)
