"""What the world can do to a photograph: eight seeded disturbances of severity 0 (identity) to 5.

Sizes: B batch, H x W pixels. Images are sRGB in [0, 1]. Light adds up in linear light, so everything that happens
before the sensor (blur, low light, fog, illuminant) is computed there. Blur sizes are fractions of the long side,
given in pixels of a 192 px image, so that a severity means the same at any size. Random numbers are made on the CPU
from ``seed`` alone; a sample's draws do not depend on how many samples follow it in the batch.

Strengths are ours, spaced so that severity 5 is about as strong as severity 5 of Hendrycks & Dietterich 2019
(ImageNet-C), whose kinds and 1-5 scale these follow; the physics of each is cited at its function.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ciliary.cortex.stages.retina import linear_to_srgb, srgb_to_linear
from ciliary.envs.options import MAX_SEVERITY, kind_and_severity

REFERENCE_LONG_SIDE_PX = 192.0

Kind = Callable[[Tensor, float, np.random.Generator], Tensor]


def gaussian_noise(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """White noise of standard deviation 0.04 per severity (0.2 at 5) on sRGB values, clipped."""
    return (image + 0.04 * severity * _normal(image, rng)).clamp(0, 1)


def defocus_blur(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Blur by a disc (geometric optics of a defocused lens) of radius 0.8 px per severity on a 192 px image."""
    del rng  # defocus is the same in every direction
    radius_px = 0.8 * severity * _px_scale(image)
    grid = torch.linspace(-1, 1, 65)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    inside = x**2 + y**2 <= 1
    points_px = radius_px * torch.stack((y[inside], x[inside]), -1)
    return _blur(image, points_px.expand(len(image), -1, -1))


