"""What a bundle says of its model, as values."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.embedding import ClassTexts
from wsss_perception.errors import BundleError
from wsss_perception.features import GEOMETRIC, PAINTED, Feature, check_painted
from wsss_perception.ontology import Ontology


@dataclass(frozen=True)
class NetworkSpec:
    """Which sparse U-Net the weights are for.

    Attributes:
        name: a preset of ``networks.minkunet``.
        width: factor on the preset's channels.
    """

    name: str
    width: float = 1.0


@dataclass(frozen=True)
class EmbeddingSpec:
    """How the output of a network that answers texts is read.

    Attributes:
        size: K, outputs of the network; see ``embedding.reduce_head``.
        logit_scale: factor on the cosine that makes it a logit.
        teacher: model that the space and all texts come from, in words.
        text_file: name of the file of the texts: those of all classes, and other phrases.
        basis_file: name of the file that brings texts into the network's output space.
        texts: what these files hold; None until a bundle with them is written or read.

    Raises:
        ValueError: a value is not possible.
    """

    size: int
    logit_scale: float
    teacher: str
    text_file: str = "texts.safetensors"
    basis_file: str = "basis.safetensors"
    texts: ClassTexts | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"an embedding's size must be a positive integer, not {self.size!r}")
        if not 0 < self.logit_scale < math.inf:
            raise ValueError(f"logit_scale must be positive and finite, not {self.logit_scale}")
        if not isinstance(self.teacher, str) or not self.teacher:
            raise ValueError("an embedding needs the name of its teacher")
        names = (self.text_file, self.basis_file)
        if not all(isinstance(name, str) for name in names) or names[0] == names[1]:
            raise ValueError(f"text_file and basis_file must be two names, not {names}")

    def loaded(self) -> ClassTexts:
        """Returns the texts.

        Raises:
            BundleError: they are not loaded.
        """
        if self.texts is None:
            raise BundleError("the model's texts are not loaded; take the spec of its read bundle")
        return self.texts


@dataclass(frozen=True)
class ModelSpec:
    """What ``model.yaml`` says of a model.

    Attributes:
        ontology: classes of the output.
        network: the network the weights are for.
        features: input features, in the network's order.
        voxel_size: edge of a voxel in metres.
        point_range: (x_min, y_min, z_min, x_max, y_max, z_max) in metres; None for no limit.
        temperature: divides the logits so that the confidence is calibrated.
        cameras: ``none``: images are not an input of the network; ``optional``: the features have
            the channels PAINTED, which the segmenter paints from the images there are.
        input_statistics: of each feature's raw values in training: p01, p50, p99; and of sweeps'
            voxels at each resolution of the network, ``voxels0`` to ``voxels4``.
        provenance: training recipe, data and metrics, for people to read.
        embedding: of a network that answers texts; None: its outputs are the classes' logits.

    Raises:
        ValueError: features and cameras do not fit, see ``features.check_painted``.
    """

    ontology: Ontology
    network: NetworkSpec
    features: tuple[Feature, ...]
    voxel_size: float
    point_range: tuple[float, ...] | None = None
    temperature: float = 1.0
    cameras: str = "none"
    input_statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    embedding: EmbeddingSpec | None = None

    def __post_init__(self) -> None:
        check_painted(self.features, self.cameras)

    @property
    def takes_images(self) -> bool:
        """Whether images, where there are any, are an input of the network."""
        return self.cameras != "none"

    @property
    def outputs(self) -> int:
        """Outputs of the network for each voxel: the classes, or an embedding's size."""
        return len(self.ontology) if self.embedding is None else self.embedding.size

    def class_logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Computes the classes' logits [V, C] from the network's outputs [V, ``outputs``].

        Raises:
            BundleError: the texts of an embedding are not loaded.
        """
        if self.embedding is None:
            return outputs
        return self.embedding.loaded().logits(outputs, self.embedding.logit_scale)

    def channels(self) -> list[str]:
        """Names of the cloud's own channels that the features are made of."""
        names = (feature.name for feature in self.features)
        return [name for name in names if name not in (*GEOMETRIC, *PAINTED)]
