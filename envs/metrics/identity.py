"""Whether things keep their names over frames: true identities from overlaps, and the metrics of tracking.

Detections are the same for all who are told here, the segments of a percept, and so is their number: what is left of
CLEAR MOT (Bernardin & Stiefelhagen 2008) are its mismatches, and IDF1 (Ristani et al. 2016) is the share of
detections that have the right name under the best pairing of names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

UNKNOWN = -1
SAME = 0.5  # intersection over union above which two segments are one thing: at most one other can be


@dataclass(frozen=True)
class IdentityCounts:
    """Of each frame but the first, and of each true thing seen at least twice.

    Attributes:
        n_objects: (T,) segments that are a thing which was there before.
        n_switched: (T,) of these, called by the name of another thing that was there before.
        n_lost: (T,) of these, called by a name that is new.
        n_seen: (G,) frames of each true thing.
        n_right: (G,) of these, in which it has the name that is paired with it.
    """

    n_objects: np.ndarray
    n_switched: np.ndarray
    n_lost: np.ndarray
    n_seen: np.ndarray
    n_right: np.ndarray

    @property
    def idf1(self) -> float:
        """Share of segments with the right name, in [0, 1]; NaN without any."""
        return float(self.n_right.sum() / self.n_seen.sum()) if self.n_seen.sum() else float("nan")

    @property
    def mota(self) -> float:
        """1 less mismatches a segment, the first sight of each thing counted with the segments."""
        n = int(self.n_seen.sum())
        return float(1 - (self.n_switched.sum() + self.n_lost.sum()) / n) if n else float("nan")


def same_things(shared_px: np.ndarray, one_px: np.ndarray, other_px: np.ndarray, *, least: float = SAME) -> np.ndarray:
    """Which segment of a frame is which of another.

    Args:
        shared_px: (N, M) pixels that lie in both, carried along by the true motion.
        one_px, other_px: (N,), (M,) pixels of each that can be seen in both frames.
        least: intersection over union above which they are the same; at 0.5 or more no segment is two things.

    Returns:
        (M,) int, the segment of the first frame that each of the second is, or :data:`UNKNOWN`.

    Raises:
        ValueError: ``least`` below 0.5.
    """
    if not SAME <= least < 1:
        raise ValueError(f"expected least in [0.5, 1), got {least}: below, a segment could be two things")
    union = one_px[:, None] + other_px[None] - shared_px
    iou = np.divide(shared_px, union, out=np.zeros(shared_px.shape), where=union > 0)
    if not iou.size:
        return np.full(shared_px.shape[1], UNKNOWN)
    best = iou.argmax(0)
    return np.where(iou.max(0) > least, best, UNKNOWN)


def true_tracks(
    n_segments: Sequence[int], links: Mapping[tuple[int, int], np.ndarray], *, max_gap: int
) -> list[np.ndarray]:
    """A number for each segment of each frame: the same for the same thing, also where it was away for some frames.

    Args:
        n_segments: of each of T frames.
        links: (s, t) -> of :func:`same_things`, for all s < t <= s + max_gap.
        max_gap: frames back that a thing is looked for; the latest sight of it counts.

    Returns:
        T arrays of int, one number a segment.
    """
    names: list[np.ndarray] = []
    n = 0
    for t, count in enumerate(n_segments):
        own = np.full(count, UNKNOWN)
        for s in range(t - 1, max(t - max_gap, 0) - 1, -1):
            link = links[s, t]
            for j in np.flatnonzero((own == UNKNOWN) & (link != UNKNOWN)):
                name = names[s][link[j]]
                later = names[s + 1 :]
                if name not in own and not any(name in other for other in later):
                    own[j] = name
        fresh = own == UNKNOWN
        own[fresh] = n + np.arange(fresh.sum())
        n += int(fresh.sum())
        names.append(own)
    return names


def count_identities(true: Sequence[np.ndarray], told: Sequence[np.ndarray]) -> IdentityCounts:
    """Compare the names that segments were given with what they truly are.

    A segment whose thing is seen in no other frame says nothing and is left out. Where it has no name
    (:data:`UNKNOWN`), its thing is lost.

    Args:
        true: T arrays of :func:`true_tracks`.
        told: T arrays of the same lengths, the names given.

    Raises:
        ValueError: lengths that differ.
    """
    if [len(x) for x in true] != [len(x) for x in told]:
        raise ValueError(f"expected a name for each segment, got {[len(x) for x in told]} of {[len(x) for x in true]}")
    things, n_seen = np.unique(np.concatenate([*true, np.zeros(0, int)]), return_counts=True)
    again = dict(zip(things[n_seen > 1].tolist(), range(int((n_seen > 1).sum())), strict=True))
    last: dict[int, int] = {}
    used: set[int] = set()
    rows = []
    table: dict[tuple[int, int], int] = {}
    for thing_of, name_of in zip(true, told, strict=True):
        n_objects = n_switched = n_lost = 0
        for thing, name in zip(thing_of.tolist(), name_of.tolist(), strict=True):
            if thing not in again:
                continue
            if thing in last:
                n_objects += 1
                if name == UNKNOWN or (name != last[thing] and name not in used):
                    n_lost += 1
                elif name != last[thing]:
                    n_switched += 1
            if name != UNKNOWN:
                table[again[thing], name] = table.get((again[thing], name), 0) + 1
            last[thing] = name
        used |= set(name_of.tolist()) - {UNKNOWN}
        rows.append((n_objects, n_switched, n_lost))
    counts = np.array(rows[1:], dtype=int).reshape(-1, 3)
    right = _paired(table, len(again))
    return IdentityCounts(counts[:, 0], counts[:, 1], counts[:, 2], n_seen[n_seen > 1], right)


def _paired(table: Mapping[tuple[int, int], int], n_things: int) -> np.ndarray:
    """(G,) frames of each thing with its name, under the pairing of things and names with most of them."""
    names = {name: k for k, name in enumerate(sorted({name for _, name in table}))}
    together = np.zeros((n_things, max(len(names), 1)), dtype=int)
    for (thing, name), n in table.items():
        together[thing, names[name]] = n
    row, column = linear_sum_assignment(together, maximize=True)
    right = np.zeros(n_things, dtype=int)
    right[row] = together[row, column]
    return right
