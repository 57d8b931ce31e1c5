"""Gradient descent in u: rows of settings, each on its own way down inside the box.

The function is :func:`descend`, for whoever has a differentiable loss; :class:`Descent` is one step at a time, for
whoever is told gradients (:mod:`ciliary.agents.controllers.gradient`). Rows may be restarts, images, or both: nothing passes between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

Loss = Callable[[Tensor], Tensor]
"""Totals (N,) of settings u (N, P), differentiable in u; row i depends on setting i alone."""

#: All of them treat each coordinate by itself, so that rows stay independent in one optimiser.
OPTIMISERS: Mapping[str, Callable[..., Optimizer]] = {"adam": Adam, "sgd": SGD}


@dataclass(frozen=True)
class DescentSettings:
    """How to descend.

    Attributes:
        optimiser: ``adam`` (Kingma & Ba 2015) or ``sgd``.
        learning_rate: of the first step, > 0; for Adam about the length of a step in each coordinate of u, whose box
            is 2 wide.
        n_steps: >= 1, over which the learning rate falls.
        last_rate: learning rate after ``n_steps`` as a share of the first, in [0, 1]; falls along a cosine (Loshchilov
            & Hutter 2017) and stays there. 1 keeps it.
        max_norm: a row's gradient is shortened to this length, > 0; None never. It acts on SGD; Adam divides most of
            it out again.
    """

    optimiser: str = "adam"
    learning_rate: float = 0.07
    n_steps: int = 20
    last_rate: float = 0.1
    max_norm: float | None = 1.0

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; choose from {', '.join(OPTIMISERS)}")
        if self.learning_rate <= 0 or self.n_steps < 1 or not 0 <= self.last_rate <= 1:
            raise ValueError(
                "expected learning_rate > 0, n_steps >= 1 and last_rate in [0, 1], "
                f"got {self.learning_rate}, {self.n_steps} and {self.last_rate}"
            )
        if self.max_norm is not None and self.max_norm <= 0:
            raise ValueError(f"expected max_norm > 0 or None, got {self.max_norm}")


class Descent:
    """Where N rows stand, and the optimiser's memory of how they came there. Changes with :meth:`step`."""

    def __init__(self, u: Tensor, settings: DescentSettings) -> None:
        """Start at u (N, P) in [-1, 1]."""
        self.settings = settings
        self._u = u.detach().clone().to(torch.float32)
        self._optimiser = OPTIMISERS[settings.optimiser]([self._u], lr=settings.learning_rate)
        last = settings.last_rate * settings.learning_rate
        self._schedule = CosineAnnealingLR(self._optimiser, settings.n_steps, eta_min=last)
        self._n_done = 0

    @property
    def u(self) -> Tensor:
        """The present settings, a copy, (N, P)."""
        return self._u.clone()

    def step(self, gradient: Tensor) -> Tensor:
        """Go down the gradient (N, P), back into the box; rows whose gradient is not finite stand still."""
        gradient = gradient.to(torch.float32)
        is_finite = gradient.isfinite().all(1, keepdim=True)
        gradient = torch.where(is_finite, gradient, 0.0)
        if self.settings.max_norm is not None:
            gradient = gradient.renorm(2, 0, self.settings.max_norm)  # each row by itself
        before, self._u.grad = self.u, gradient
        self._optimiser.step()
        self._u.copy_(torch.where(is_finite, self._u.clamp(-1, 1), before))
        self._n_done += 1
        if self._n_done <= self.settings.n_steps:
            self._schedule.step()
        return self.u


def descend(loss: Loss, u0: Tensor, settings: DescentSettings = DescentSettings()) -> tuple[Tensor, Tensor]:
    """Descend ``settings.n_steps`` times from N rows.

    Args:
        loss: the loss of each row.
        u0: (N, P) in [-1, 1].
        settings: of the descent.

    Returns:
        u (T, N, P) and totals (T, N) of the T = n_steps + 1 places visited, u0 the first. Totals may be non-finite; the
        best place of a row is not always its last.

    Raises:
        ValueError: if u0 is no (N, P), or the loss does not give (N,).
    """
    if u0.ndim != 2:
        raise ValueError(f"expected u0 (N, P), got {tuple(u0.shape)}; one setting is u0[None]")
    descent, places, totals = Descent(u0, settings), [], []
    for i_step in range(settings.n_steps + 1):
        u = descent.u.requires_grad_(i_step < settings.n_steps)
        with torch.set_grad_enabled(u.requires_grad):
            total = loss(u)
        if total.shape != u.shape[:1]:
            raise ValueError(f"expected the loss to give one total for each of {len(u)} rows, got {tuple(total.shape)}")
        places.append(u.detach())
        totals.append(total.detach())
        if u.requires_grad:
            descent.step(torch.autograd.grad(total.sum(), u)[0])
    return torch.stack(places), torch.stack(totals)
