"""The trunk: maps of a pretrained network, reduced to fixed whitened components, for grouping and for learned parts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.network import Network
from ciliary.cortex.cues.projection import Projection


class Trunk(nn.Module):
    """A network and its projection. Frozen, in eval mode, without gradient: the maps depend on the image alone.

    Args:
        network: the stages.
        projection: of this network.
        name: of the model.

    Attributes:
        strides: of the maps, px.
        widths: components of each map.
        n_channels: of the full-size map.
    """

    def __init__(self, network: Network, projection: Projection, *, name: str = ""):
        super().__init__()
        if projection.channels != network.channels:
            raise ValueError(
                f"expected a projection of {network.channels} channels, got one of {projection.channels}; "
                "fit one for this network"
            )
        self.name, self.network, self.about = name, network, projection.about
        self.strides = network.strides
        self.widths = tuple(len(x) for x in projection.axes)
        self.n_channels = sum(len(x) for x in projection.scale)
        parts = zip(projection.mean, projection.axes, projection.scale, strict=True)
        for i, (mean, axes, scale) in enumerate(parts):
            self.register_buffer(f"axes_{i}", axes[..., None, None].clone(), persistent=False)
            self.register_buffer(f"offset_{i}", -(axes.double() @ mean.double()).float(), persistent=False)
            self.register_buffer(f"scale_{i}", scale.view(1, -1, 1, 1).clone(), persistent=False)
        self.train(False)

    def train(self, mode: bool = True) -> Trunk:
        """Stays in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def maps(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) sRGB in [0, 1] -> (B, n, ceil(H/s), ceil(W/s)) of each stage, fine to coarse.

        Components of unit variance over training photographs, in falling order of the variance they had, with the
        same axes for all images. Cell i of a map is about pixels s*i to s*i + s.
        """
        return tuple(
            F.conv2d(x, getattr(self, f"axes_{i}"), getattr(self, f"offset_{i}"))
            for i, x in enumerate(self.network(image))
        )

    @torch.no_grad()
    def full(self, maps: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
        """Maps of :meth:`maps` -> (B, C, H, W): leading components at every pixel, for distances between pixels.

        Over training photographs the variance over an image is 1 on average, each stage an equal share; the scale is
        fixed, so that a flat image has little.
        """
        parts = []
        for i, (x, stride) in enumerate(zip(maps, self.strides, strict=True)):
            scale: Tensor = getattr(self, f"scale_{i}")
            leading = x[:, : scale.shape[1]] * scale
            leading = F.interpolate(leading, scale_factor=stride, mode="bilinear", align_corners=False)
            parts.append(leading[:, :, : size[0], : size[1]])
        return torch.cat(parts, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1] -> (B, C, H, W), see :meth:`full`."""
        return self.full(self.maps(image), (image.shape[-2], image.shape[-1]))
