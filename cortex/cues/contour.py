"""A user's own contour network, in the place of the inherited one."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from ciliary.cortex.device import has_numbers
from ciliary.cortex.loading import load_object


class ContourProvider(Protocol):
    """Called with images (B, 3, H, W), sRGB in [0, 1]; returns boundary strength (B, 1, H, W) in [0, 1]."""

    def __call__(self, image: Tensor) -> Tensor:
        """The map of each image."""
        ...


def make_contours(given: ContourProvider | str) -> ContourProvider:
    """A provider that is given, or that ``module:object`` names: one, or a class that makes one.

    Raises:
        ValueError, TypeError: no such object, or it cannot be called.
    """
    found = load_object(given, what="contours") if isinstance(given, str) else given
    made = found() if isinstance(found, type) else found
    if not callable(made):
        raise TypeError(f"expected contours to be called with an image, got {type(made).__name__} from {given!r}")
    if isinstance(made, nn.Module):
        made.eval().requires_grad_(False)
    return made  # type: ignore[no-any-return]


def check_contour(strength: Tensor, image: Tensor) -> Tensor:
    """The answer of a user's network, if it is one.

    Raises:
        ValueError: another shape or range.
    """
    expected = (len(image), 1, *image.shape[-2:])
    if not isinstance(strength, Tensor) or tuple(strength.shape) != expected or not strength.is_floating_point():
        is_tensor = isinstance(strength, Tensor)
        got = f"{tuple(strength.shape)} of {strength.dtype}" if is_tensor else type(strength).__name__
        raise ValueError(f"contours: expected boundary strength {expected} of float, got {got}")
    if has_numbers(strength):
        low, high = float(strength.min()), float(strength.max())
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise ValueError(
                f"contours: expected values in [0, 1], got {low:.3g} to {high:.3g}; apply a sigmoid to logits"
            )
    return strength.detach().to(image.device).clamp(0, 1)
