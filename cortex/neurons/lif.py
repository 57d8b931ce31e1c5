"""Leaky integrate-and-fire neurons (Lapicque 1907): tau dV/dt = -V + I, a spike and a reset at the threshold.

The steps are snnTorch's (Eshraghian et al. 2023), which brings surrogate gradients along; what is here says in
milliseconds and currents what its decay and its input are, and knows the closed forms of a constant current.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from snntorch import Leaky
from torch import Tensor

Reset = Literal["hard", "soft"]


@dataclass(frozen=True)
class LIF:
    """A kind of neuron.

    Attributes:
        tau_ms: time constant of the membrane, > 0.
        threshold: the current below which it never fires, and the voltage at which it does, > 0.
        reset: ``hard``: to 0, what was above the threshold is lost; ``soft``: less the threshold, so that the rest
            counts towards the next spike.
        dt_ms: step, > 0.

    Raises:
        ValueError: on other values.
    """

    tau_ms: float = 10.0
    threshold: float = 1.0
    reset: Reset = "hard"
    dt_ms: float = 1.0

    def __post_init__(self) -> None:
        if not (self.tau_ms > 0 and self.threshold > 0 and self.dt_ms > 0) or self.reset not in ("hard", "soft"):
            raise ValueError(f"expected tau_ms, threshold and dt_ms > 0 and a hard or soft reset, got {self}")

    @property
    def decay(self) -> float:
        """What is left of a voltage after a step: exp(-dt / tau), exact for a current that is constant within it."""
        return math.exp(-self.dt_ms / self.tau_ms)


def lif(current: Iterable[Tensor], neuron: LIF) -> Iterator[Tensor]:
    """Spikes, 0 or 1, step by step: one tensor for each of ``current``, of its shape; all neurons start at rest.

    Differentiable in the current: at a spike, whose derivative is 0 or infinite, by the arc tangent (snnTorch's
    default surrogate).
    """
    step, voltage = _leaky(neuron), None
    for now in current:
        driven = (1 - neuron.decay) * now
        spikes, voltage = step(driven, torch.zeros_like(driven) if voltage is None else voltage)
        yield spikes.to(now.dtype)


@lru_cache(16)
def _leaky(neuron: LIF) -> Leaky:
    # Kept, since the library remembers each that was ever made; its voltage is handed in, so that one serves all.
    mechanism = {"hard": "zero", "soft": "subtract"}[neuron.reset]
    return Leaky(neuron.decay, neuron.threshold, reset_mechanism=mechanism, reset_delay=False)


def rate_hz(current: Tensor, neuron: LIF) -> Tensor:
    """Rate at a constant current under a hard reset, continuous in time: 1 / (tau ln(I / (I - threshold))); 0 below it.

    Dayan & Abbott 2001, equation 5.11. Steps of ``dt_ms`` make it at most one spike per step, and each interval up to
    one step longer.
    """
    above = current > neuron.threshold
    safe = torch.where(above, current, 2 * neuron.threshold)
    return torch.where(above, 1000 / (-neuron.tau_ms * torch.log1p(-neuron.threshold / safe)), 0.0)


def latency_ms(current: Tensor, neuron: LIF) -> Tensor:
    """Time of the first spike at a constant current, from rest: -tau ln(1 - threshold / I); infinite up to it."""
    return 1000 / rate_hz(current, neuron)


def interval_steps(current: Tensor, neuron: LIF) -> Tensor:
    """Steps from one spike to the next at a constant current under a hard reset, whole numbers; infinite up to it.

    The first n at which I (1 - decay^n) is above the threshold: what :func:`lif` does, without stepping.
    """
    above = current > neuron.threshold
    safe = torch.where(above, current, 2 * neuron.threshold)
    steps = torch.floor(torch.log1p(-neuron.threshold / safe) / math.log(neuron.decay)) + 1
    return torch.where(above, steps, math.inf)


def current_at_latency(latency: Tensor, neuron: LIF) -> Tensor:
    """The constant current whose first spike comes after ``latency`` in ms: threshold / (1 - exp(-t / tau)).

    The inverse of :func:`latency_ms`; of an infinite latency, the threshold itself, the largest current that is silent.
    """
    return neuron.threshold / -torch.expm1(-latency / neuron.tau_ms)
