"""The third rule: units learn from which inputs fire first, one spike each (Masquelier & Thorpe 2007; Delorme 2001).

Inputs fire in the order of their strength. A unit adds up the weights of those that have fired, until its threshold;
the first unit to reach it fires and keeps the others silent. Its synapses then learn: those whose input had fired are
strengthened, the others weakened, each by w (1 - w), so that weights stay in (0, 1) and come to lie at its ends.
Delorme, Perrinet & Thorpe 2001 and Masquelier 2012 grew orientation selectivity of ON and OFF spikes so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.neurons.homeostasis import correction


@dataclass(frozen=True, eq=False)
class Race:
    """Who won, of B patterns."""

    winner: Tensor  # (B,) int64 the unit that fired first; that of the largest potential among those of one step
    has_won: Tensor  # (B,) bool: False where no unit reached its threshold
    step: Tensor  # (B,) int64 how many inputs had fired when it did
    rank: Tensor  # (B, D) int64 of each input: 0 fired first; those that stay silent come last


def race(strength: Tensor, weight: Tensor, threshold: Tensor, *, n_spikes: int | None = None) -> Race:
    """Let inputs fire in their order and units race to their thresholds.

    Args:
        strength: (B, D) >= 0; an input of 0 never fires.
        weight: (U, D) in [0, 1].
        threshold: (U,) > 0, in units of weights.
        n_spikes: only so many inputs, the first, fire at all before the volley is over; None: all.
    """
    n = strength.shape[1] if n_spikes is None else min(n_spikes, strength.shape[1])
    sorted_, order = strength.sort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    fires = (sorted_[:, :n] > 0).to(weight.dtype)
    potential = (weight.T[order[:, :n]] * fires[..., None]).cumsum(1)  # (B, n, U)
    reached = potential >= threshold
    first = torch.where(reached.any(1), reached.to(torch.int8).argmax(1), n)  # (B, U)
    step = first.min(1).values
    then = potential.gather(1, step.clamp_max(n - 1)[:, None, None].expand(-1, 1, len(weight)))[:, 0]
    excess = torch.where(first == step[:, None], then / threshold, -1.0)
    return Race(excess.max(1).indices, step < n, step + 1, rank)


def latency_stdp(found: Race, weight: Tensor, *, a_plus: float, a_minus: float) -> Tensor:
    """Change of the weights (U, D) by a batch: of each winner, the mean over the patterns that it won.

    a+ w (1 - w) of inputs that had fired when the winner did, the last one among them; -a- w (1 - w) of the others.
    """
    wins = F.one_hot(found.winner, len(weight)).to(weight.dtype) * found.has_won[:, None]
    before = (found.rank < found.step[:, None]).to(weight.dtype)
    n = wins.sum(0)[:, None]
    share = wins.T @ before / n.clamp_min(1)
    return weight * (1 - weight) * (a_plus * share - a_minus * (1 - share)) * (n > 0)


def kept_rate(threshold: Tensor, found: Race, rate: float, *, gain: float) -> Tensor:
    """Thresholds (U,) moved so that each unit wins the share ``rate`` of the patterns: homeostasis, in logarithms."""
    wins = F.one_hot(found.winner, len(threshold)).to(threshold.dtype) * found.has_won[:, None]
    return threshold * torch.exp(correction(wins.mean(0), rate, gain=gain, spread=rate))
