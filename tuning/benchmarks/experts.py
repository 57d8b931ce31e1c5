"""The bank of experts at work: how many answer, who is asked, and codes when fewer or more of them may answer."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.tuning.benchmarks.features import Features, sets
from ciliary.tuning.benchmarks.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Load:
    """Who answers, over the proto-objects of many images, weighted by how much each counts.

    Attributes:
        n_active: mean number of experts that answer.
        share: (E,) of all answers, each expert's; sums to 1.
    """

    n_active: float
    share: np.ndarray

    @property
    def n_experts(self) -> int:
        """E."""
        return len(self.share)

    @property
    def n_effective(self) -> float:
        """Experts in use: the exponential of the entropy of their shares, between 1 and E."""
        share = self.share[self.share > 0]
        return float(np.exp(-(share * np.log(share)).sum()))


def expert_load(tokens: Tokens) -> Load:
    """Load of the gates that were perceived."""
    weight = tokens.weight[..., None] / len(tokens)
    n_active = float((weight * (tokens.gate > 0)).sum())
    share = (weight * tokens.gate).sum((0, 1))
    return Load(n_active, share / share.sum())


def with_active(net: ExpertBank, n_active: int) -> ExpertBank:
    """The same experts, of which ``n_active`` answer; weights are shared."""
    if not 1 <= n_active <= net.router.out_features:
        raise ValueError(f"expected 1 to {net.router.out_features} active experts, got {n_active}")
    changed = copy.copy(net)
    changed.n_active = n_active
    return changed


@torch.no_grad()
def codes_with(tokens: Tokens, net: ExpertBank, n_active: int) -> Features:
    """Codes of the same descriptions when ``n_active`` experts answer."""
    description = torch.from_numpy(tokens.description)
    standard = net.standardise(description.flatten(0, 1))
    code = with_active(net, n_active)(standard)[0]
    return sets(code.unflatten(0, description.shape[:2]).numpy(), tokens.weight)
