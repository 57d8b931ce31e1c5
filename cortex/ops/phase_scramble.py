"""Images with the amplitude spectrum of another and random phases: as much of every frequency, and nothing to see."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def phase_scramble(image: Tensor, *, n: int = 1, seed: int = 0) -> Tensor:
    """Add random phases to the spectrum, the same ones in all channels, so that colours keep their correlations.

    The phases are those of the spectrum of white noise, which is what keeps the result real; the mean stays.

    Args:
        image: (C, H, W).
        n: how many scrambles.
        seed: of the noise, drawn on the CPU.

    Returns:
        (n, C, H, W). Not clipped: values of a photograph in [0, 1] leave that range a little.
    """
    h, w = image.shape[-2:]
    drawn = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 1, h, w, generator=drawn).to(image)
    # from the noise's own spectrum, whose symmetry is what a real image needs, and which adds nothing at frequency 0
    phase = torch.fft.rfft2(noise).angle()
    phase[..., 0, 0] = 0
    # contiguous: in torch 2.7 MKL's transform refuses channels that are one and the same memory
    turned = torch.fft.rfft2(image.contiguous())[None] * torch.polar(torch.ones_like(phase), phase)
    scrambled: Tensor = torch.fft.irfft2(turned, s=(h, w))
    return scrambled


def amplitude(image: Tensor) -> Tensor:
    """(..., H, W // 2 + 1): size of each frequency, per pixel."""
    size: Tensor = torch.fft.rfft2(image).abs() / math.sqrt(image.shape[-2] * image.shape[-1])
    return size
