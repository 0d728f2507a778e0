"""Sizes of the networks, for all that builds or lowers them; needs no torch."""

from dataclasses import dataclass

from wsss_perception.bundle import NetworkSpec
from wsss_perception.errors import ConfigError

STRIDE = 16
"""Total down-sampling of the networks: four times by 2."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of one MinkUNet.

    Attributes:
        blocks: residual blocks of the four encoder and four decoder levels.
        planes: their channels.
        stem: channels of the first convolution.
        stem_kernel: its kernel size.
    """

    blocks: tuple[int, ...]
    planes: tuple[int, ...]
    stem: int = 32
    stem_kernel: int = 5

    def widened(self, factor: float) -> "Sizes":
        """Returns the sizes with channels multiplied and rounded to multiples of 8."""
        planes = tuple(max(8, round(plane * factor / 8) * 8) for plane in self.planes)
        stem = max(8, round(self.stem * factor / 8) * 8)
        return Sizes(self.blocks, planes, stem, self.stem_kernel)


_A = (32, 64, 128, 256, 128, 128, 96, 96)
_C = (32, 64, 128, 256, 192, 192, 128, 128)
PRESETS = {
    "minkunet14a": Sizes((1,) * 8, _A),
    "minkunet18a": Sizes((2,) * 8, _A),
    "minkunet18c": Sizes((2,) * 8, _C),
    "minkunet34c": Sizes((2, 3, 4, 6, 2, 2, 2, 2), (32, 64, 128, 256, 256, 128, 96, 96)),
    # for CPUs: few channels where voxels are many, kernel 3 in the stem
    "small": Sizes((1,) * 8, (16, 32, 64, 128, 64, 64, 48, 32), stem=16, stem_kernel=3),
    # for 10 sweeps a second of 32 beams on two cores
    "fast": Sizes((1,) * 8, (16, 32, 48, 64, 48, 32, 24, 16), stem=8, stem_kernel=3),
}


def sizes_of(spec: NetworkSpec) -> Sizes:
    """Returns the sizes of a network.

    Raises:
        ConfigError: no such preset.
    """
    if spec.name not in PRESETS:
        raise ConfigError(f"unknown network '{spec.name}'; known: {', '.join(PRESETS)}")
    return PRESETS[spec.name].widened(spec.width)
