"""A tree of named frames with static and moving transforms, looked up across time."""

import bisect
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from wsss_perception.errors import GeometryError
from wsss_perception.geometry.transforms import Matrix, check_rigid, interpolate, invert


@dataclass
class _Edge:
    """The transform of one child frame in its parent: static, or samples ordered by stamp."""

    parent: str
    static: Matrix | None = None
    stamps: list[int] = field(default_factory=list)
    transforms: list[Matrix] = field(default_factory=list)


class TransformTree:
    """Frames joined by ``T_parent_child`` transforms, as /tf and /tf_static describe them.

    Args:
        cache_ns: moving transforms older than this before the newest are forgotten;
            None keeps all (a bag read whole).
    """

    def __init__(self, cache_ns: int | None = None) -> None:
        self._cache_ns = cache_ns
        self._edges: dict[str, _Edge] = {}

    @property
    def frames(self) -> set[str]:
        """Names of all frames of the tree."""
        return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def root(self, frame: str) -> str:
        """Returns the topmost frame above a frame; the frame itself where there is none."""
        return self._climb(frame)[-1]

    def set_static(self, parent: str, child: str, T_parent_child: Matrix) -> None:
        """Sets a transform that holds at all times.

        Raises:
            GeometryError: the matrix is not rigid, or the edge would close a loop.
        """
        edge = self._edge(parent, child, T_parent_child)
        edge.static = np.array(T_parent_child, dtype=np.float64)

    def set_moving(self, parent: str, child: str, T_parent_child: Matrix, stamp: int) -> None:
        """Adds one sample of a moving transform, in any order of stamps (nanoseconds).

        Raises:
            GeometryError: the matrix is not rigid, or the edge would close a loop.
        """
        edge = self._edge(parent, child, T_parent_child)
        edge.static = None
        index = bisect.bisect_left(edge.stamps, stamp)
        if index < len(edge.stamps) and edge.stamps[index] == stamp:
            edge.transforms[index] = np.array(T_parent_child, dtype=np.float64)
            return
        edge.stamps.insert(index, stamp)
        edge.transforms.insert(index, np.array(T_parent_child, dtype=np.float64))
        if self._cache_ns is not None:
            expired = bisect.bisect_left(edge.stamps, edge.stamps[-1] - self._cache_ns)
            del edge.stamps[:expired], edge.transforms[:expired]

    def clear_moving(self) -> None:
        """Forgets all moving transforms, as after a jump of time backwards."""
        self._edges = {c: e for c, e in self._edges.items() if e.static is not None}

    def lookup(self, target: str, source: str, stamp: int) -> Matrix:
        """Returns ``T_target_source`` at a stamp (nanoseconds), interpolated between samples.

        Raises:
            GeometryError: a frame is unknown, the two are not connected, or the stamp lies
                outside a moving transform's samples.
        """
        chain_t, chain_s = self._ancestors(target), self._ancestors(source)
        shared = next((frame for frame in chain_s if frame in set(chain_t)), None)
        if shared is None:
            raise GeometryError(f"no transform connects '{source}' to '{target}'")
        T_shared_target = self._accumulate(chain_t[: chain_t.index(shared)], stamp)
        T_shared_source = self._accumulate(chain_s[: chain_s.index(shared)], stamp)
        return invert(T_shared_target) @ T_shared_source

    def lookup_between(
        self, target: str, target_stamp: int, source: str, source_stamp: int, fixed: str
    ) -> Matrix:
        """Maps ``source`` at its stamp into ``target`` at another, through a fixed frame.

        This compensates ego-motion between, say, a sweep and an image taken 50 ms later.

        Args:
            target: frame to map into.
            target_stamp: its time, nanoseconds.
            source: frame to map from.
            source_stamp: its time, nanoseconds.
            fixed: a frame that does not move over time, such as ``map`` or ``odom``.

        Raises:
            GeometryError: as ``lookup``.
        """
        T_fixed_target = self.lookup(fixed, target, target_stamp)
        return invert(T_fixed_target) @ self.lookup(fixed, source, source_stamp)

    def _edge(self, parent: str, child: str, T_parent_child: Matrix) -> _Edge:
        check_rigid(np.asarray(T_parent_child, dtype=np.float64), f"transform {parent}->{child}")
        known = self._edges.get(child)
        if known is None or known.parent != parent:
            if child in self._climb(parent):
                raise GeometryError(f"transform {parent}->{child} would close a loop")
            known = self._edges[child] = _Edge(parent)
        return known

    def _climb(self, frame: str) -> list[str]:
        chain = deque([frame])
        while chain[-1] in self._edges:
            chain.append(self._edges[chain[-1]].parent)
        return list(chain)

    def _ancestors(self, frame: str) -> list[str]:
        if frame not in self.frames:
            names = ", ".join(sorted(self.frames)) or "none"
            raise GeometryError(f"unknown frame '{frame}'; known frames: {names}")
        return self._climb(frame)

    def _accumulate(self, chain: list[str], stamp: int) -> Matrix:
        result = np.eye(4)
        for child in chain:
            result = self._sample(child, stamp) @ result
        return result

    def _sample(self, child: str, stamp: int) -> Matrix:
        edge = self._edges[child]
        if edge.static is not None:
            return edge.static
        first, last = edge.stamps[0], edge.stamps[-1]
        if not first <= stamp <= last:
            raise GeometryError(
                f"transform {edge.parent}->{child} is known from {first} to {last} ns, "
                f"not at {stamp} ns"
            )
        after = bisect.bisect_left(edge.stamps, stamp)
        if edge.stamps[after] == stamp:
            return edge.transforms[after]
        start, end = edge.stamps[after - 1], edge.stamps[after]
        fraction = (stamp - start) / (end - start)
        return interpolate(edge.transforms[after - 1], edge.transforms[after], fraction)
