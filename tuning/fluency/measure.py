"""All numbers of fluency of one image at one setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.floats import single_precision
from ciliary.cortex.model import Cortex
from ciliary.cortex.ops.phase_scramble import phase_scramble
from ciliary.cortex.parameters import repeat_theta
from ciliary.cortex.percept import Percept
from ciliary.cortex.spiking import perceive_in_time
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.make import make_objective
from ciliary.envs.observation import STATISTICS, statistics
from ciliary.tuning.fluency.economy import economy, null_of
from ciliary.tuning.fluency.efficacy import efficacy, reconstruct
from ciliary.tuning.fluency.numbers import NUMBERS
from ciliary.tuning.fluency.sharpness import N_DIRECTIONS, sharpness
from ciliary.tuning.fluency.typicality import Reference

BLANK = 1 / 255  # spread of pixels under which there is nothing to see
OF_BLANK = ("surprise",)  # what is told of a blank image: all else would praise it
SPIKES_MS = 50.0


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of one image.

    Attributes:
        numbers: of :data:`~ciliary.tuning.fluency.numbers.NUMBERS`, those that were asked for; NaN where undefined.
        nulls: ``ssim_blank``, and means of Gini and active share over the scrambles.
        objective: terms of the raw objective on four views, and ``disagreement`` with a panel of settings.
        painted: (3, H, W) M3's slots and M4's proto-objects in their mean colours.
        scrambled: (3, H, W) one of the scrambles.
    """

    numbers: Mapping[str, float]
    nulls: Mapping[str, float]
    objective: Mapping[str, float]
    painted: Mapping[str, Tensor]
    scrambled: Tensor

    @property
    def is_blank(self) -> bool:
        """Whether there was nothing to see."""
        return math.isnan(self.numbers["ssim_m4"])


