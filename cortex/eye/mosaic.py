"""What an episode has seen so far: at every place the finest sample of any glance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.eye.fovea import Glance


@dataclass(frozen=True, eq=False)
class Mosaic:
    """The memory of an episode. Frozen: :func:`add_glance` returns a new one.

    Attributes:
        image: (B, 3, H, W) in the glances' unit; the ground value where nothing was seen.
        spacing_deg: (B, 1, H, W) of the samples each place was seen with; inf where none.
        n_samples: (B,) int64, all that was ever sampled, revisits too.
        n_glances: (B,) int64.
        px_per_deg: of the mosaic; it need not be that of the images looked at.
    """

    image: Tensor
    spacing_deg: Tensor
    n_samples: Tensor
    n_glances: Tensor
    px_per_deg: float

    @property
    def acuity(self) -> Tensor:
        """(B, 1, H, W) samples per degree; 0 where nothing was seen."""
        return 1 / self.spacing_deg

    @property
    def is_seen(self) -> Tensor:
        """(B, 1, H, W) bool."""
        return torch.isfinite(self.spacing_deg)


def blank_mosaic(
    batch: int,
    size_px: tuple[int, int],
    px_per_deg: float,
    *,
    ground: float = 0.0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Mosaic:
    """Nothing seen yet, (H, W) pixels; ``ground`` is what stands there meanwhile.

    Raises:
        ValueError: unless batch, sides and px_per_deg are > 0.
    """
    if batch < 1 or min(size_px) < 1 or not px_per_deg > 0:
        raise ValueError(f"expected batch, sides and px_per_deg > 0, got {batch}, {size_px} and {px_per_deg}")
    count = torch.zeros(batch, dtype=torch.int64, device=device)
    return Mosaic(
        torch.full((batch, 3, *size_px), ground, device=device, dtype=dtype),
        torch.full((batch, 1, *size_px), math.inf, device=device, dtype=dtype),
        count,
        count.clone(),
        px_per_deg,
    )


def add_glance(mosaic: Mosaic, glance: Glance) -> Mosaic:
    """The mosaic with one more glance: it replaces what it saw with finer samples, and nothing else.

    The same glance twice leaves the image as it was after the first; its samples are counted twice.

    Args:
        mosaic: what was seen before.
        glance: of the same scenes, B of them; both share the scene's centre.

    Returns:
        A new mosaic; its image is differentiable in the glance's samples and, where they stay the finest, in its gaze.

    Raises:
        ValueError: another number of scenes.
    """
    if len(glance.samples) != len(mosaic.image):
        raise ValueError(f"expected a glance at {len(mosaic.image)} scenes, got one at {len(glance.samples)}")
    image, spacing = render_glance(glance, (mosaic.image.shape[-2], mosaic.image.shape[-1]), mosaic.px_per_deg)
    is_finer = spacing < mosaic.spacing_deg
    return Mosaic(
        torch.where(is_finer, image.to(mosaic.image.dtype), mosaic.image),
        torch.where(is_finer, spacing.to(mosaic.spacing_deg.dtype), mosaic.spacing_deg),
        mosaic.n_samples + glance.n_samples,
        mosaic.n_glances + 1,
        mosaic.px_per_deg,
    )


def render_glance(glance: Glance, size_px: tuple[int, int], px_per_deg: float) -> tuple[Tensor, Tensor]:
    """A glance laid out in the scene's own frame.

    Between samples it is linear along the sheet's rows and columns; samples off the scene take no part.

    Args:
        glance: its samples may have any number C of channels.
        size_px: (H, W).
        px_per_deg: of the picture that is made.

    Returns:
        image (B, C, H, W), 0 where nothing was seen; spacing_deg (B, 1, H, W), inf there.
    """
    samples, lattice = glance.samples, glance.lattice
    device, batch = samples.device, len(samples)
    y, x = ((torch.arange(n, device=device, dtype=torch.float64) - (n - 1) / 2) / px_per_deg for n in size_px)
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)[None]
    if lattice.moves:
        place = place - glance.gaze_deg.to(device).double()[:, None, None]
    row, column, spacing = lattice.locate(place)
    n_rows, n_columns = lattice.shape
    row = row.clamp(0, n_rows - 1)
    column = column if lattice.wraps else column.clamp(0, n_columns - 1)
    top, left = row.detach().floor(), column.detach().floor()
    # One row a sample, all its channels, so that a place reads neighbours in memory.
    weighed = torch.cat([samples, glance.is_inside.to(samples.dtype)], 1).permute(0, 2, 3, 1).flatten(0, 2)
    first = torch.arange(batch, device=device).view(-1, 1, 1) * (n_rows * n_columns)
    row_share, column_share = ((x - x.detach().floor()).to(samples.dtype) for x in (row, column))
    total = samples.new_zeros(())
    for i in (0, 1):
        for j in (0, 1):
            i_row = (top.long() + i).clamp(max=n_rows - 1)
            i_column = left.long() + j
            i_column = i_column % n_columns if lattice.wraps else i_column.clamp(max=n_columns - 1)
            weight = (row_share if i else 1 - row_share) * (column_share if j else 1 - column_share)
            total = total + weighed[first + i_row * n_columns + i_column] * weight[..., None]
    total = total.permute(0, 3, 1, 2)
    image, inside = total[:, :-1], total[:, -1:]
    is_seen = (inside > 0) & torch.isfinite(spacing)[:, None]
    image = torch.where(is_seen, image / torch.where(is_seen, inside, torch.ones_like(inside)), torch.zeros_like(image))
    spacing = spacing[:, None].to(samples.dtype)
    return image, torch.where(is_seen, spacing, torch.full_like(inside, math.inf))
