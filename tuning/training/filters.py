"""Growing V1's filters: three rules of plasticity on whitened patches of ON less OFF, by seed.

A unit weighs ON and OFF with opposite signs (push and pull), so that one number a pixel says both; under STDP, whose
inputs are spikes, ON and OFF are inputs of their own, and the filter is what one weighs less what the other does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.neurons.latency import kept_rate, latency_stdp, race
from ciliary.cortex.neurons.plasticity import sanger
from ciliary.cortex.neurons.sparse import dictionary_change, kept_threshold, lca, unit_length
from ciliary.cortex.ops.whitening import Whitening, fit_whitening

N_UNITS = {"sanger": 32, "sparse": 192, "stdp": 96}
N_STEPS = {"sanger": 6000, "sparse": 3000, "stdp": 3000}
N_PATCHES = 100_000
_N_FITTED = 50_000  # patches that whitening is fitted on
_EVERY = 100  # steps between two lines of the log


@dataclass(frozen=True)
class GrowSettings:
    """How filters are grown.

    Attributes:
        rule: ``sanger``, ``sparse`` or ``stdp``.
        n_units: how many.
        n_steps: batches.
        patch_px: side of a patch.
        seed: of patches, first weights and order.
        noise: of :func:`~ciliary.cortex.ops.whitening.fit_whitening`.
        rate: sparse: share of patches that a unit is to answer. The others' are in their functions.
    """

    rule: str = "sparse"
    n_units: int = 192
    n_steps: int = 3000
    patch_px: int = 16
    seed: int = 0
    noise: float = 0.06
    rate: float = 0.05

    def about(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Grown:
    """Units that were grown."""

    weights: Tensor  # (K, P * P) on whitened ON less OFF, rows of length 1
    whitening: Whitening
    threshold: Tensor | None = None  # (K,) of the sparse code's, for patches of variance 1

    @property
    def fields(self) -> Tensor:
        """(K, P, P) on ON less OFF: the whitening is the unit's too."""
        side = round(self.weights.shape[1] ** 0.5)
        fields: Tensor = (self.weights @ self.whitening.matrix).unflatten(1, (side, side))
        return fields


Told = Callable[[int, dict[str, float]], None]


def grow(
    patches: Tensor,
    settings: GrowSettings,
    *,
    device: torch.device | str = "cpu",
    on_step: Told = lambda step, values: None,
) -> Grown:
    """Units of one rule; the same patches and settings give the same units.

    Args:
        patches: (N, P * P) ON less OFF.
        settings: how.
        device: where units learn; random numbers are drawn on the CPU, and the answer lies there.
        on_step: called with the number of steps done and, now and then, some numbers.
    """
    whitening = fit_whitening(patches[:_N_FITTED], noise=settings.noise)
    white = whitening(patches)
    white = (white / white.std()).to(device)
    generator = torch.Generator().manual_seed(settings.seed + 1)
    learn = {"sanger": _sanger, "sparse": _sparse, "stdp": _stdp}[settings.rule]
    with torch.no_grad():
        weights, threshold = learn(white, settings, generator, on_step)
    return Grown(unit_length(weights).cpu(), whitening, None if threshold is None else threshold.cpu())


def _sanger(x: Tensor, s: GrowSettings, generator: torch.Generator, on_step: Told) -> tuple[Tensor, None]:
    """Under a Gaussian window (Sanger 1989), without which principal components fill the patch."""
    side = torch.arange(s.patch_px) - (s.patch_px - 1) / 2
    bell = torch.exp(-0.5 * (side / (s.patch_px / 6)) ** 2).to(x.device)
    x = x * torch.outer(bell, bell).flatten()
    x = x / x.square().sum(1).mean().sqrt()  # so that the rate means the same for patches of all sizes
    weight = 0.1 * unit_length(torch.randn(s.n_units, x.shape[1], generator=generator)).to(x.device)
    for step in range(s.n_steps):
        batch = _draw(x, 100, generator)
        y = batch @ weight.T
        weight = weight + 2.0 * 0.05 ** (step / s.n_steps) * sanger(batch, y, weight)
        on_step(step + 1, {"length": float(weight.norm(dim=1).mean())} if step % _EVERY == 0 else {})
    return weight, None


def _sparse(x: Tensor, s: GrowSettings, generator: torch.Generator, on_step: Told) -> tuple[Tensor, Tensor]:
    """Each unit at the rate asked for: its threshold is homeostasis' setting."""
    some, noise = _draw(x, s.n_units, generator), torch.randn(s.n_units, x.shape[1], generator=generator)
    dictionary = unit_length(some + 0.5 * noise.to(x.device))
    threshold = torch.ones(s.n_units, device=x.device)
    for step in range(s.n_steps):
        batch = _draw(x, 200, generator)
        code = lca(batch, dictionary, threshold, n_steps=30)
        change = dictionary_change(batch, code, dictionary)
        dictionary = unit_length(dictionary + 0.02 ** (step / s.n_steps) * change)
        threshold = kept_threshold(threshold, code, s.rate, gain=0.05)
        left = (batch - code @ dictionary).square().sum() / batch.square().sum()
        on_step(
            step + 1, {"r2": float(1 - left), "active": float((code != 0).float().mean())} if step % _EVERY == 0 else {}
        )
    return dictionary, threshold


def _stdp(x: Tensor, s: GrowSettings, generator: torch.Generator, on_step: Told) -> tuple[Tensor, None]:
    """On the louder half of the patches; the first seventh of the inputs fires.

    A synapse is kept whose input comes first in more than a- / (a+ + a-) = .23 of its unit's wins: more fields than
    Masquelier & Thorpe's .43 leaves, since here all patches are patches of edges and not one repeated face.
    """
    power = x.square().sum(1)
    x = x[power > power.median()]
    n_inputs = 2 * x.shape[1]
    weight = (0.5 + 0.1 * torch.randn(s.n_units, n_inputs, generator=generator)).clamp(0.05, 0.95)
    weight = weight.to(x.device)
    threshold = torch.full((s.n_units,), n_inputs / 36, device=x.device)
    for step in range(s.n_steps):
        batch = _draw(x, 32, generator)
        found = race(torch.cat([batch.relu(), (-batch).relu()], 1), weight, threshold, n_spikes=n_inputs // 7)
        a = 0.05 if step < 0.7 * s.n_steps else 0.015
        weight = (weight + latency_stdp(found, weight, a_plus=a, a_minus=0.3 * a)).clamp(1e-3, 1 - 1e-3)
        threshold = kept_rate(threshold, found, 0.6 / s.n_units, gain=0.02)
        on_step(step + 1, {"won": float(found.has_won.float().mean())} if step % _EVERY == 0 else {})
    on, off = weight.chunk(2, 1)
    return on - off, None


def _draw(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return x[torch.randint(len(x), (n,), generator=generator).to(x.device)]
