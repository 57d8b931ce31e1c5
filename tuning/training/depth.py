"""Teaching a depth head: from views in memory to a head, by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ciliary.cortex.cues.learned_depth import DepthHead
from ciliary.tuning.training.depth_losses import depth_loss
from ciliary.tuning.training.depth_views import DepthViews


@dataclass(frozen=True)
class TeachSettings:
    """How a head is taught; all set beforehand, none by looking at scenes held out.

    Attributes:
        n_steps: of AdamW, at a rate that falls to 0 along a cosine.
        n_batch: views a step.
        rate, decay: of AdamW.
        gradient_weight: of the steps of log depth beside its spread.
        seed: of the first weights, the order and the dropout.
    """

    n_steps: int = 400
    n_batch: int = 24
    rate: float = 2e-3
    decay: float = 1e-2
    gradient_weight: float = 0.5
    seed: int = 0

    def about(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def teach(
    views: DepthViews,
    settings: TeachSettings | None = None,
    *,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> DepthHead:
    """A head taught on some views, in eval mode and frozen. The same views and settings give the same head.

    Args:
        views: to learn from.
        settings: how.
        on_step: called with the number of steps done and the loss of the last.

    Raises:
        ValueError: there are no views.
    """
    s = settings or TeachSettings()
    if not len(views):
        raise ValueError("expected views to learn depth from, got none; is there a scene besides the one left out?")
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(s.seed)
        head = DepthHead([some.shape[1] for some in views.maps]).train()
        head.standardise(views.maps)
        optimiser = torch.optim.AdamW(head.parameters(), lr=s.rate, weight_decay=s.decay)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, s.n_steps)
        for step in range(s.n_steps):
            batch = views.of(torch.randint(len(views), (s.n_batch,)))
            loss = depth_loss(
                head(batch.maps), batch.log_depth, batch.is_known, gradient_weight=s.gradient_weight
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            on_step(step + 1, float(loss.detach()))
    return head.eval().requires_grad_(False)
