"""Figures of a few strokes, dark on light, anywhere and at any size."""

import torch


def cross(size=1.0):
    """A standing cross with its arms high, which no turn or mirror but one brings onto itself: (y, x) -> distance."""

    def distance(y, x):
        y, x = y / size, x / size
        upright = torch.hypot(x, (y.abs() - 18).clamp_min(0))
        arms = torch.hypot(y + 8, (x - 4).abs().sub(12).clamp_min(0))
        return torch.minimum(upright, arms) * size

    return distance


def disc(size=1.0):
    """A ring."""
    return lambda y, x: (torch.hypot(y, x) - 14 * size).abs()


def picture(distance, side_px, by=(0, 0), half_width_px=1.5):
    """(3, P, P) in [0, 1]: ink within ``half_width_px`` of the figure, its edge a pixel wide."""
    axis = torch.arange(side_px) - (side_px - 1) / 2
    y, x = torch.meshgrid(axis - by[0], axis - by[1], indexing="ij")
    ink = (half_width_px + 0.5 - distance(y, x)).clamp(0, 1)
    return (1 - ink).expand(3, -1, -1).contiguous()
