"""Depth providers by name: ``none``, ``pictorial``, ``learned``, ``midas``, a hub's, and one's own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.base import DepthProvider, check_image, unknown
from ciliary.cortex.cues.midas import MidasDepth, MidasSettings, depth_from_inverse
from ciliary.cortex.device import has_numbers
from ciliary.cortex.loading import load_object
from ciliary.cortex.options import DEPTHS

HUB = "hub:"


class NoDepth(nn.Module):
    """A flat world: zeros."""

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> zeros (B, 1, H, W)."""
        check_image(image)
        return torch.zeros_like(image[:, :1])


class OwnDepth(nn.Module):
    """A user's own depth, made a provider: any unit, any size of map, no gradient.

    Args:
        see: images (B, 3, H, W), sRGB in [0, 1], to depth (B, 1, h, w) or (B, h, w); **larger is farther**, in any
            unit (turn inverse depth round: ``-inverse``). A module is put into eval mode and stays there.
        name: for the messages.
    """

    def __init__(self, see: DepthProvider, name: str = "own depth"):
        super().__init__()
        self.see, self.name = see, name
        self.train(False)

    def train(self, mode: bool = True) -> OwnDepth:
        """Stays in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H, W) in [0, 1], 1 far: stretched between each image's 2nd and 98th percentile.

        Raises:
            ValueError: the answer has another shape, or values that are not finite.
        """
        check_image(image)
        depth = self.see(image)
        if not isinstance(depth, Tensor) or depth.ndim not in (3, 4) or depth.numel() == 0:
            raise ValueError(f"{self.name}: expected depth (B, 1, h, w), got {_kind(depth)}")
        depth = depth.reshape(len(depth), -1, *depth.shape[-2:])
        if depth.shape[:2] != (len(image), 1):
            raise ValueError(f"{self.name}: expected depth ({len(image)}, 1, h, w), got {_kind(depth)}")
        if has_numbers(depth) and not torch.isfinite(depth).all():
            raise ValueError(f"{self.name}: expected finite depth, got infinite values or NaN; clip them")
        depth = depth.to(image)
        if depth.shape[-2:] != image.shape[-2:]:
            depth = F.interpolate(depth, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return depth_from_inverse(-depth)


def make_depth(name: str = "none", **settings: Any) -> DepthProvider:
    """Build a depth provider.

    Args:
        name: ``none`` (zeros), ``pictorial`` (monocular cues, see :mod:`ciliary.cortex.cues.pictorial`), ``learned``
            (a small head on a frozen network, see :mod:`ciliary.cortex.cues.learned_depth`), ``midas`` (MiDaS-small by
            torch.hub, see :mod:`ciliary.cortex.cues.midas`), ``hub:REPO:MODEL`` (another model of MiDaS' conventions,
            such as ``hub:intel-isl/MiDaS:DPT_Hybrid``; REPO may be a folder), or ``module:object``: a function of
            images, a module, or a class that makes either (see :class:`OwnDepth`).
        settings: keywords of the provider's settings (``PictorialSettings``, ``LearnedDepth``, ``MidasSettings``).

    Raises:
        ValueError: unknown name, or no such object.
        TypeError: the object is no function of images.
        DepthUnavailable: weights can be neither found nor downloaded.
    """
    if name == "none":
        if settings:
            raise ValueError(f"the depth provider 'none' takes no settings, got {sorted(settings)}")
        return NoDepth()
    if name == "pictorial":
        from ciliary.cortex.cues.pictorial import PictorialDepth, PictorialSettings

        return PictorialDepth(PictorialSettings(**settings))
    if name == "learned":
        from ciliary.cortex.cues.learned_depth import LearnedDepth

        return LearnedDepth(**settings)
    if name == "midas":
        return MidasDepth(MidasSettings.from_environment(**settings))
    if name.startswith(HUB):
        repo, _, entry = name.removeprefix(HUB).rpartition(":")  # a repository may name its branch: owner/name:branch
        if not repo or not entry:
            raise ValueError(f"expected hub:REPO:MODEL, such as hub:intel-isl/MiDaS:DPT_Hybrid, got {name!r}")
        return MidasDepth(MidasSettings(repo=repo, entry=entry, **settings))
    if ":" in name:
        return own_depth(name, **settings)
    raise unknown("depth", name, (*DEPTHS, "hub:REPO:MODEL", "module:object"))


def own_depth(path: str, **settings: Any) -> OwnDepth:
    """The provider that ``module:object`` is, or that the class there makes; errors as :func:`make_depth`."""
    found = load_object(path, what="depth")
    if settings and not isinstance(found, type):
        raise ValueError(f"depth {path!r} is no class and takes no settings, got {sorted(settings)}")
    see = found(**settings) if isinstance(found, type) else found
    if not callable(see):
        raise TypeError(f"depth {path!r}: expected a function of images or a torch module, got {type(see).__name__}")
    return OwnDepth(see, path)


def _kind(answer: object) -> str:
    return f"{tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
