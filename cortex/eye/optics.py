"""From a scene and the state of the lens and pupil to the image on the retina.

Layers are blurred each by its own disc of confusion and laid over one another from far to near (premultiplied "over").
So that no dark seam appears beside a near edge, a layer is normalised by how much of its disc falls on what is at its
own distance or farther, hidden parts included (Ikoma et al. 2021, eq. 6-7, with their hidden parts left out); where
even that is nothing, the sum of all layers is divided by their joint alpha. On a surface that recedes without a jump
the result is the plain sum of what each disc gathers: the normalisers cancel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ciliary.cortex.eye.chromatic import channel_focus_dpt
from ciliary.cortex.eye.disc import convolve_disc, disc_diameter_rad, px_per_rad
from ciliary.cortex.eye.layers import Layers
from ciliary.cortex.eye.parameters import FOCUS_DPT, PUPIL_MM

# Values of light whose layers are blurred together: small images are quicker by that, large ones are not.
_MOST_TOGETHER = 2**19
# Share of a disc on visible ground below which the ground is counted as hidden; well over the transform's rounding.
_LEAST_VISIBLE = 1e-3


@dataclass(frozen=True)
class OpticsSettings:
    """How an eye images.

    Attributes:
        is_chromatic: red, green and blue are focused apart (:mod:`ciliary.cortex.eye.chromatic`).
        max_diameter_px: larger discs are cut to it, and time and memory grow with it; None for the largest that the
            ranges of pupil and lens allow at the scene's px per degree.
    """

    is_chromatic: bool = True
    max_diameter_px: float | None = None

    def __post_init__(self) -> None:
        if self.max_diameter_px is not None and self.max_diameter_px < 1:
            raise ValueError(f"expected max_diameter_px >= 1 or None, got {self.max_diameter_px}")


def retinal_image(
    layers: Layers,
    *,
    focus_dpt: Tensor,
    pupil_mm: Tensor,
    px_per_deg: float,
    settings: OpticsSettings = OpticsSettings(),
    wraps: bool = False,
) -> Tensor:
    """The image of a scene on the retina, at the scene's own resolution.

    Args:
        layers: the scene (:func:`ciliary.cortex.eye.layers.split_layers`).
        focus_dpt: (B,) nearness in focus, of green light where the eye is chromatic.
        pupil_mm: (B,) diameter, >= 0; at 0 the image is the scene's light.
        px_per_deg: of the scene, one for the batch.
        settings: of the eye.
        wraps: quicker, for a window whose border, :func:`largest_radius_px` wide, is cut off afterwards.

    Returns:
        (B, 3, H, W) linear light in the scene's unit; how much of it passes the pupil is not counted here
        (:mod:`ciliary.cortex.eye.pupil`). Differentiable in focus, pupil and light.

    Raises:
        ValueError: shapes other than (B,), or px_per_deg <= 0.
    """
    batch = len(layers.light)
    for name, value in (("focus_dpt", focus_dpt), ("pupil_mm", pupil_mm)):
        if tuple(value.shape) != (batch,):
            raise ValueError(f"expected {name} of shape ({batch},), one value per scene, got {tuple(value.shape)}")
    if not px_per_deg > 0:
        raise ValueError(f"expected px_per_deg > 0, got {px_per_deg}; a scene knows its own")
    radius_px = largest_radius_px(px_per_deg, settings.max_diameter_px)
    focus = channel_focus_dpt(focus_dpt) if settings.is_chromatic else focus_dpt[:, None]
    diameter_rad = disc_diameter_rad(pupil_mm[:, None, None], focus[:, None], layers.level_dpt[..., None])
    diameter_px = diameter_rad * px_per_rad(px_per_deg)  # (B, L, C), C is 3 or 1
    if len(layers) == 1:  # one layer hides nothing: its alpha is 1 everywhere
        return _blurred_light(layers.light, diameter_px[:, 0], radius_px, wraps).clamp_min(0)
    image = torch.zeros_like(layers.light)
    covered = torch.zeros_like(layers.light)
    n_together = max(1, _MOST_TOGETHER // layers.light.numel())
    for start in range(0, len(layers), n_together):
        part = range(start, min(start + n_together, len(layers)))
        together = torch.stack([layers.of(i) for i in part])  # (n, B, 5, H, W)
        blurred = _blurred(together, diameter_px[:, part.start : part.stop].transpose(0, 1), radius_px, wraps)
        for light, alpha, visible in zip(*blurred, strict=True):
            share = visible.clamp_min(_LEAST_VISIBLE)
            rest = 1 - (alpha / share).clamp(0, 1)
            image = image * rest + light / share
            covered = covered * rest + (1 - rest)
    return (image / covered.clamp_min(_LEAST_VISIBLE)).clamp_min(0)


def largest_radius_px(px_per_deg: float, max_diameter_px: float | None = None) -> int:
    """Radius of the kernels: of the widest pupil at the greatest defocus, or half of ``max_diameter_px``."""
    if max_diameter_px is None:
        max_diameter_px = PUPIL_MM[1] * 1e-3 * (FOCUS_DPT[1] - FOCUS_DPT[0]) * float(px_per_rad(px_per_deg))
    return math.ceil(max_diameter_px / 2) + 1


def _blurred(layer: Tensor, diameter_px: Tensor, radius_px: int, wraps: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Layers' light (..., 3, H, W), alpha and normaliser (both (..., C, H, W)), each through its channel's disc."""
    if diameter_px.shape[-1] == 1:
        light, alpha, visible = convolve_disc(layer, diameter_px[..., 0], radius_px=radius_px, wraps=wraps).split(
            [3, 1, 1], -3
        )
        return light, alpha, visible
    masks = convolve_disc(layer[..., None, 3:, :, :], diameter_px, radius_px=radius_px, wraps=wraps)
    return _blurred_light(layer[..., :3, :, :], diameter_px, radius_px, wraps), masks[..., 0, :, :], masks[..., 1, :, :]


def _blurred_light(light: Tensor, diameter_px: Tensor, radius_px: int, wraps: bool) -> Tensor:
    """Light (..., 3, H, W) through one disc (..., 1) or one a channel (..., 3)."""
    if diameter_px.shape[-1] == 1:
        return convolve_disc(light, diameter_px[..., 0], radius_px=radius_px, wraps=wraps)
    return convolve_disc(light[..., None, :, :], diameter_px, radius_px=radius_px, wraps=wraps)[..., 0, :, :]


class Optics(nn.Module):
    """:func:`retinal_image` with its settings; the eye's state is a theta of the table ``EYE``."""

    def __init__(self, settings: OpticsSettings = OpticsSettings()) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, layers: Layers, eye: Mapping[str, Tensor], px_per_deg: float) -> Tensor:
        """(B, 3, H, W), see :func:`retinal_image`."""
        return retinal_image(
            layers,
            focus_dpt=eye["focus_dpt"],
            pupil_mm=eye["pupil_mm"],
            px_per_deg=px_per_deg,
            settings=self.settings,
        )