class Meter:
    """Measures images with one cortex.

    Args:
        cortex: one that recognises, where the load is to be told.
        reference: what is usual to this cortex; None leaves ``surprise`` undefined.
        objective: whose sharpness is told.
        n_scrambles: of which the null is made.
        n_directions: in which sharpness is looked for, each both ways.
        with_spikes: also count spikes.
        seed: of scrambles, directions and views.
    """

    def __init__(
        self,
        cortex: Cortex,
        reference: Reference | None,
        *,
        objective: str = "agreement",
        n_scrambles: int = 8,
        n_directions: int = N_DIRECTIONS,
        with_spikes: bool = False,
        seed: int = 0,
    ) -> None:
        if n_scrambles < 2:
            raise ValueError(f"expected two scrambles or more, got {n_scrambles}: one has no spread")
        if reference is not None and reference.names != STATISTICS:
            raise ValueError("the reference of what is usual is of other statistics; fit it anew")
        self.cortex, self.reference, self.seed = cortex, reference, seed
        self.n_scrambles, self.n_directions, self.with_spikes = n_scrambles, n_directions, with_spikes
        self._raw = Evaluator(cortex, make_objective("raw", perceiver=cortex.name))
        self._judge = Evaluator(cortex, make_objective(objective, perceiver=cortex.name))

    @single_precision
    @torch.no_grad()
    def measure(self, image: Tensor, u: np.ndarray | None = None) -> Measured:
        """Measure.

        Args:
            image: (3, H, W) float32, sRGB in [0, 1].
            u: (P,) the setting; the defaults when None.
        """
        table = self.cortex.table
        u = table.default_unit()[0].numpy() if u is None else np.asarray(u, np.float32)
        image = image.to(self.cortex.device)
        theta = table.from_unit(torch.as_tensor(u)[None].to(image.device))
        scrambled = phase_scramble(image, n=self.n_scrambles, seed=self.seed).clamp(0, 1)
        stack = torch.cat([image[None], scrambled])
        percept: Percept = self.cortex(stack, repeat_theta(theta, len(stack)))
        numbers = economy(percept)
        code = efficacy(image, percept, theta)
        nulls = null_of(percept) | {"ssim_blank": code.pop("ssim_blank")}
        numbers |= code | load(percept[0])
        objective, numbers["sharpness"] = self._objective(image, u)
        numbers["surprise"] = self._surprise(image, u)
        if self.with_spikes:
            numbers["spikes"] = self._spikes(image, u)
        if float(image.std()) < BLANK:
            numbers = {name: x if name in OF_BLANK else math.nan for name, x in numbers.items()}
        ordered = {one.name: numbers[one.name] for one in NUMBERS if one.name in numbers}
        parts = {"m3": percept[0].m3.slots, "m4": percept[0].m4.masks}
        painted = {name: reconstruct(image[None], shares)[0].cpu() for name, shares in parts.items()}
        return Measured(ordered, nulls, objective, painted, scrambled[0].cpu())

    def setting(self, names: Sequence[str], u: np.ndarray) -> np.ndarray:
        """A setting (P',) of another table's columns as one of this cortex, (P,)."""
        return np.asarray(self.cortex.table.align(names, u[None])[0][0])

    def _objective(self, image: Tensor, u: np.ndarray) -> tuple[dict[str, float], float]:
        batch = self._raw.look(image[None], [self.seed])
        terms = self._raw.evaluate(batch, [0], u[None]).row(0)
        panel = self._judge.look(image[None], [self.seed])

        def total(settings: np.ndarray) -> np.ndarray:
            return self._judge.evaluate(panel, [0] * len(settings), settings).terms["total"]

        is_free = ~np.isin(self.cortex.table.names, list(self.cortex.inert))
        found = sharpness(total, u, is_free=is_free, n_directions=self.n_directions, seed=self.seed)
        return {**terms, "disagreement": float(total(u[None])[0])}, found

    def _surprise(self, image: Tensor, u: np.ndarray) -> float:
        """At the size of the photographs that the reference was fitted on; NaN of an image that is smaller."""
        if self.reference is None:
            return math.nan
        seen = at_size(image, self.reference.size_px)
        if seen is None:
            return math.nan
        percept = self.cortex(seen[None], self.cortex.table.from_unit(torch.as_tensor(u)[None]))
        return float(self.reference.surprise(statistics(seen[None], percept))[0])

    def _spikes(self, image: Tensor, u: np.ndarray) -> float:
        theta = self.cortex.table.from_unit(torch.as_tensor(u)[None])
        (moment,) = perceive_in_time(self.cortex, image[None], theta, times_ms=(SPIKES_MS,))
        return float(sum(float(n[0]) for n in moment.n_spikes.values())) / (image.shape[-2] * image.shape[-1])


def at_size(image: Tensor, long_side_px: int) -> Tensor | None:
    """An image (3, H, W) shrunk to a long side; itself where it has it, None where it is smaller."""
    height, width = image.shape[-2:]
    if max(height, width) <= long_side_px:
        return image if max(height, width) == long_side_px else None
    size = [max(1, round(side * long_side_px / max(height, width))) for side in (height, width)]
    shrunk = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)
    return shrunk[0].clamp(0, 1)


def load(percept: Percept) -> dict[str, float]:
    """How much of recognition is called, of a batch of one; NaN without M5, entropies also of a single expert."""
    m5 = percept.m5
    objectness = {"objectness_l1": float(percept.m4.objectness[0].sum())}
    if m5 is None:
        return dict.fromkeys(("gate_entropy", "expert_entropy", "attention"), math.nan) | objectness
    gate, weight = m5.gate[0], m5.weight[0]
    n_experts = gate.shape[1]
    entropies = [(weight * _entropy(gate)).sum(), _entropy(weight @ gate)]
    own, shared = (float(x) / math.log(n_experts) if n_experts > 1 else math.nan for x in entropies)
    attention = float(_entropy(weight).exp())
    return {"gate_entropy": own, "expert_entropy": shared, "attention": attention} | objectness


def _entropy(share: Tensor) -> Tensor:
    """Nats, over the last axis."""
    nats: Tensor = -torch.special.xlogy(share, share).sum(-1)
    return nats
