"""Which thresholds the populations of spikes are read best with: the same settings, heard on the same photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.spiking import Kept, Thresholds, make_spiking, perceive_in_time
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.spikes.exam import covering_of

CODES = ("latency", "rate")
#: Rheobase and exponent. A spike each half millisecond at most is told apart up to 40 rheobases: beside an exponent of
#: 1, the root brings 1,600 into that range.
V1 = ((0.006, 1.0), (0.004, 0.5), (0.002, 0.5), (0.001, 0.5))
M2 = ((0.05, 1.0), (0.15, 1.0), (0.05, 0.5), (0.02, 0.5), (0.01, 0.5), (0.005, 0.5))


def candidates() -> list[Thresholds]:
    """The 24 settings; the first is the one that the others are told beside."""
    names = ("rheobase", "exponent")
    return [
        {"v1": dict(zip(names, v1, strict=True)), "m2": dict(zip(names, m2, strict=True))} for v1, m2 in product(V1, M2)
    ]


@dataclass(frozen=True)
class Heard:
    """One photograph under all candidates."""

    covering: np.ndarray  # (candidates,) mean over codes and times
    kspikes: np.ndarray  # (candidates, 2) thousands, of V1 and of M2 at the last time, mean over codes
    without: float  # covering without spikes


def hear(
    image: LabelledImage, cortex: Cortex, among: Sequence[Thresholds], times_ms: Sequence[float], px: int
) -> Heard:
    """One photograph; M1 and M2 read the spikes of a V1 once for all populations of M2."""
    seen = to_device(as_photograph(image.image, image.name, px).image[None], cortex.device)
    covering, kspikes = [], []
    kept: Kept = {}
    last_v1 = None
    for thresholds in among:
        if thresholds["v1"] != last_v1:
            kept, last_v1 = {}, thresholds["v1"]
        found, spikes = [], []
        for code in CODES:
            moment = None
            for moment in perceive_in_time(
                cortex, seen, times_ms=times_ms, spiking=make_spiking(code, thresholds=thresholds), kept=kept
            ):
                found.append(covering_of(moment.percept.labels(image.size), image))
            assert moment is not None
            spikes.append([float(moment.n_spikes[name][0]) / 1e3 for name in ("v1", "m2")])
        covering.append(np.mean(found))
        kspikes.append(np.mean(spikes, 0))
    with torch.no_grad():
        without = covering_of(cortex(seen).labels(image.size), image)
    return Heard(np.array(covering), np.array(kspikes), without)


@dataclass(frozen=True)
class Choice:
    """A candidate over all photographs."""

    v1_rheobase: float
    v1_exponent: float
    m2_rheobase: float
    m2_exponent: float
    covering: Interval
    less_first: Interval | None
    less_without_spikes: Interval
    v1_kspikes: float
    m2_kspikes: float

    @property
    def thresholds(self) -> dict[str, Mapping[str, float]]:
        """As :func:`~ciliary.cortex.spiking.thresholds_of` reads them."""
        return {
            "v1": {"rheobase": self.v1_rheobase, "exponent": self.v1_exponent},
            "m2": {"rheobase": self.m2_rheobase, "exponent": self.m2_exponent},
        }


def compare(heard: Sequence[Heard], among: Sequence[Thresholds]) -> list[Choice]:
    """All candidates, the best mean covering first; of those that are equal, the fewest spikes."""
    covering = np.stack([one.covering for one in heard])
    kspikes = np.stack([one.kspikes for one in heard]).mean(0)
    without = np.array([one.without for one in heard])
    choices = [
        Choice(
            thresholds["v1"]["rheobase"],
            thresholds["v1"]["exponent"],
            thresholds["m2"]["rheobase"],
            thresholds["m2"]["exponent"],
            bootstrap_mean(covering[:, i]),
            paired_difference(covering[:, i], covering[:, 0]) if i else None,
            paired_difference(covering[:, i], without),
            float(kspikes[i, 0]),
            float(kspikes[i, 1]),
        )
        for i, thresholds in enumerate(among)
    ]
    return sorted(choices, key=lambda one: (-one.covering.mean, one.v1_kspikes + one.m2_kspikes))


def chosen(found: Sequence[Choice]) -> Choice:
    """The best of :func:`compare`, if it does better than the first candidate beyond chance; else the first."""
    best = found[0]
    is_better = best.less_first is not None and best.less_first.low > 0
    return best if is_better else next(one for one in found if one.less_first is None)
