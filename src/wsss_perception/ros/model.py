"""A model that is ready to run: a bundle, its engine, and the pipeline around them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec, choose_bundle
from wsss_perception.engines import describe, load_engine
from wsss_perception.frame import Frame, PointCloud
from wsss_perception.ros.pipeline import Pipeline
from wsss_perception.segmenter import Segmenter

_TRIAL_POINTS = 1000


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        folder: of its bundle.
        spec: what the bundle says of it.
        engine: name of the engine, its precision and its device.
        pipeline: segments messages.
        query: vectors of the phrase that points are compared to; None for none.
    """

    folder: Path
    spec: ModelSpec
    engine: str
    pipeline: Pipeline
    query: NDArray[np.float32] | None = None

    def __str__(self) -> str:
        return (
            f"model {self.folder}: {len(self.spec.ontology)} classes of "
            f"'{self.spec.ontology.name}', voxels of {self.spec.voxel_size} m, "
            f"engine {self.engine}"
        )


def load_model(
    folder: str, engine: str, device: str, precision: str, tell: Callable[[str], None]
) -> Model:
    """Loads a model and lets it label a few points, since the first cloud takes an engine long.

    Args:
        folder: of the bundle; empty for the default one.
        engine: name of the engine.
        device: where it runs.
        precision: in which it computes.
        tell: shows the user a line, as ``choose_bundle`` and ``load_engine``.

    Raises:
        BundleError: the bundle is refused.
        EngineError: the engine cannot run here.
    """
    bundle = choose_bundle(folder, tell)
    loaded = load_engine(engine, bundle, device, precision, tell=tell)
    segmenter = Segmenter(bundle.spec, loaded)
    segmenter(Frame(_trial_cloud(bundle.spec)))
    return Model(bundle.folder, bundle.spec, describe(loaded), Pipeline(segmenter))


def _trial_cloud(spec: ModelSpec) -> PointCloud:
    xyz = np.random.default_rng(0).uniform(-5.0, 5.0, (_TRIAL_POINTS, 3)).astype(np.float32)
    zeros = np.zeros(_TRIAL_POINTS, dtype=np.float32)
    return PointCloud(xyz, dict.fromkeys(spec.channels(), zeros))
