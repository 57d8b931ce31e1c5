"""Worst cases: the small change of an image that a loss suffers most from, or that brings it to a target.

One step along the sign of the gradient (FGSM, Goodfellow et al. 2015), or several with projection (PGD, Madry et al.
2018). Each pixel changes by ``epsilon`` at most, and the image stays in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ciliary.cortex.synthesis.ascent import Score


def sign_of_gradient(loss: Score, image: Tensor) -> Tensor:
    """Sign of d loss / d image, (B, 3, H, W); 0 where it is not a number."""
    with torch.enable_grad():
        seen = image.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(seen).sum(), seen)
    return gradient.nan_to_num(0.0).sign()


def fgsm(loss: Score, image: Tensor, epsilon: float) -> Tensor:
    """The image a step of ``epsilon`` up the loss, in [0, 1].

    Of a linear loss w . x it is the worst there is within epsilon: it rises by epsilon times the sum of |w|.
    """
    return (image.detach() + epsilon * sign_of_gradient(loss, image)).clamp(0, 1)


def pgd(
    loss: Score,
    image: Tensor,
    epsilon: float,
    *,
    n_steps: int = 10,
    step: float | None = None,
    is_targeted: bool = False,
    seed: int | None = 0,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """The worst of ``n_steps`` along the sign of the gradient, each put back within ``epsilon`` and [0, 1].

    Args:
        loss: images (B, 3, H, W) to (B,).
        image: (B, 3, H, W) in [0, 1].
        epsilon: largest change of a value.
        n_steps: steps of the gradient.
        step: of each; 2.5 epsilon / n_steps when None, as Madry et al.
        is_targeted: go down the loss (of a target) instead of up.
        seed: of where it starts within epsilon; None: at the image, where a loss that compares with the image itself
            has no slope.
        on_step: called after each step.

    Returns:
        (B, 3, H, W): for each image the step at which the loss was highest (lowest, with a target), the start among
        them.
    """
    if epsilon < 0 or n_steps < 1:
        raise ValueError(f"expected epsilon >= 0 and n_steps >= 1, got {epsilon} and {n_steps}")
    step = 2.5 * epsilon / n_steps if step is None else step
    towards = -1.0 if is_targeted else 1.0
    image = image.detach()
    low, high = (image - epsilon).clamp_min(0), (image + epsilon).clamp_max(1)
    now = image if seed is None else random_within(image, epsilon, seed=seed)
    best, best_loss = now, torch.full_like(image[:, 0, 0, 0], -torch.inf)
    for i in range(n_steps + 1):
        with torch.enable_grad():
            seen = now.detach().requires_grad_(True)
            losses = towards * loss(seen)
            (gradient,) = torch.autograd.grad(losses.sum(), seen)
        is_worse = losses.detach().nan_to_num(-torch.inf) > best_loss
        best = torch.where(is_worse[:, None, None, None], now, best)
        best_loss = torch.where(is_worse, losses.detach(), best_loss)
        if i < n_steps:
            now = (now + step * gradient.nan_to_num(0.0).sign()).clamp(low, high)
        on_step()
    return best


def random_within(image: Tensor, epsilon: float, *, seed: int = 0) -> Tensor:
    """The image and uniform noise of at most ``epsilon``, in [0, 1]: what a worst case is compared with."""
    rng = torch.Generator().manual_seed(seed)
    noise = 2 * torch.rand(image.shape, generator=rng) - 1
    return (image.detach() + epsilon * noise.to(image.device)).clamp(0, 1)
