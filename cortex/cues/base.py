"""What a provider is: a map that depends on the image alone, behind one small interface, and how one is refused."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class DepthProvider(Protocol):
    """A source of relative depth.

    Called with images (B, 3, H, W), sRGB in [0, 1]; returns (B, 1, H, W) in [0, 1], where 1 is far. The scale is each
    image's own: depths of two images are not comparable.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """The map of each image."""
        ...


class DeepProvider(Protocol):
    """A source of a classifier's last feature map.

    Called with images (B, 3, H, W), sRGB in [0, 1]; returns (B, ``n_channels``, h, w), the same axes for all images.
    """

    n_channels: int

    def __call__(self, image: Tensor) -> Tensor:
        """The map of each image."""
        ...


class ProviderUnavailable(RuntimeError):
    """A provider was asked for that cannot be built here; the message says what to do."""


class DepthUnavailable(ProviderUnavailable):
    """The depth provider cannot be built (network closed, code or weights missing)."""


class BackboneUnavailable(ProviderUnavailable):
    """The backbone cannot be built (weights or projection missing or not the expected ones)."""


class UnknownBackbone(BackboneUnavailable, ValueError):
    """No model of that name."""


def check_image(image: Tensor) -> None:
    """Raise ``ValueError`` unless ``image`` is a floating (B, 3, H, W)."""
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError(
            f"expected a floating image (B, 3, H, W) in [0, 1], got {tuple(image.shape)} of {image.dtype}; "
            "add the batch axis with image[None], divide bytes by 255"
        )


def unknown(kind: str, name: str, names: tuple[str, ...]) -> ValueError:
    """The error for a name that is not on the list."""
    return ValueError(f"unknown {kind} provider {name!r}; choose from {', '.join(names)}")
