"""Temporal filters of the magno pathway: Adelson and Bergen's biphasic pair, exact for frames that are held.

f_n(t) = (k t)^n e^(-k t) [1 / n! - (k t)^2 / (n + 2)!], n = 3 fast and n = 5 slow (Adelson and Bergen 1985; after
Watson and Ahumada 1985). It is the derivative of s_n(t) = (1 / k) e^(-k t) [(k t)^(n + 1) / (n + 1)! + (k t)^(n + 2)
/ (n + 2)!], so the response to frames that are held until the next one is the sum of s_n at the age of each *change*:
no sampling error, and nothing where nothing changes. s_n itself is a monophasic filter, exactly a quarter of a cycle
behind f_n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.device import kept, widest

#: Orders of the fast and of the slow filter.
FAST, SLOW = 3, 5
PARTNERS = ("monophasic", "biphasic")
_TAIL = 18.0  # k t beyond which less than 1e-3 of the slow filter's step response is left
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TemporalSettings:
    """When frames come, and how quick the eye is.

    Attributes:
        frame_ms: between two frames, > 0.
        rate_per_s: k of the filters, > 0. At 110 the fast one responds most to 8 Hz, where people's sensitivity to
            flicker in bright light is greatest (Watson 1986). Adelson and Bergen leave it free.
        partner: of the fast filter f_3 in direction-selective cells: ``monophasic``, its own integral s_3, or
            ``biphasic``, Adelson and Bergen's f_5. V1 has inputs of both kinds (De Valois et al. 2000); f_5 tells
            nothing of what stands still, and mixes the speeds of a motion that is not steady.
    """

    frame_ms: float = 1000 / 30
    rate_per_s: float = 110.0
    partner: str = "monophasic"

    def __post_init__(self) -> None:
        if not self.frame_ms > 0 or not self.rate_per_s > 0:
            raise ValueError(f"expected frame_ms > 0 and rate_per_s > 0, got {self.frame_ms} and {self.rate_per_s}")
        if self.partner not in PARTNERS:
            raise ValueError(f"expected partner of {', '.join(PARTNERS)}, got {self.partner!r}")

    @property
    def n_taps(self) -> int:
        """Frames that the filters remember, the newest among them."""
        return max(2, math.ceil(_TAIL / (self.rate_per_s * self.frame_ms * 1e-3)))

    @property
    def latency_ms(self) -> float:
        """Age of what the monophasic filter answers to most, its mean delay, with half a frame that is held."""
        return (FAST + 2.5) / self.rate_per_s * 1e3 + 0.5 * self.frame_ms


def biphasic(t_ms: Tensor, order: int, *, rate_per_s: float) -> Tensor:
    """The filter f_n(t) itself, of the largest gain 1; 0 for t < 0, any shape.

    Args:
        t_ms: time since an impulse.
        order: n; 3 is fast, 5 is slow.
        rate_per_s: k.
    """
    kt = (t_ms * 1e-3 * rate_per_s).clamp_min(0)
    shape = kt**order * torch.exp(-kt) * (1 / math.factorial(order) - kt**2 / math.factorial(order + 2))
    return shape * (rate_per_s * 1e-3 / _peak(order))


def step_response(t_ms: Tensor, order: int, *, rate_per_s: float) -> Tensor:
    """Integral of :func:`biphasic` up to t: the response to light that goes on at 0. It rises and is gone again."""
    kt = (t_ms * 1e-3 * rate_per_s).clamp_min(0)
    n = order + 1
    shape = torch.exp(-kt) * (kt**n / math.factorial(n) + kt ** (n + 1) / math.factorial(n + 1))
    return shape / _peak(order)


def gain(frequency_hz: Tensor, order: int, *, rate_per_s: float) -> Tensor:
    """Amplitude of the response to a sinusoid, in parts of the largest; the transform of :func:`biphasic`.

    With w = 2 pi f / k: w sqrt(4 + w^2) / (1 + w^2)^((n + 3) / 2). The fast response is the slow one times (1 + i w)^2:
    in quadrature at w = 1.
    """
    return _shape(2 * math.pi * frequency_hz / rate_per_s, order) / _peak(order)


@kept(32)
def change_kernel(order: int, settings: TemporalSettings, device: torch.device = _CPU) -> Tensor:
    """Weights (N,) of the last N changes from frame to frame, oldest first, in f_n's response at the newest's end."""
    return step_response(_ages_ms(settings, device), order, rate_per_s=settings.rate_per_s).float()


@kept(32)
def pending_kernel(order: int, settings: TemporalSettings, device: torch.device = _CPU) -> Tensor:
    """(N,) in [0, 1]: share of each of the last N changes, oldest first, that s_n does not answer to yet."""
    kt = _ages_ms(settings, device) * 1e-3 * settings.rate_per_s
    parts = [torch.special.gammaincc(torch.full_like(kt, order + n), kt) for n in (2.0, 3.0)]
    share: Tensor = 0.5 * (parts[0] + parts[1])
    return share.float()


def _ages_ms(settings: TemporalSettings, device: torch.device) -> Tensor:
    """Of the last N changes when the newest frame ends."""
    return torch.arange(settings.n_taps, 0, -1, dtype=widest(device), device=device) * settings.frame_ms


def _shape(w: Tensor, order: int) -> Tensor:
    return w * torch.sqrt(4 + w**2) / (1 + w**2) ** ((order + 3) / 2)


@lru_cache(maxsize=8)
def _peak(order: int) -> float:
    w = np.linspace(0, 2, 20001)
    return float((w * np.sqrt(4 + w**2) / (1 + w**2) ** ((order + 3) / 2)).max())
