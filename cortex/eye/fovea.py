"""A glance: what the lattice catches of an image, each sample averaging its own area."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ciliary.cortex.eye.lattice import FoveatedLattice, Lattice, n_samples
from ciliary.cortex.ops.smoothing import halve


@dataclass(frozen=True, eq=False)
class Glance:
    """One look.

    Attributes:
        samples: (B, 3, rows, columns), 0 where the lattice reaches over the image's border.
        is_inside: (B, 1, rows, columns) bool.
        gaze_deg: (B, 2), (y, x) from the image's centre, y down.
        lattice: that caught it.
    """

    samples: Tensor
    is_inside: Tensor
    gaze_deg: Tensor
    lattice: Lattice

    @property
    def n_samples(self) -> int:
        """What the look costs: every sample of the lattice, also those that met nothing."""
        return n_samples(self.lattice)


def take_glance(image: Tensor, lattice: Lattice, gaze_deg: Tensor, px_per_deg: float) -> Glance:
    """Sample images about a gaze.

    Each sample averages its own area: it is read from a pyramid of halved images, between the two levels whose pixels
    are next to its spacing (Williams 1983). A lattice of one sample a pixel gives the image back.

    Args:
        image: (B, 3, H, W), linear light, so that means are those of light.
        lattice: (:class:`ciliary.cortex.eye.lattice.FoveatedLattice`, or a camera).
        gaze_deg: (B, 2), (y, x) from the centre; a lattice that does not move ignores it.
        px_per_deg: of the image.

    Returns:
        The glance; its samples are differentiable in image and gaze.

    Raises:
        ValueError: other shapes, or px_per_deg <= 0.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"expected image (B, 3, H, W), got {tuple(image.shape)}")
    if tuple(gaze_deg.shape) != (len(image), 2):
        raise ValueError(
            f"expected gaze_deg ({len(image)}, 2), (y, x) in degrees from the centre, got {tuple(gaze_deg.shape)}"
        )
    if not px_per_deg > 0:
        raise ValueError(f"expected px_per_deg > 0, got {px_per_deg}; a scene knows its own")
    size = (image.shape[-2], image.shape[-1])
    # In float64 up to the fraction of a pixel: float32 is off by 1e-5 px at the border of a photograph.
    position = lattice.position_deg.to(image.device)[None]
    if lattice.moves:
        position = position + gaze_deg.double()[:, None, None]
    centre = torch.tensor([(side - 1) / 2 for side in size], dtype=torch.float64, device=image.device)
    place_px = (position * px_per_deg + centre).expand(len(image), -1, -1, -1).flatten(1, 2)  # (B, N, 2)
    level = torch.log2((lattice.spacing_deg.to(image.device) * px_per_deg).clamp_min(1.0)).flatten()
    samples = _sample(_pyramid(image), place_px, level)
    border = torch.tensor(size, dtype=torch.float64, device=image.device) - 0.5
    is_inside = ((place_px >= -0.5) & (place_px <= border)).all(-1)
    sheet = (len(image), -1, *lattice.shape)
    is_inside = is_inside.view(sheet)
    return Glance((samples.reshape(sheet) * is_inside).to(image.dtype), is_inside, gaze_deg, lattice)


def _pyramid(image: Tensor) -> list[Tensor]:
    """The image and its halves, down to a side of one pixel."""
    levels = [image]
    while min(levels[-1].shape[-2:]) > 1:
        levels.append(halve(levels[-1]))
    return levels


def _sample(levels: list[Tensor], place_px: Tensor, level: Tensor) -> Tensor:
    """Trilinear reading (B, 3, N) of a pyramid at places (B, N, 2) of its finest level, and levels (N,)."""
    flat = torch.cat([one.flatten(2) for one in levels], 2)
    device = flat.device
    sizes = torch.tensor([one.shape[-2:] for one in levels], device=device)
    starts = (sizes[:, 0] * sizes[:, 1]).cumsum(0) - sizes[:, 0] * sizes[:, 1]
    level = level.clamp(max=len(levels) - 1)
    lower = level.floor().long().clamp(max=max(len(levels) - 2, 0))
    upper = (lower + 1).clamp(max=len(levels) - 1)
    share = (level - lower).to(flat.dtype)
    fine, coarse = (_bilinear(flat, place_px, i, sizes[i], starts[i]) for i in (lower, upper))
    return fine + share * (coarse - fine)


def _bilinear(flat: Tensor, place_px: Tensor, level: Tensor, size: Tensor, start: Tensor) -> Tensor:
    """Values (B, 3, N) of one level for each sample: ``size`` (N, 2) and ``start`` (N,) of it in ``flat``."""
    place = (place_px + 0.5) / (2.0 ** level.double())[:, None] - 0.5
    place = torch.minimum(place.clamp_min(0.0), (size - 1).double())
    corner = torch.minimum(place.detach().floor().long(), (size - 2).clamp_min(0))
    part = (place - corner).to(flat.dtype)
    out = flat.new_zeros(())
    for dy in (0, 1):
        for dx in (0, 1):
            y = torch.minimum(corner[..., 0] + dy, size[:, 0] - 1)
            x = torch.minimum(corner[..., 1] + dx, size[:, 1] - 1)
            index = (start + y * size[:, 1] + x)[:, None].expand(-1, flat.shape[1], -1)
            along_y = part[..., 0] if dy else 1 - part[..., 0]
            along_x = part[..., 1] if dx else 1 - part[..., 1]
            out = out + flat.gather(2, index) * (along_y * along_x)[:, None]
    return out


class Fovea(nn.Module):
    """:func:`take_glance` with its lattice."""

    def __init__(self, lattice: Lattice | None = None) -> None:
        super().__init__()
        self.lattice: Lattice = FoveatedLattice() if lattice is None else lattice

    def forward(self, image: Tensor, gaze_deg: Tensor, px_per_deg: float) -> Glance:
        """See :func:`take_glance`."""
        return take_glance(image, self.lattice, gaze_deg, px_per_deg)


def field_deg(size_px: tuple[int, int], px_per_deg: float) -> tuple[float, float]:
    """(height, width) of an image in degrees."""
    height, width = (side / px_per_deg for side in size_px)
    if not (math.isfinite(height) and height > 0):
        raise ValueError(f"expected px_per_deg > 0, got {px_per_deg}")
    return height, width
