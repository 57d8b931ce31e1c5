"""Izhikevich's neuron: two variables, a dozen of the cortex's ways to fire (Izhikevich 2003).

v' = 0.04 v^2 + 5 v + 140 - u + I, u' = a (b v - u); at v >= 30 mV a spike, v becomes c and u grows by d. In mV and ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import torch
from torch import Tensor

_PEAK_MV = 30.0


@dataclass(frozen=True)
class Izhikevich:
    """A kind of neuron.

    Attributes:
        a: rate of recovery, per ms.
        b: how far recovery follows the voltage below the threshold.
        c_mv: voltage after a spike.
        d: what a spike adds to recovery.
        dt_ms: step, > 0. The paper takes 1 ms, in which v goes in two halves.
    """

    a: float = 0.02
    b: float = 0.2
    c_mv: float = -65.0
    d: float = 8.0
    dt_ms: float = 1.0

    @property
    def threshold(self) -> float:
        """The weakest current, to a hundredth, at which it fires within a second."""
        return _threshold(self)


#: Figure 2 of the paper.
TYPES: dict[str, Izhikevich] = {
    "regular_spiking": Izhikevich(0.02, 0.2, -65.0, 8.0),
    "intrinsically_bursting": Izhikevich(0.02, 0.2, -55.0, 4.0),
    "chattering": Izhikevich(0.02, 0.2, -50.0, 2.0),
    "fast_spiking": Izhikevich(0.1, 0.2, -65.0, 2.0),
    "low_threshold_spiking": Izhikevich(0.02, 0.25, -65.0, 2.0),
    "thalamo_cortical": Izhikevich(0.02, 0.25, -65.0, 0.05),
    "resonator": Izhikevich(0.1, 0.26, -65.0, 2.0),
}


def izhikevich(current: Iterable[Tensor], neuron: Izhikevich, *, n_parts: int = 2) -> Iterator[Tensor]:
    """Spikes, 0 or 1, step by step: one tensor for each of ``current``, of its shape; v starts at c, u at b c.

    Args:
        current: in the paper's units: 10 makes a regular-spiking neuron fire some twenty times a second.
        neuron: its kind.
        n_parts: in which v goes through a step; the equation is stiff near a spike.
    """
    v = u = None
    for now in current:
        if v is None or u is None:
            v = torch.full_like(now, neuron.c_mv)
            u = neuron.b * v
        for _ in range(n_parts):
            v = v + neuron.dt_ms / n_parts * (0.04 * v * v + 5 * v + 140 - u + now)
            v = v.clamp_max(_PEAK_MV)  # beyond the peak the square would overflow before the step ends
        u = u + neuron.dt_ms * neuron.a * (neuron.b * v - u)
        spikes = (v >= _PEAK_MV).to(now.dtype)
        v = torch.where(spikes > 0, neuron.c_mv, v)
        u = u + neuron.d * spikes
        yield spikes


@lru_cache(16)
def _threshold(neuron: Izhikevich) -> float:
    current = torch.arange(0, 20, 0.01, dtype=torch.float64)
    fires = torch.zeros_like(current)
    for spikes in izhikevich(repeat(current, round(1000 / neuron.dt_ms)), neuron):
        fires = torch.maximum(fires, spikes)
    return float(current[fires > 0].min())
