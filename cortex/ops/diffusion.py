"""Diffusion that a barrier stops (Perona & Malik 1990), in conservative form."""

from __future__ import annotations

import torch
from torch import Tensor


def diffuse(field: Tensor, conductance: Tensor, *, time: Tensor, n_steps: int) -> Tensor:
    """Explicit diffusion on the 4-neighbour grid with closed borders.

    Fluxes are not divided by the sum of conductances: a uniformly strong barrier must stop everything.

    Args:
        field: (B, C, H, W).
        conductance: (B, 1, H, W) in [0, 1]; an edge conducts as much as the weaker of its two pixels.
        time: (B,) total diffusion time in (pixels of this grid)^2; at most n_steps / 4 keeps the scheme stable.
        n_steps: number of equal steps.

    Returns:
        (B, C, H, W); the mean of each channel is unchanged.

    Raises:
        ValueError: if a time would make the scheme unstable.
    """
    if bool((time > n_steps / 4 + 1e-6).any()):
        raise ValueError(
            f"diffusion time {float(time.max()):.3g} needs more than {n_steps} steps (time <= n_steps / 4)"
        )
    rate = (time / n_steps).view(-1, 1, 1, 1)
    across = rate * torch.minimum(conductance[..., 1:], conductance[..., :-1])
    down = rate * torch.minimum(conductance[..., 1:, :], conductance[..., :-1, :])
    kept = torch.ones_like(conductance)
    kept[..., 1:] -= across
    kept[..., :-1] -= across
    kept[..., 1:, :] -= down
    kept[..., :-1, :] -= down
    for _ in range(n_steps):
        after = field * kept
        after[..., 1:].addcmul_(field[..., :-1], across)
        after[..., :-1].addcmul_(field[..., 1:], across)
        after[..., 1:, :].addcmul_(field[..., :-1, :], down)
        after[..., :-1, :].addcmul_(field[..., 1:, :], down)
        field = after
    return field
