"""Relative depth from MiDaS-small (Ranftl et al. 2022, "Towards robust monocular depth estimation"), by torch.hub.

Or from any model of a hub repository with its conventions: ImageNet's mean and std in, inverse depth (B, h, w) out.

Optional: its code and weights are downloaded on first use, or read from this machine (see :class:`MidasSettings`).
Asking for it means running the code of the hub repository, and of the one it takes its encoder from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.base import DepthUnavailable, check_image

ENTRY = "MiDaS_small"
ENCODER_REPO = "rwightman/gen-efficientnet-pytorch"  # MiDaS-small asks torch.hub for its encoder in turn
# Its `small_transform` (hubconf.py): long side to 256, sides in multiples of 32, cubic, ImageNet's mean and std.
LONG_SIDE_PX = 256
MULTIPLE_PX = 32
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_PERCENTILES = (0.02, 0.98)


@dataclass(frozen=True)
class MidasSettings:
    """Where MiDaS comes from, or another model like it.

    ``repo``: a hub repository (``owner/name``), or a directory with a checkout of it (a ``hubconf.py`` inside).
    ``checkpoint``: a state dict file of MiDaS-small; downloaded when None.
    ``entry``: name of the model in the repository.
    ``long_side_px``: what the model sees, a multiple of 32.
    """

    repo: str = "intel-isl/MiDaS"
    checkpoint: str | None = None
    entry: str = ENTRY
    long_side_px: int = LONG_SIDE_PX

    @classmethod
    def from_environment(cls, **settings: Any) -> MidasSettings:
        """The settings given, else ``CILIARY_MIDAS_REPO`` and ``CILIARY_MIDAS_CHECKPOINT``, else the defaults."""
        for field, variable in (("repo", "CILIARY_MIDAS_REPO"), ("checkpoint", "CILIARY_MIDAS_CHECKPOINT")):
            if settings.get(field) is None and os.environ.get(variable):
                settings[field] = os.environ[variable]
        return cls(**{name: value for name, value in settings.items() if value is not None or name != "repo"})


class MidasDepth(nn.Module):
    """MiDaS-small as a depth provider. Frozen, eval mode, without gradient."""

    def __init__(self, settings: MidasSettings | None = None):
        super().__init__()
        settings = settings or MidasSettings.from_environment()
        self.long_side_px = settings.long_side_px
        self.net = load_midas(settings).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> MidasDepth:
        """Stays in eval mode, whatever the module around it does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1] -> (B, 1, H, W) relative depth in [0, 1], 1 far."""
        check_image(image)
        inverse = self.net(prepare(image, self.long_side_px))
        inverse = inverse.reshape(image.shape[0], 1, *inverse.shape[-2:])
        inverse = F.interpolate(inverse, size=image.shape[-2:], mode="bicubic", align_corners=False)
        return depth_from_inverse(inverse)


def network_size(height: int, width: int, long_side_px: int = LONG_SIDE_PX) -> tuple[int, int]:
    """The size a network sees: the long side given (MiDaS-small: 256), the other in proportion, multiples of 32."""
    scale = long_side_px / max(height, width)

    def fit(n: int) -> int:
        rounded = round(n * scale / MULTIPLE_PX) * MULTIPLE_PX
        return min(max(rounded, MULTIPLE_PX), long_side_px)

    return fit(height), fit(width)


def prepare(image: Tensor, long_side_px: int = LONG_SIDE_PX) -> Tensor:
    """MiDaS' own ``small_transform`` for a batch of tensors, without OpenCV: (B, 3, H, W) -> (B, 3, h, w)."""
    image = F.interpolate(
        image, size=network_size(image.shape[-2], image.shape[-1], long_side_px), mode="bicubic", align_corners=False
    )
    return (image - image.new_tensor(MEAN).view(1, 3, 1, 1)) / image.new_tensor(STD).view(1, 3, 1, 1)


def depth_from_inverse(inverse: Tensor) -> Tensor:
    """Relative depth in [0, 1], 1 far, of an inverse depth (B, 1, H, W) known up to scale and shift.

    The shift being unknown, 1/x would be arbitrary; what is known is the order, so the inverse depth is turned round
    and stretched between its 2nd and 98th percentile. A map without any relief comes out as 0.
    """
    flat = inverse.flatten(1)
    near_to_far = torch.quantile(flat, flat.new_tensor(_PERCENTILES), dim=1)
    low, high = near_to_far[0].view(-1, 1, 1, 1), near_to_far[1].view(-1, 1, 1, 1)
    return ((high - inverse) / (high - low).clamp_min(1e-6)).clamp(0, 1)


def load_midas(settings: MidasSettings) -> nn.Module:
    """Load MiDaS-small from a local checkout, torch.hub's cache or the network.

    Raises:
        DepthUnavailable: says what was expected, what happened and what to do.
    """
    is_local = Path(settings.repo).expanduser().is_dir()
    repo = str(Path(settings.repo).expanduser()) if is_local else settings.repo
    if settings.checkpoint is not None and not Path(settings.checkpoint).is_file():
        raise DepthUnavailable(_message(settings, f"there is no file {settings.checkpoint}"))
    try:
        if is_local:
            net: nn.Module = torch.hub.load(
                repo, settings.entry, source="local", pretrained=settings.checkpoint is None
            )
        else:
            # MiDaS' inner call of torch.hub cannot say that it trusts the encoder's repository, and would stop to ask.
            if settings.entry == ENTRY:
                torch.hub.list(ENCODER_REPO, skip_validation=True, trust_repo=True)
            net = torch.hub.load(
                repo, settings.entry, skip_validation=True, trust_repo=True, pretrained=settings.checkpoint is None
            )
        if settings.checkpoint is not None:
            net.load_state_dict(torch.load(settings.checkpoint, map_location="cpu", weights_only=True))
    except Exception as error:  # hub repositories fail in their own ways: network, cache, imports, shapes
        raise DepthUnavailable(_message(settings, f"{type(error).__name__}: {error}")) from error
    return net.eval()


def _message(settings: MidasSettings, happened: str) -> str:
    if settings.entry != ENTRY:
        return (
            f"expected the depth model {settings.entry!r} from {settings.repo!r} by torch.hub, but {happened}. What to "
            "do: open the network once so that torch.hub can fill its cache; or name a checkout of the repository in "
            'its place; or use depth="learned", "pictorial" or "none"'
        )
    return (
        f"expected MiDaS-small from {settings.repo!r} with "
        f"{settings.checkpoint or 'its published weights'}, but {happened}. What to do: open the network once so that "
        "torch.hub can fill its cache; or set CILIARY_MIDAS_REPO to a checkout of MiDaS and CILIARY_MIDAS_CHECKPOINT "
        f"to its model-small file (its encoder, {ENCODER_REPO}, must then be in torch.hub's cache); "
        'or use depth="learned", "pictorial" or "none"'
    )
