"""The order in which training draws its sweeps: a function of the seed and the draw's number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class DrawGroup:
    """Sweeps that share a part of the draws equally.

    Attributes:
        indices: of the sweeps, int64; at least one.
        share: of all draws, in proportion to those of other groups.
        stream: tells the group's random order from those of other groups; not 1, which is the
            augmentation's.
    """

    indices: NDArray[np.int64]
    share: float = 1.0
    stream: int = 0


class DrawOrder:
    """Tells which sweep each draw takes.

    Every sweep of a group is drawn once before any of it is drawn again. Multiples of the golden
    ratio deal the draws out to the groups: any stretch of draws has close to their shares.

    Args:
        groups: of sweeps; each has some.
        seed: of the order within a group.
        draws: the length.
    """

    def __init__(self, groups: Sequence[DrawGroup], seed: int, draws: int) -> None:
        self._groups, self._seed = list(groups), seed
        ends = np.cumsum([group.share for group in groups])
        position = np.arange(draws) * _GOLDEN % 1.0
        self._group = np.searchsorted(ends[:-1] / ends[-1], position, side="right")
        self._place = np.empty(draws, dtype=np.int64)
        for number in range(len(groups)):
            mine = self._group == number
            self._place[mine] = np.arange(np.count_nonzero(mine))

    def __len__(self) -> int:
        return len(self._group)

    def __getitem__(self, draw: int) -> int:
        group = self._groups[self._group[draw]]
        turn, place = divmod(int(self._place[draw]), len(group.indices))
        order = np.random.default_rng([self._seed, group.stream, turn])
        return int(order.permutation(group.indices)[place])


def group_by_share(
    indices: NDArray[np.int64], source: NDArray[np.int64], shares: Sequence[float | None]
) -> list[DrawGroup]:
    """Groups sweeps: one group for each source with a share, one for all others together.

    Args:
        indices: of the sweeps to draw from.
        source: int64 [S], each sweep's source.
        shares: of each source; None to have its part of what the others leave.

    Returns:
        The groups. That of a share may be without sweeps, which ``DrawOrder`` does not take.
    """
    shared = [number for number, share in enumerate(shares) if share is not None]
    rest = indices[~np.isin(source[indices], shared)]
    left = 1.0 - sum(share for share in shares if share is not None)
    groups = [DrawGroup(rest, left)] if len(rest) else []
    for number in shared:
        mine = indices[source[indices] == number]
        groups.append(DrawGroup(mine, float(shares[number] or 0.0), stream=2 + number))
    return groups
