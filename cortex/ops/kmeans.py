"""Deterministic soft k-means with a smooth number of clusters."""

from __future__ import annotations

import torch
from torch import Tensor


def ramp(x: Tensor) -> Tensor:
    """``x`` clipped to [0, 1], with gradient 1 on (0, 1].

    ``clamp`` has no gradient at its bounds in recent versions of torch: a count at a whole number, as the defaults are,
    would have none. Half-open, so that at a whole number one unit answers, not two.
    """
    return torch.where(x <= 0, 0.0, torch.where(x > 1, 1.0, x))


def presence_mask(count: Tensor, n_max: int) -> Tensor:
    """Smooth mask over ``n_max`` units: 1 for the first ``count``, the fraction for the next, then 0.

    Args:
        count: (B,) real; 6.25 keeps six units and a quarter of the seventh, which is what gives a count its gradient.

    Returns:
        (B, n_max) in [0, 1].
    """
    return ramp(count[:, None] - torch.arange(n_max, device=count.device))


def farthest_points(points: Tensor, k: int) -> Tensor:
    """Indices (B, k) of farthest-point seeds of (B, n, C): first the point nearest the mean, then always the farthest.

    Deterministic: labels do not permute between views because of a random start.
    """
    with torch.no_grad():
        seed = ((points - points.mean(1, keepdim=True)) ** 2).sum(-1).argmin(1)
        chosen = [seed]
        nearest = torch.full(points.shape[:2], torch.inf, device=points.device)
        for _ in range(k - 1):
            centre = points.gather(1, chosen[-1][:, None, None].expand(-1, 1, points.shape[2]))
            nearest = torch.minimum(nearest, ((points - centre) ** 2).sum(-1))
            chosen.append(nearest.argmax(1))
        return torch.stack(chosen, 1)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """||a_i - b_j||^2 for (B, n, C) and (B, m, C): (B, n, m), >= 0."""
    cross = a @ b.transpose(1, 2)
    return ((a * a).sum(-1)[:, :, None] + (b * b).sum(-1)[:, None, :] - 2 * cross).clamp_min(0)


def soft_assign(points: Tensor, centres: Tensor, temperature: Tensor, presence: Tensor) -> Tensor:
    """Responsibilities (B, K, n) on the simplex: softmax of -distance^2 / temperature, times ``presence`` (B, K)."""
    # The K axis before the long one: a softmax over a short last axis is several times slower.
    # ||x||^2 is the same for all centres and drops out.
    inverse = 1 / temperature.view(-1, 1, 1)
    bias = torch.log(presence.clamp_min(1e-9))[..., None] - inverse * (centres * centres).sum(-1, keepdim=True)
    return torch.softmax(torch.baddbmm(bias, 2 * inverse * centres, points.transpose(1, 2)), 1)


def soft_kmeans(
    points: Tensor, *, count: Tensor, temperature: Tensor, n_max: int, n_iterations: int = 4
) -> tuple[Tensor, Tensor]:
    """Soft k-means of (B, n, C) from farthest-point seeds.

    Args:
        count: (B,) number of clusters, real (see :func:`presence_mask`).
        temperature: (B,) > 0 in squared distance.
        n_max: most clusters any sample may have.

    Returns:
        centres (B, n_max, C) and presence (B, n_max); both differentiable in points, count and temperature.
    """
    index = farthest_points(points, n_max)
    centres = points.gather(1, index[..., None].expand(-1, -1, points.shape[2]))
    presence = presence_mask(count, n_max)
    for _ in range(n_iterations):
        weight = soft_assign(points, centres, temperature, presence)
        mass = weight.sum(2)[..., None]
        # A small pull to the old centre keeps an empty cluster where it was, instead of 0/0.
        centres = (weight @ points + 1e-3 * centres) / (mass + 1e-3)
    return centres, presence
