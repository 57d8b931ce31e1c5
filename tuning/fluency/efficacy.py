"""How much of an image its code gives back: every part painted in its mean colour, beside the mean colour alone."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from ciliary.cortex.parameters import Theta, repeat_theta
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.m1_perception import v1_of_bank
from ciliary.cortex.stages.retina import retina

_LEAST = 1e-6


def reconstruct(image: Tensor, shares: Tensor) -> Tensor:
    """Paint each part in its mean colour: image (B, C, H, W) and shares (B, S, H, W) on the simplex to (B, C, H, W).

    One part gives the mean colour back, a part for each pixel the image.
    """
    area = shares.sum((2, 3)).clamp_min(_LEAST)
    colour = torch.einsum("bshw,bchw->bsc", shares, image) / area[..., None]
    return torch.einsum("bshw,bsc->bchw", shares, colour)


def similarity(one: Tensor, other: Tensor) -> float:
    """SSIM (Wang et al. 2004) of two images (3, H, W) in [0, 1], Gaussian windows as there: at most 1."""
    a, b = (x.detach().cpu().numpy().astype(np.float64) for x in (one, other))
    score = structural_similarity(
        a, b, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(score)


@torch.no_grad()
def energy_error(image: Tensor, others: Tensor, theta: Theta) -> Tensor:
    """Distance of V1's energies of images (N, 3, H, W) from those of one (3, H, W), in the size of its own: (N,) >= 0.

    1 for a uniform image, which has none. Contrast adaptation is left out: it would bring a faint painting to the
    contrast of a strong one.

    Args:
        theta: (1,) each.
    """
    stack = torch.cat([image[None], others])
    plain = repeat_theta({**theta, "contrast_adaptation": torch.zeros_like(theta["contrast_adaptation"])}, len(stack))
    energy = v1_of_bank(retina(stack, plain), plain)[0].flatten(1)
    error: Tensor = (energy[1:] - energy[:1]).norm(dim=1) / energy[0].norm().clamp_min(_LEAST)
    return error


def efficacy(image: Tensor, percept: Percept, theta: Theta) -> dict[str, float]:
    """``ssim_m3``, ``ssim_m4`` and ``energy_error_m3``, ``energy_error_m4``; and ``ssim_blank``, of the mean colour.

    Args:
        image: (3, H, W) in [0, 1].
        percept: its first sample is of the image.
        theta: (1,) each.
    """
    one = percept[0]
    parts = {"m3": one.m3.slots, "m4": one.m4.masks}
    painted = {name: reconstruct(image[None], shares)[0] for name, shares in parts.items()}
    blank = image.mean((1, 2), keepdim=True).expand_as(image)
    errors = energy_error(image, torch.stack(list(painted.values())), theta)
    found = {f"ssim_{name}": similarity(image, x) for name, x in painted.items()}
    found |= {f"energy_error_{name}": float(error) for name, error in zip(painted, errors, strict=True)}
    return found | {"ssim_blank": similarity(image, blank)}
