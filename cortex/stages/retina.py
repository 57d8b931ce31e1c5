"""Retina: sRGB photograph to light-adapted opponent channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import RetinaOut

# Linear sRGB (D65) to cone responses: Hunt-Pointer-Estevez XYZ->LMS times IEC 61966-2-1 sRGB->XYZ, rows scaled to sum 1
# so that white excites all three alike.
XYZ_FROM_RGB = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_LMS_FROM_XYZ = torch.tensor([[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0.0, 0.0, 1.0]])
_LMS_FROM_RGB = _LMS_FROM_XYZ @ XYZ_FROM_RGB
LMS_FROM_RGB = _LMS_FROM_RGB / _LMS_FROM_RGB.sum(1, keepdim=True)
# Luminance, red-green, blue-yellow. The gains bring the three to like spread on natural photographs (as Lab does):
# L and M overlap so much that their difference is an order of magnitude smaller than their sum.
OPPONENT_FROM_LMS = torch.tensor([[0.5, 0.5, 0.0], [5.0, -5.0, 0.0], [-0.6, -0.6, 1.2]])

# Median over BSDS500 training photographs of the opponent channels' rms contrast, and the contrast
# under which there is only noise to amplify.
_COMMON_CONTRAST = 0.132
_LEAST_CONTRAST = 0.005


def srgb_to_linear(image: Tensor) -> Tensor:
    """IEC 61966-2-1: sRGB in [0, 1] to linear light in [0, 1], any shape."""
    image = image.clamp(0, 1)
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055).clamp_min(1e-6) ** 2.4)


def linear_to_srgb(light: Tensor) -> Tensor:
    """Linear light in [0, 1] to sRGB in [0, 1], any shape (IEC 61966-2-1); the inverse of ``srgb_to_linear``."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def naka_rushton(r: Tensor, sigma: Tensor, exponent: Tensor) -> Tensor:
    """Light adaptation r^n / (r^n + sigma^n) (Naka & Rushton 1966), in [0, 1); r >= 0, sigma > 0, broadcast."""
    # As a logistic of n*ln(r/sigma): no power of a small number, and the gradient at r = 0 is finite.
    return torch.sigmoid(exponent * (torch.log(r.clamp_min(1e-5)) - torch.log(sigma)))


def adapt_contrast(opponent: Tensor, strength: Tensor) -> Tensor:
    """Contrast gain control by the whole scene: deviations from the mean times (c0 / rms contrast)^strength.

    Divisive normalisation (Carandini & Heeger 2012) with one pool, all channels and places: fog is lifted, colours
    keep their hue. c0 is the median rms contrast of photographs, so that the common ones change little.

    Args:
        opponent: (B, 3, H, W).
        strength: (B,) in [0, 1]; 0 leaves the channels as they are, 1 gives every image the contrast c0.
    """
    mean = opponent.mean((2, 3), keepdim=True)
    deviation = opponent - mean
    power = deviation.square().mean((2, 3), keepdim=True).sum(1, keepdim=True)
    log_gain = math.log(_COMMON_CONTRAST) - 0.5 * torch.log(power + _LEAST_CONTRAST**2)
    return mean + deviation * torch.exp(strength.view(-1, 1, 1, 1) * log_gain)


def retina(image: Tensor, theta: Theta) -> RetinaOut:
    """From sRGB (B, 3, H, W) in [0, 1] to :class:`RetinaOut`.

    Uses ``blur_sigma_px``, ``adaptation_sigma`` (a multiple of the mean light: adaptation to the scene),
    ``adaptation_exponent``, ``contrast_adaptation`` and ``surround_ratio``.
    """
    column = {name: theta[name].view(-1, 1, 1, 1) for name in ("adaptation_sigma", "adaptation_exponent")}
    light = gaussian_blur(srgb_to_linear(image), theta["blur_sigma_px"])
    cones = torch.einsum("ij,bjhw->bihw", LMS_FROM_RGB.to(light), light).clamp_min(0)
    # One pool for the three cones: each cone adapting alone would turn a uniform colour into grey.
    mean_light = cones.mean((1, 2, 3), keepdim=True).clamp_min(1e-4)
    adapted = naka_rushton(cones, column["adaptation_sigma"] * mean_light, column["adaptation_exponent"])
    opponent = torch.einsum("ij,bjhw->bihw", OPPONENT_FROM_LMS.to(adapted), adapted)
    opponent = adapt_contrast(opponent, theta["contrast_adaptation"])
    return RetinaOut(cones=adapted, opponent=opponent, on_off=on_and_off(opponent[:, :1], theta))


def on_and_off(luminance: Tensor, theta: Theta) -> Tensor:
    """Centre less surround of luminance (B, 1, H, W), rectified both ways: (B, 2, H, W) >= 0."""
    # Blurs add in variance: the surround has surround_ratio times the centre's size.
    extra_px = theta["blur_sigma_px"] * torch.sqrt(theta["surround_ratio"] ** 2 - 1)
    difference = luminance - gaussian_blur(luminance, extra_px)
    return torch.cat([difference.relu(), (-difference).relu()], 1)


class Retina(nn.Module):
    """:func:`retina` as a module."""

    def forward(self, image: Tensor, theta: Theta) -> RetinaOut:
        """See :func:`retina`."""
        return retina(image, theta)


class GreyRetina(nn.Module):
    """A retina of one kind of cone: the picture's luminance (BT.709, in linear light) in all three.

    What rod monochromats have. ``--stage retina=ciliary.cortex.stages.retina:GreyRetina`` takes it.
    """

    def forward(self, image: Tensor, theta: Theta) -> RetinaOut:
        """As :func:`retina`."""
        luminance = torch.einsum("j,bjhw->bhw", XYZ_FROM_RGB[1].to(image), srgb_to_linear(image))[:, None]
        return retina(linear_to_srgb(luminance).expand(-1, 3, -1, -1), theta)
