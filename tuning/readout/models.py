"""What reads classes out: small heads on fields, or a U-Net on the image. All take fields (B, C, H, W) to logits."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.installing import install_extra

HEADS = ("linear", "conv")
UNET_ENCODER = "resnet18"
_WIDTH = 28  # with three dozen fields some 15,000 weights
_MULTIPLE_PX = 32  # a U-Net halves five times


class NoUNet(RuntimeError):
    """There is no U-Net to be had."""


class Readout(nn.Module):
    """Fields, standardised by what training images had, to logits of the classes.

    Args:
        body: (B, C, H, W) to (B, K, H, W).
        n_fields: C.
        multiple_px: both sides are padded to a multiple of this, by reflection, and the answer is cut again.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, body: nn.Module, n_fields: int, *, multiple_px: int = 1) -> None:
        super().__init__()
        self.body, self.multiple_px = body, multiple_px
        self.register_buffer("mean", torch.zeros(n_fields))
        self.register_buffer("scale", torch.ones(n_fields))

    def standardise(self, fields: Iterable[Tensor]) -> None:
        """Take mean and spread of each field from images (C, H, W); one that never changes is switched off."""
        n, total, squares = 0, torch.zeros_like(self.mean).double(), torch.zeros_like(self.mean).double()
        for one in fields:
            flat = one.flatten(1).double().to(total.device)
            n, total, squares = n + flat.shape[1], total + flat.sum(1), squares + flat.square().sum(1)
        mean = total / n
        spread = (squares / n - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(spread > 1e-4, 1 / spread.clamp_min(1e-4), 0.0))

    def forward(self, fields: Tensor) -> Tensor:
        """(B, C, H, W) to logits (B, K, H, W)."""
        x = (fields - self.mean.view(-1, 1, 1)) * self.scale.view(-1, 1, 1)
        height, width = x.shape[-2:]
        below, right = -height % self.multiple_px, -width % self.multiple_px
        if below or right:
            x = F.pad(
                x, (0, right, 0, below), mode="reflect" if min(height - below, width - right) > 0 else "replicate"
            )
        logits: Tensor = self.body(x)
        return logits[..., :height, :width]

    @property
    def n_weights(self) -> int:
        """Numbers that are learned."""
        return sum(weight.numel() for weight in self.body.parameters())


def make_head(kind: str, n_fields: int, n_classes: int) -> Readout:
    """A head of :data:`HEADS`: one number a field and class; or two 3 x 3 convolutions between two of 1 x 1.

    Raises:
        ValueError: another name.
    """
    if kind == "linear":
        return Readout(nn.Conv2d(n_fields, n_classes, 1), n_fields)
    if kind != "conv":
        raise ValueError(f"unknown head {kind!r}; choose from {', '.join(HEADS)}")
    body = nn.Sequential(
        nn.Conv2d(n_fields, _WIDTH, 1),
        nn.GELU(),
        nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, padding_mode="replicate"),
        nn.GELU(),
        nn.Conv2d(_WIDTH, _WIDTH, 3, padding=4, dilation=4, padding_mode="replicate"),  # sees 11 px
        nn.GELU(),
        nn.Conv2d(_WIDTH, n_classes, 1),
    )
    return Readout(body, n_fields)


def make_unet(n_classes: int, *, encoder: str = UNET_ENCODER) -> Readout:
    """A U-Net of segmentation_models_pytorch from scratch (Ronneberger et al. 2015), on the image's three channels.

    Raises:
        NoUNet: the package is not there, or has no such encoder.
    """
    try:
        from segmentation_models_pytorch import Unet
    except ImportError as error:
        raise NoUNet(f"a U-Net is of the extra `readout` ({error}): {install_extra('readout')}") from error
    try:
        body = Unet(encoder, encoder_weights=None, in_channels=3, classes=n_classes)
    except KeyError as error:
        raise NoUNet(f"segmentation_models_pytorch has no encoder {encoder!r}") from error
    return Readout(body, 3, multiple_px=_MULTIPLE_PX)


@torch.no_grad()
def probabilities(model: Readout, fields: Tensor) -> Tensor:
    """(B, K, H, W) on the simplex over K, of a model in eval mode."""
    logits: Tensor = model(fields)
    return logits.softmax(1)
