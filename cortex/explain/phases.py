"""A cortex that has no weights has filters: the control in which their phases are drawn by lot."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import RetinaOut


class RandomPhases(nn.Module):
    """A V1 whose filters answer to the same frequencies and orientations as strongly, wherever these lie.

    Each filter's phase at each frequency is drawn by lot, the same for all: what comes in is filtered by that lot.

    Args:
        v1: the V1 it is made of, :data:`~ciliary.cortex.stages.m1_perception.V1` as a module.
        seed: of the lot.
    """

    def __init__(self, v1: nn.Module, *, seed: int = 0) -> None:
        super().__init__()
        self.v1, self.seed = v1, seed

    def forward(self, retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
        """As V1."""
        contrast = retina.on_off[:, :1] - retina.on_off[:, 1:]
        moved = self._scattered(torch.cat([contrast, retina.opponent], 1))
        on_off = torch.cat([moved[:, :1].clamp_min(0), (-moved[:, :1]).clamp_min(0)], 1)
        energy, colours = self.v1(replace(retina, on_off=on_off, opponent=moved[:, 1:]), theta)
        return energy, colours

    def _scattered(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        noise = torch.randn(size, generator=torch.Generator().manual_seed(self.seed))
        phase = torch.polar(torch.ones(()), torch.fft.rfft2(noise).angle())
        phase[0, 0] = 1  # the mean stays
        moved: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * phase.to(x.device), s=size)
        return moved
