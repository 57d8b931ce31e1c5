"""Which pixels a number would change with: gradients, what rectifiers make of them, and gradients along a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.explain.rectifiers import RULES, RectifierRule
from ciliary.cortex.explain.scalars import Scalars, Tick, no_tick


def gradient_maps(
    of: Scalars,
    image: Tensor,
    *,
    rules: Sequence[str] = tuple(RULES),
    n_copies: int = 4,
    noise: float = 0.05,
    seed: int = 0,
    n_at_once: int = 2,
    tick: Tick = no_tick,
) -> dict[str, Tensor]:
    """Size of the gradient at each pixel, by rule of :data:`~ciliary.cortex.explain.rectifiers.RULES`: (T, H, W) >= 0.

    The root of the mean square over noisy copies of the image and over its colours (SmoothGrad, Smilkov et al. 2017,
    squared as by Hooker et al. 2019). At the image itself a number that is greatest there has no gradient at all. With
    ``noise`` 0 and one copy it is the plain gradient.

    Args:
        of: what is asked.
        image: (3, H, W) in [0, 1].
        rules: which.
        n_copies: of the image, each with noise of its own.
        noise: standard deviation, in units of the image's [0, 1].
        seed: of the noise, drawn on the CPU.
        n_at_once: images through ``of`` at once.
        tick: told how often one went back, of all.
    """
    draw = torch.randn(n_copies, *image.shape, generator=torch.Generator().manual_seed(seed))
    copies = (image + noise * draw.to(image)).clamp(0, 1)
    total: dict[str, list[Tensor]] = {rule: [] for rule in rules}
    parts, n_done = copies.split(n_at_once), 0
    for part in parts:
        at = part.clone().requires_grad_()
        with torch.enable_grad(), RectifierRule() as mode:
            value = of(at)
        n_targets = value.shape[1]
        for rule in rules:
            mode.rule = rule
            squares = [g.square().sum((0, 1)) for g in _each_gradient(value, at, keep=rule != rules[-1])]
            total[rule].append(torch.stack(squares))
            n_done += n_targets
            tick(n_done, len(parts) * len(rules) * n_targets)
    return {rule: (torch.stack(own).sum(0) / n_copies).sqrt() for rule, own in total.items()}


@dataclass(frozen=True, eq=False)
class Integrated:
    """Gradients along the way from a baseline to the image.

    Attributes:
        maps: (T, H, W) what each pixel adds, its colours summed.
        change: (T,) the number at the image less the number at the baseline; what ``maps`` should add up to.
        gap: (T,) what they add up to, less that.
    """

    maps: Tensor
    change: Tensor
    gap: Tensor


def integrated_gradients(
    of: Scalars,
    image: Tensor,
    baseline: Tensor,
    *,
    n_steps: int = 16,
    n_at_once: int = 2,
    tick: Tick = no_tick,
) -> Integrated:
    """Integrated gradients (Sundararajan et al. 2017) along the straight way, by Gauss and Legendre's rule.

    Args:
        of: what is asked.
        image: (3, H, W) in [0, 1].
        baseline: the same of an image in which nothing is left of what counts.
        n_steps: places on the way at which the gradient is taken.
        n_at_once: images through ``of`` at once.
        tick: told how many of the steps are done.
    """
    place, weight = (image.new_tensor(x) for x in _gauss_legendre(n_steps))
    total, n_done = image.new_zeros(()), 0
    for at, share in zip(place.split(n_at_once), weight.split(n_at_once), strict=True):
        images = torch.lerp(baseline, image, at.view(-1, 1, 1, 1)).requires_grad_()
        with torch.enable_grad():
            value = of(images)
        gradient = torch.stack(_each_gradient(value, images))  # (T, B, 3, H, W)
        total = total + torch.einsum("tbchw,b->tchw", gradient, share)
        n_done += len(at)
        tick(n_done, n_steps)
    maps = (total * (image - baseline)).sum(1)
    with torch.no_grad():
        ends = of(torch.stack([image, baseline]))
    change = ends[0] - ends[1]
    return Integrated(maps, change, maps.sum((1, 2)) - change)


def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in (0, 1) and their weights, which sum to 1."""
    place, weight = np.polynomial.legendre.leggauss(n)
    return (place + 1) / 2, weight / 2


def _each_gradient(value: Tensor, at: Tensor, *, keep: bool = False) -> list[Tensor]:
    """Of each column of ``value`` (B, T) in ``at``, zeros where it does not hang on it.

    Args:
        value: of images that do not know of each other.
        at: the images.
        keep: the graph, once more.
    """
    n = value.shape[1]
    found: list[Tensor] = []
    for i in range(n):
        (gradient,) = torch.autograd.grad(
            value[:, i].sum(), at, retain_graph=keep or i + 1 < n, allow_unused=True, materialize_grads=True
        )
        found.append(gradient)
    return found
