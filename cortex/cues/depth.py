"""Depth providers by name: ``none``, ``pictorial``, ``midas``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ciliary.cortex.cues.base import DepthProvider, check_image, unknown
from ciliary.cortex.options import DEPTHS


class NoDepth(nn.Module):
    """A flat world: zeros."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> zeros (B, 1, H, W)."""
        check_image(image)
        return torch.zeros_like(image[:, :1])


def make_depth(name: str = "none", **settings: Any) -> DepthProvider:
    """Build a depth provider.

    Args:
        name: ``none`` (zeros), ``pictorial`` (monocular cues, see :mod:`ciliary.cortex.cues.pictorial`) or ``midas``
            (MiDaS-small by torch.hub, see :mod:`ciliary.cortex.cues.midas`).
        settings: keywords of the provider's settings (``PictorialSettings``, ``MidasSettings``).

    Raises:
        ValueError: unknown name.
        DepthUnavailable: MiDaS can be neither found nor downloaded.
    """
    if name == "none":
        if settings:
            raise ValueError(f"the depth provider 'none' takes no settings, got {sorted(settings)}")
        return NoDepth()
    if name == "pictorial":
        from ciliary.cortex.cues.pictorial import PictorialDepth, PictorialSettings

        return PictorialDepth(PictorialSettings(**settings))
    if name == "midas":
        from ciliary.cortex.cues.midas import MidasDepth, MidasSettings

        return MidasDepth(MidasSettings.from_environment(**settings))
    raise unknown("depth", name, DEPTHS)