def motion_blur(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Blur along a line, in a seeded direction per sample, of length 2.5 px per severity on a 192 px image."""
    length_px = 2.5 * severity * _px_scale(image)
    direction_rad = torch.from_numpy(rng.uniform(0, math.pi, len(image)).astype(np.float32))
    along_px = length_px * torch.linspace(-0.5, 0.5, 257)
    points_px = torch.stack((direction_rad.sin()[:, None] * along_px, direction_rad.cos()[:, None] * along_px), -1)
    return _blur(image, points_px)


def low_light(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """A short exposure: 10^(-0.3 severity) of the light, photon noise, 2 e- of read noise, 8-bit output.

    Sensor model of EMVA 1288 without dark current: white of the full exposure is 4000 electrons, electrons are
    Poisson, the amplifier adds Gaussian noise. Nothing brightens the result again.
    """
    electrons_at_white = 4000.0
    gain = 10 ** (-0.3 * severity)
    expected = (srgb_to_linear(image) * gain * electrons_at_white).double().cpu().numpy()
    photons_rng, read_rng = rng.spawn(2)  # apart, so that a sample's read noise does not depend on the batch's photons
    electrons = torch.from_numpy(photons_rng.poisson(expected).astype(np.float32)).to(image)
    electrons = electrons + 2.0 * _normal(image, read_rng)
    return _quantised(linear_to_srgb(electrons / electrons_at_white))


def low_contrast(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Differences from the image's mean grey shrink to 0.08^(severity/5), then 8-bit output.

    Without the 8 bits this would be undone exactly by any stretch of contrast.
    """
    del rng
    mean = image.mean((1, 2, 3), keepdim=True)
    return _quantised(mean + 0.08 ** (severity / MAX_SEVERITY) * (image - mean))


def fog(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """A veil of airlight, thick at the top (far) and thin at the bottom (near), in seeded swathes, with slight noise.

    Koschmieder 1924: light = scene * t + airlight * (1 - t), t = exp(-thickness); thickness is 0.4 per severity at
    the top and a quarter of that at the bottom, times 1 +- 0.3 of smooth variation. Not undone by a global stretch.
    """
    height, width = image.shape[-2:]
    swathes_rng, grain_rng = rng.spawn(2)
    coarse = torch.from_numpy(swathes_rng.uniform(-1, 1, (len(image), 1, 4, 6)).astype(np.float32)).to(image)
    swathes = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).clamp(-1, 1)
    depth = torch.linspace(1.0, 0.25, height).to(image)[:, None]
    transmission = torch.exp(-0.4 * severity * depth * (1 + 0.3 * swathes))
    airlight = 0.75
    light = srgb_to_linear(image) * transmission + airlight * (1 - transmission)
    return (linear_to_srgb(light) + 0.004 * severity * _normal(image, grain_rng)).clamp(0, 1)


def colour_cast(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Another illuminant: channel gains in linear light (von Kries 1902), of seeded hue, at equal luminance of white.

    The hue lies within 30 degrees of the warm-cold axis (daylight to tungsten), seldom towards green or magenta; at
    severity 5 red over blue changes by a factor of about 4.
    """
    is_cold = rng.integers(0, 2, len(image))
    angle_rad = is_cold * math.pi + rng.uniform(-math.pi / 6, math.pi / 6, len(image))
    warm = np.array([1.0, 0.0, -1.0]) / math.sqrt(2)
    magenta = np.array([1.0, -2.0, 1.0]) / math.sqrt(6)
    log_gain = 0.2 * severity * (np.cos(angle_rad)[:, None] * warm + np.sin(angle_rad)[:, None] * magenta)
    gain = np.exp(log_gain)
    gain /= gain @ np.array([[0.2126], [0.7152], [0.0722]])  # luminance of white, Rec. 709
    return linear_to_srgb(srgb_to_linear(image) * torch.from_numpy(gain.astype(np.float32)).to(image)[:, :, None, None])


def jpeg(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Pillow's encoder at quality 95 * (5/95)^(severity/5), chroma at half resolution: 53, 29, 16, 9, 5."""
    del rng
    quality = round(95 * (5 / 95) ** (severity / MAX_SEVERITY))
    as_bytes = (image.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    decoded = np.stack([_through_jpeg(pixels, quality) for pixels in as_bytes])
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous().to(image) / 255


#: Every kind by name. A new one is a function above and a name at the end of this list, and of the options' ``KINDS``.
DISTURBANCES: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (gaussian_noise, defocus_blur, motion_blur, low_light, low_contrast, fog, colour_cast, jpeg)
}

#: The kinds that ``mixed:3``, ``all:3`` and training cases take, in their order. Frozen: published case lists, and with
#: them every number in ``docs/``, depend on it. A kind added later is asked for by its name and does not stand here.
MIXED_V0 = (
    "gaussian_noise", "defocus_blur", "motion_blur", "low_light", "low_contrast", "fog", "colour_cast", "jpeg"
)  # fmt: skip


@dataclass(frozen=True)
class Disturbance:
    """A kind and how severe it is; ``str()`` gives the form that :func:`parse_disturbance` reads."""

    name: str = "none"
    severity: float = 0.0

    def __post_init__(self) -> None:
        if self.name != "none" and self.name not in DISTURBANCES:
            raise ValueError(f"unknown disturbance {self.name!r}; choose from none, {', '.join(DISTURBANCES)}")
        if not 0 <= self.severity <= MAX_SEVERITY:
            raise ValueError(f"severity of {self.name} must lie in 0..{MAX_SEVERITY:g}, got {self.severity}")

    def __str__(self) -> str:
        return self.name if self.name == "none" else f"{self.name}:{self.severity:g}"

    def apply(self, image: Tensor, *, seed: int = 0) -> Tensor:
        """:func:`disturb` with this kind and severity."""
        return disturb(image, self.name, self.severity, seed)


def parse_disturbance(text: str) -> Disturbance:
    """Read ``"gaussian_noise:3"`` (kind:severity) or ``"none"``.

    Raises:
        ValueError: naming the legal kinds, or the legal range, when the text is anything else.
    """
    return Disturbance(*kind_and_severity(text))


def disturb(image: Tensor, name: str, severity: float, seed: int = 0) -> Tensor:
    """Disturb a batch of images.

    Args:
        image: (B, 3, H, W), sRGB in [0, 1].
        name: a key of :data:`DISTURBANCES`, or ``"none"``.
        severity: 0 (exactly the input) to 5; fractions are legal.
        seed: same seed, same result.

    Returns:
        (B, 3, H, W) in [0, 1], a new tensor.

    Raises:
        ValueError: for a wrong shape, name or severity.
    """
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError(f"expected a float image of shape (B, 3, H, W), got {image.dtype} {tuple(image.shape)}")
    kind = Disturbance(name, float(severity))
    if kind.name == "none" or kind.severity == 0:
        return image.clone()
    return DISTURBANCES[name](image, kind.severity, np.random.default_rng(seed))


def _px_scale(image: Tensor) -> float:
    return max(image.shape[-2:]) / REFERENCE_LONG_SIDE_PX


def _normal(image: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)).to(image)


def _quantised(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round() / 255


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(buffer).convert("RGB"))


def _blur(image: Tensor, points_px: Tensor) -> Tensor:
    """Mean, in linear light, of the image read bilinearly at (B, N, 2) offsets (y, x): one kernel per sample."""
    n_samples, n_channels, height, width = image.shape
    radius = max(1, math.ceil(float(points_px.abs().max())))
    taps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    tent_y = (1 - (points_px[..., 0, None] - taps).abs()).clamp_min(0)  # (B, N, k)
    tent_x = (1 - (points_px[..., 1, None] - taps).abs()).clamp_min(0)
    kernel = torch.einsum("bnj,bnk->bjk", tent_y, tent_x) / points_px.shape[1]
    kernel = kernel.repeat_interleave(n_channels, 0)[:, None].to(image)
    # replicated borders: reflection would need the radius to be smaller than the image
    light = F.pad(srgb_to_linear(image), (radius,) * 4, mode="replicate")
    light = light.reshape(1, n_samples * n_channels, height + 2 * radius, width + 2 * radius)
    return linear_to_srgb(F.conv2d(light, kernel, groups=n_samples * n_channels).reshape(image.shape))
