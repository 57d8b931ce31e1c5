"""Completed contours against those that people drew: boundary F on photographs, clean and in fog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from ciliary.cortex.stages.m2_grouping import Sides, complete
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.episode import resize
from ciliary.envs.metrics.boundaries import Counts, boundary_counts, summarise, suppress_non_maxima
from ciliary.envs.metrics.statistics import Bootstrap, Interval, bootstrap_of
from ciliary.tuning.benchmarks.contour_fields import look

CONDITIONS = ("none", "fog:3")
#: Quantiles of a contour's ridges, over all images of a condition, at which it is cut: fog leaves contours a tenth of
#: their strength, and no threshold is asked to be right for both.
_QUANTILES = np.linspace(0.4, 0.95, 8)
_HOW = Bootstrap(n_resamples=1000)  # each looks for its own best cut


@dataclass(frozen=True, eq=False)
class Judged:
    """Counts (N, 4, T) of N images at T cuts, in the order of the fields of Counts, and the cuts."""

    counts: np.ndarray
    cuts: np.ndarray

    @cached_property
    def ods(self) -> Interval:
        """F of all images together at the best cut."""
        return bootstrap_of(self._f, self.counts, how=_HOW)

    def over(self, other: Judged) -> Interval:
        """What its F is above another's of the same images, paired."""
        both = np.concatenate([self.counts, other.counts], 1)
        return bootstrap_of(lambda some: self._f(some[:, :4]) - other._f(some[:, 4:]), both, how=_HOW)

    def _f(self, counts: np.ndarray) -> float:
        return summarise([Counts(*counts.sum(0))], self.cuts).ods


def judge(
    data: Sequence[LabelledImage],
    sides: Mapping[str, Sides | None],
    condition: str,
    *,
    size_px: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Judged]:
    """Each way of completing, None for M1's boundary as it is, on each photograph in a condition.

    Args:
        condition: ``none``, or a disturbance such as ``fog:3``, drawn anew for each photograph.
        size_px: long side at which it is perceived; contours are judged at the photograph's own size.
    """
    ridges: dict[str, list[np.ndarray]] = {name: [] for name in sides}
    people: list[tuple[np.ndarray, ...]] = []
    for i, item in enumerate(data):
        picture = parse_disturbance(condition).apply(resize(item.image, size_px=size_px)[None], seed=seed + i)
        m1, theta = look(picture)
        for name, side in sides.items():
            with torch.no_grad():
                contour = m1.boundary if side is None else complete(m1, theta, side)[1]
            large = F.interpolate(contour, size=item.size, mode="bilinear", align_corners=False)[0, 0].clamp(0, 1)
            ridges[name].append(suppress_non_maxima(large.numpy()).astype(np.float16))
        people.append(item.boundaries)
        progress()
    judged = {}
    for name, maps in ridges.items():
        cuts = np.unique(np.quantile(np.concatenate([one[one > 0] for one in maps]).astype(float), _QUANTILES))
        counted = []
        for one, drawn in zip(maps, people, strict=True):
            counts = boundary_counts(one.astype(float), drawn, cuts)
            counted.append([getattr(counts, field.name) for field in fields(Counts)])
            progress()
        judged[name] = Judged(np.array(counted), cuts)
    return judged
