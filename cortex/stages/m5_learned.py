"""M5, learned: a bank of small experts and the router that joins them, codes, and completion of what is hidden."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.description import N_DESCRIPTION, PARTS, describe_objects
from ciliary.cortex.percept import Cues, M1Out, M4Out, M5Out, RetinaOut
from ciliary.cortex.stages.m5_recognition import object_weight, pool_deep, shaped

N_EXPERTS = 16
N_ACTIVE = 2
N_CODE = 48
N_HIDDEN = 24


class ExpertBank(nn.Module):
    """E experts of 5k weights, of which k answer each time, and a decoder they share.

    The router is the correlation layer: a softmax over experts at temperature ``temperature``, of which the k largest
    are kept and brought to sum 1 (Shazeer et al. 2017).

    Args:
        n_experts: E.
        n_active: k.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, n_experts: int = N_EXPERTS, n_active: int = N_ACTIVE) -> None:
        super().__init__()
        if not 1 <= n_active <= n_experts:
            raise ValueError(f"expected 1 <= n_active <= n_experts, got {n_active} and {n_experts}")
        n_in = N_DESCRIPTION + len(PARTS)
        self.n_active = n_active
        self.temperature = 1.0
        self.router = nn.Linear(n_in, n_experts)
        self.enter = nn.Parameter(torch.randn(n_experts, n_in, N_HIDDEN) / math.sqrt(n_in))
        self.enter_bias = nn.Parameter(torch.zeros(n_experts, N_HIDDEN))
        self.leave = nn.Parameter(torch.randn(n_experts, N_HIDDEN, N_CODE) / math.sqrt(N_HIDDEN))
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(N_CODE, N_DESCRIPTION))
        self.register_buffer("mean", torch.zeros(N_DESCRIPTION))
        self.register_buffer("spread", torch.ones(N_DESCRIPTION))

    def standardise(self, description: Tensor) -> Tensor:
        """Each entry less its mean, in units of its spread, over the proto-objects of the training photographs."""
        return ((description - self.mean) / self.spread).clamp(-5, 5)

    def gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (..., n) to the shares before and after the choice of k, each (..., E) on the simplex."""
        full = torch.softmax(self.router(x) / self.temperature, -1)
        kept = full.topk(self.n_active, -1)
        chosen = torch.zeros_like(full).scatter(-1, kept.indices, kept.values)
        return full, chosen / chosen.sum(-1, keepdim=True)

    def forward(
        self, standard: Tensor, visible: Tensor | None = None, relay: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ask the experts.

        Args:
            standard: (M, d) of :meth:`standardise`.
            visible: (M, number of parts) 1 where a part of the description is known, 0 where it is hidden; all when
                None.
            relay: what becomes of the experts' hidden units (M, E, 24) on their way to the answer; nothing when None.

        Returns:
            hidden code (M, 48), completed standardised description (M, d), gate (M, E), and the gate before k were
            chosen (M, E).
        """
        if visible is None:
            visible = standard.new_ones(len(standard), len(PARTS))
        seen = torch.cat([standard * spread_parts(visible), visible], 1)
        full, gate = self.gate(seen)
        hidden = F.relu(torch.einsum("mi,eij->mej", seen, self.enter) + self.enter_bias)
        hidden = hidden if relay is None else relay(hidden)
        answer = torch.einsum("mej,ejk->mek", hidden, self.leave)
        joined = (gate[..., None] * answer).sum(1)
        return joined, self.decoder(joined), gate, full


def spread_parts(visible: Tensor) -> Tensor:
    """(M, number of parts) to (M, d): each part's value at all its entries."""
    index = [i for i, part in enumerate(PARTS.values()) for _ in range(part.start, part.stop)]
    return visible.index_select(1, torch.tensor(index, device=visible.device))


class LearnedM5(nn.Module):
    """M5 with a bank of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ExpertBank()

    def forward(self, retina: RetinaOut, m1: M1Out, m4: M4Out, cues: Cues) -> M5Out:
        """As M5."""
        description = describe_objects(retina, m1, m4)
        standard = self.net.standardise(description)
        code, completed, gate, _ = (x.unflatten(0, description.shape[:2]) for x in self.net(standard.flatten(0, 1)))
        completed = completed * self.net.spread + self.net.mean
        code, pooled = F.normalize(code, dim=-1), pool_deep(cues.deep, m4)
        return M5Out(description, code, gate, completed, object_weight(m4), pooled, shaped(code, m4.curves))
