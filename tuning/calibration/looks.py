"""Which looks come to most together: chosen one after the other on labelled images.

Forward selection by races: of all looks there are, the one that adds most to what those before it come to, judged on a
few cases first, and the best of these on more (successive halving, Jamieson & Talwalkar 2016). A case keeps its looks
at half size, so that hundreds of cases fit into memory and are put together in some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ciliary.cortex.integration.looks import Looks
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.percept import final_labels
from ciliary.envs.metrics.regions import METRICS, People, region_scores

STRIDE = 2  # of looks that are kept
#: Share of the cases that a race has run on when all but so many candidates leave it.
RACES = ((0.2, 20), (0.5, 6))

Scores = Callable[[Sequence[int], Sequence[Sequence[int]]], np.ndarray]
"""Cases (C) and sets of looks (S) to the score (C, S) of what each set comes to in each case, higher is better."""


@dataclass(frozen=True, eq=False)
class SeenCase:
    """All candidates' looks at one image, kept small.

    Attributes:
        segments: (K, h, w) uint16.
        boundary: (K, h, w) float16.
        people: what people drew.
    """

    segments: np.ndarray
    boundary: np.ndarray
    people: People

    @classmethod
    def of(cls, looks: Looks, people: People) -> SeenCase:
        """Of K looks at one scene, (1, K, H, W)."""
        segments = looks.segments[0, :, ::STRIDE, ::STRIDE]
        boundary = F.max_pool2d(looks.boundary, STRIDE, ceil_mode=True)[0]  # thin lines stay
        return cls(segments.cpu().numpy().astype(np.uint16), boundary.half().cpu().numpy(), people)

    def score(self, members: Sequence[int], metric: str = "covering") -> float:
        """What some of the looks come to by one of ``METRICS``, higher is better."""
        rows = list(members)
        segments = torch.as_tensor(self.segments[rows].astype(np.int64))[None]
        if len(rows) == 1:  # one look comes to itself
            labels = final_labels(F.one_hot(segments[:, 0]).movedim(-1, 1).float(), self.people.shape)
        else:
            boundary = torch.as_tensor(self.boundary[rows].astype(np.float32))[None]
            percept = integrate(Looks(segments, boundary, boundary.new_ones(1, len(rows))))
            labels = percept.labels(self.people.shape)
        scores = region_scores(labels[0].numpy(), self.people)
        return METRICS[metric].oriented(scores[metric])


@dataclass(frozen=True)
class Choice:
    """Looks in the order of their choice, and the mean score of the first 1, 2, ... of them."""

    order: tuple[int, ...]
    scores: tuple[float, ...]


def choose_looks(
    scores: Scores,
    *,
    n_cases: int,
    n_candidates: int,
    n_looks: int,
    first: int = 0,
    races: Sequence[tuple[float, int]] = RACES,
    on_chosen: Callable[[Choice], None] = lambda choice: None,
) -> Choice:
    """Looks that come to most together, each the one that adds most to those before it.

    Args:
        scores: of sets of looks.
        n_cases: C >= 1; the cases in an order in which the first of them stand for all.
        n_candidates: K looks there are.
        n_looks: how many to choose, the first included; at most K.
        first: the look to begin with; the defaults, unless another is known to be better alone.
        races: (share of the cases, candidates that go on), in ascending order of the share.
        on_chosen: called with the choice so far.

    Raises:
        ValueError: more looks are asked for than there are.
    """
    if not 1 <= n_looks <= n_candidates or n_cases < 1:
        raise ValueError(
            f"expected n_cases >= 1 and n_looks from 1 to {n_candidates}, got {n_cases} cases and {n_looks} looks"
        )
    order, means = [first], [float(scores(range(n_cases), [[first]]).mean())]
    stops = [(max(1, round(share * n_cases)), n) for share, n in races] + [(n_cases, 1)]
    while len(order) < n_looks:
        left = np.array([k for k in range(n_candidates) if k not in order])
        total, n_run = np.zeros(len(left)), 0
        for n_until, n_kept in stops:
            if n_until > n_run:
                total = total + scores(range(n_run, n_until), [[*order, int(k)] for k in left]).sum(0)
                n_run = n_until
            keep = np.argsort(-total, kind="stable")[:n_kept]
            left, total = left[keep], total[keep]
        order.append(int(left[0]))
        means.append(float(total[0] / n_run))
        on_chosen(Choice(tuple(order), tuple(means)))
    return Choice(tuple(order), tuple(means))


def scores_of(cases: Sequence[SeenCase], metric: str = "covering") -> Scores:
    """The scores of sets of looks at these cases, by one of ``METRICS``."""
    return lambda rows, sets: np.array([[cases[row].score(members, metric) for members in sets] for row in rows])
