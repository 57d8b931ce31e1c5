"""The network of contours that people taught: what it sees, its layers, and its answer at the image's own size.

A pyramid of plain convolutions with a side output at each scale, as HED and RCF have (Xie & Tu 2015; Liu et al. 2017),
whose first layer looks at differences of pixels (Su et al. 2021), and a thin way back up, so that contours stay crisp.
It is small because it need not find edges first: retina, V1 and M1 have done that.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_SCALES

N_FULL = N_COLOUR + 1
N_HALF = N_SCALES * N_ORIENTATIONS
STRIDES = (2, 4, 8, 16)  # of the side outputs, coarse to full
_MULTIPLE_PX = STRIDES[-1]
_DILATIONS = ((1,), (1, 1), (1, 2))  # of the blocks at strides 4, 8 and 16


class ContourNet(nn.Module):
    """Retina, boundary and V1 energy (and a trunk's maps) to the logit of a contour at every pixel.

    The finest layers work on blocks of 2 x 2 pixels, with four times the channels: nothing of a pixel is lost, and the
    cost, which is that of moving memory there, is a third.

    Args:
        trunk_channels: of the trunk's maps at strides 4, 8 and 16; empty without a trunk.
        widths: channels at strides 2, 4, 8 and 16.
    """

    def __init__(
        self, trunk_channels: tuple[int, ...] = (), widths: tuple[int, int, int, int] = (28, 48, 72, 80)
    ) -> None:
        super().__init__()
        fine, *deep = widths
        self.enter = DifferenceConv(4 * N_FULL, N_HALF, fine)
        self.fine = Residual(fine)
        self.down = nn.ModuleList(ConvNorm(a, b, 3, stride=2) for a, b in pairwise(widths))
        self.trunk = nn.ModuleList(ConvNorm(c, b, 1) for c, b in zip(trunk_channels, deep, strict=False))
        # Two blocks where they are cheap, the coarsest with a view of half the image.
        self.deep = nn.ModuleList(
            nn.Sequential(*(Residual(b, dilation=d) for d in dilations))
            for b, dilations in zip(deep, _DILATIONS, strict=True)
        )
        # The way back: what comes from below is reduced first, so that the fine scales stay cheap.
        self.up = nn.ModuleList(ConvNorm(b, a // 2, 1) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(ConvNorm(a + a // 2, a, 3) for a in widths[:-1])
        self.sides = nn.ModuleList(nn.Conv2d(a, 1, 1) for a in widths)
        self.leave = nn.Conv2d(fine, 4, 3, padding=1)

    def forward(self, full: Tensor, half: Tensor, trunk: tuple[Tensor, ...] = ()) -> tuple[Tensor, list[Tensor]]:
        """Logits.

        Args:
            full: (B, 4, H, W) and half: (B, 18, H/2, W/2), see :func:`contour_inputs`.
            trunk: (B, C_i, ceil(H/s), ceil(W/s)) at strides s = 4, 8, 16.

        Returns:
            (B, 1, H, W), and those of the side outputs at strides 2, 4, 8, 16.
        """
        h, w = full.shape[-2:]
        full, half = (
            _to_multiple(x, multiple).contiguous(memory_format=torch.channels_last)
            for x, multiple in ((full, _MULTIPLE_PX), (half, _MULTIPLE_PX // 2))
        )
        x = self.fine(F.relu(self.enter(F.pixel_unshuffle(full, 2), half)))
        maps = [x]
        for i, (down, deep) in enumerate(zip(self.down, self.deep, strict=True)):
            x = down(x)
            if len(self.trunk):
                below, right = (n - m for n, m in zip(x.shape[-2:], trunk[i].shape[-2:], strict=True))
                x = x + F.pad(self.trunk[i](trunk[i]), (0, right, 0, below), mode="replicate")
            x = deep(x)
            maps.append(x)
        sides = [self.sides[-1](x)]
        for i in range(len(maps) - 2, -1, -1):
            below = F.interpolate(self.up[i](x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.merge[i](torch.cat([maps[i], below], 1))
            sides.insert(0, self.sides[i](x))
        logits = F.pixel_shuffle(self.leave(x) + sides[0], 2)
        return logits[..., :h, :w], [s[..., : -(-h // r), : -(-w // r)] for s, r in zip(sides, STRIDES, strict=True)]


def for_inference(net: ContourNet) -> ContourNet:
    """The same network a third faster, not to be taught any more: normalisation in the convolutions, channels last."""
    fuse_norms(net.eval().requires_grad_(False))
    return net.to(memory_format=torch.channels_last)


def fuse_norms(net: nn.Module) -> None:
    """Put each normalisation into the convolution before it; of a network in eval mode, in place."""
    for part in net.modules():
        if isinstance(part, nn.Sequential) and len(part) > 1:
            conv, norm = part[0], part[1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[0], part[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation, rectification."""

    def __init__(self, n_in: int, n_out: int, size: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, size, stride, dilation * (size // 2), dilation, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, 3, dilation=dilation)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.relu(x + self.second(self.first(x)))


class DifferenceConv(nn.Module):
    """A convolution half of whose kernels sum to zero over the pixels: they see differences, and no absolute value.

    Args:
        n_pixels: channels of blocks of 2 x 2 pixels, four for each channel of the image; to be differenced.
        n_other: channels that are not.
        n_out: kernels.
    """

    def __init__(self, n_pixels: int, n_other: int, n_out: int) -> None:
        super().__init__()
        n_in = n_pixels + n_other
        self.weight = nn.Parameter(torch.randn(n_out, n_in, 3, 3) * (2 / (9 * n_in)) ** 0.5)
        self.norm = nn.BatchNorm2d(n_out)
        self.n_pixels, self.n_differences = n_pixels, n_out // 2

    def forward(self, pixels: Tensor, other: Tensor) -> Tensor:
        """(B, n_pixels, h, w) and (B, n_other, h, w) to (B, n_out, h, w)."""
        of_pixels = self.weight[: self.n_differences, : self.n_pixels]
        blocks = of_pixels.unflatten(1, (-1, 4))
        differences = (blocks - blocks.mean((2, 3, 4), keepdim=True)).flatten(1, 2)
        first = torch.cat([differences, self.weight[: self.n_differences, self.n_pixels :]], 1)
        kernel = torch.cat([first, self.weight[self.n_differences :]])
        x = F.pad(torch.cat([pixels, other], 1), (1, 1, 1, 1), mode="replicate")
        out: Tensor = self.norm(F.conv2d(x, kernel))
        return out


def contour_inputs(features: Tensor, boundary: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
    """What :class:`ContourNet` sees of M1's features, boundary and energy: (B, 4, H, W) and (B, 18, H/2, W/2).

    Colour is centred on the image's mean; energy enters as its root, which has the scale of contrast.
    """
    colour = features[:, :N_COLOUR]
    colour = colour - colour.mean((2, 3), keepdim=True)
    return torch.cat([colour, boundary], 1), torch.sqrt(halve(energy) + 1e-6)


def _to_multiple(x: Tensor, multiple: int) -> Tensor:
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % multiple, 0, -h % multiple), mode="replicate")
