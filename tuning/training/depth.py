"""Teaching a depth head: from views in memory to a head, by seed, and how far to trust what it learned.

A head taught on few scenes says much of a new one that is not so. So each scene is left out once, and what its head
adds to the plain line in the height is trusted as far as it helped on the scenes left out, from not at all to wholly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.cues.learned_depth import DepthHead, height_map
from ciliary.tuning.training.depth_losses import depth_loss
from ciliary.tuning.training.depth_views import DepthViews

TRUSTS = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class TeachSettings:
    """How a head is taught.

    Attributes:
        n_steps: of AdamW, at a rate that falls to 0 along a cosine.
        n_batch: views a step.
        rate, decay: of AdamW.
        gradient_weight: of the steps of log depth beside its spread.
        seed: of the first weights, the order and the dropout.
    """

    n_steps: int = 100
    n_batch: int = 24
    rate: float = 2e-3
    decay: float = 5e-2
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
        head = DepthHead([some.shape[1] for some in views.maps]).to(views.log_depth.device).train()
        head.standardise(views.maps)
        head.slope.copy_(height_slope(views))
        optimiser = torch.optim.AdamW(head.parameters(), lr=s.rate, weight_decay=s.decay)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, s.n_steps)
        for step in range(s.n_steps):
            batch = views.of(torch.randint(len(views), (s.n_batch,)).to(views.scene.device))
            loss = depth_loss(head(batch.maps), batch.log_depth, batch.is_known, gradient_weight=s.gradient_weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            on_step(step + 1, float(loss.detach()))
    return head.eval().requires_grad_(False)


def height_slope(views: DepthViews) -> Tensor:
    """The slope of log depth over :func:`height_map`, least squares within each view; a scalar."""
    x, z = (_centred(m, views.is_known) for m in (height_map(views.log_depth), views.log_depth))
    return (x * z).sum() / x.square().sum().clamp_min(1e-6)


def teach_without_each(
    views: DepthViews,
    n_scenes: int,
    settings: TeachSettings | None = None,
    *,
    on_step: Callable[[], None] = lambda: None,
) -> tuple[list[DepthHead], float]:
    """For each of two or more scenes a head taught on all others, and the trust that all of them say is best.

    A head's own trust is what the *other* scenes say, each judged by the head that was taught without it: nothing of
    the scene left out enters but what it taught to the heads of the others.
    """
    heads, curves = [], []
    for i in range(n_scenes):
        own = views.scene == i
        heads.append(teach(views.of((~own).nonzero()[:, 0]), settings, on_step=lambda step, loss: on_step()))
        curves.append(trust_curve(heads[-1], views.of(own.nonzero()[:, 0])))
    for i, head in enumerate(heads):
        head.trust.fill_(best_trust([curve for j, curve in enumerate(curves) if j != i]))
    return heads, best_trust(curves)


@torch.no_grad()
def trust_curve(head: DepthHead, views: DepthViews) -> Tensor:
    """Mean error of log depth on some views for each of :data:`TRUSTS`, under the best scale and shift of each view."""
    line = head.slope * height_map(views.log_depth)
    line, said, truth = (_centred(m, views.is_known) for m in (line, head(views.maps) - line, views.log_depth))
    n = views.is_known.sum((1, 2, 3)).clamp_min(1)
    out = []
    for trust in TRUSTS:
        guess = line + trust * said
        power = guess.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        gain = ((guess * truth).sum((1, 2, 3), keepdim=True) / power).clamp_min(0)
        out.append(((truth - gain * guess).square().sum((1, 2, 3)) / n).sqrt().mean())
    return torch.stack(out)


def best_trust(curves: Sequence[Tensor]) -> float:
    """Of :data:`TRUSTS`, that of the least error in the mean over scenes, each scene's in parts of its error at 0."""
    return TRUSTS[int(torch.stack([curve / curve[0] for curve in curves]).mean(0).argmin())]


def _centred(maps: Tensor, known: Tensor) -> Tensor:
    """Less the mean over the known cells of each, and 0 at the others."""
    k = known.to(maps.dtype)
    return (maps - (maps * k).sum((1, 2, 3), keepdim=True) / k.sum((1, 2, 3), keepdim=True).clamp_min(1)) * k
