"""A memory of what moves: carried along with the field, and the less sharp the less it is known where things went."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.mosaic import Mosaic


def carried(mosaic: Mosaic, drift_deg: Tensor, doubt_deg: Tensor) -> Mosaic:
    """The mosaic some time later.

    What was seen is moved along by ``drift_deg``, bilinearly (its spacings by the nearest pixel, so that they are those
    of a glance); what comes in at the border was not seen. A sample tells what was within its spacing; if by then it
    may be ``doubt_deg`` away from where it is held to be, it tells what is within the root of the sum of both squares.

    Args:
        mosaic: as it was.
        drift_deg: (B, 2, h, w) by which places have moved, (y, x) in degrees: smooth, so that it is read where
            things go to.
        doubt_deg: (B, 1, h, w) >= 0 by which they may have moved besides.

    Returns:
        A new mosaic. Rows that neither drift nor are in doubt are what they were, bit by bit. Differentiable.
    """
    size = (mosaic.image.shape[-2], mosaic.image.shape[-1])
    drift = F.interpolate(drift_deg.to(mosaic.image), size=size, mode="bilinear") * mosaic.px_per_deg
    doubt = F.interpolate(doubt_deg.to(mosaic.image), size=size, mode="bilinear")
    y, x = (torch.arange(n, device=drift.device, dtype=drift.dtype) + 0.5 for n in size)
    source = torch.stack(torch.meshgrid(y, x, indexing="ij"))[None] - drift
    half = drift.new_tensor(size).view(1, 2, 1, 1) / 2
    place = (source / half - 1).movedim(1, -1).flip(-1)
    is_there = (place.abs() <= 1).all(-1)[:, None]
    image = F.grid_sample(mosaic.image, place, padding_mode="border", align_corners=False)
    # An infinite spacing times a weight of 0 would be no number.
    acuity = F.grid_sample(mosaic.acuity, place, mode="nearest", padding_mode="border", align_corners=False)
    spacing = torch.where(is_there & (acuity > 0), 1 / acuity.clamp_min(1e-9), torch.inf)
    moves = drift.abs().amax((1, 2, 3), keepdim=True) > 0
    image = torch.where(moves, torch.where(torch.isfinite(spacing), image, torch.zeros_like(image)), mosaic.image)
    spacing = torch.where(moves, spacing, mosaic.spacing_deg)
    return replace(mosaic, image=image, spacing_deg=torch.where(doubt > 0, torch.hypot(spacing, doubt), spacing))
