"""Teach M1's code: places that people keep together lie close together in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.stages.m1_taught import CodeNet

_N_POINTS = 192  # drawn from an image, all pairs of them asked about


@dataclass(frozen=True)
class CodeScene:
    """An image at a quarter of its size: what the code sees, and the regions people drew, of each person."""

    inputs: Tensor  # (C, h, w)
    drawn: Tensor  # (people, h, w) int64


def apart_share(drawn: Tensor, place: Tensor) -> Tensor:
    """Share of the people (P, n_pixels) who keep two of the places (n,) apart: (n, n)."""
    own = drawn[:, place]
    return (own[:, :, None] != own[:, None]).float().mean(0)


def code_loss(code: Tensor, apart: Tensor) -> Tensor:
    """Cross-entropy of ``1 - exp(-||a - b||^2)`` with the share who keep them apart; together and apart weigh the same.

    Args:
        code: (n, d).
        apart: (n, n) in [0, 1].
    """
    distance = (code[:, None] - code[None]).square().sum(-1) + 1e-4
    # log(1 - exp(-d)) without its loss of digits; log of together is -d itself
    log_apart = torch.log(-torch.expm1(-distance))
    loss = -(apart * log_apart - (1 - apart) * distance)
    off = 1 - torch.eye(len(code), device=code.device)
    far, near = apart * off, (1 - apart) * off
    return 0.5 * ((loss * far).sum() / far.sum().clamp_min(1) + (loss * near).sum() / near.sum().clamp_min(1))


def learn_code(
    scenes: Sequence[CodeScene],
    *,
    trunk_channels: tuple[int, ...] = (),
    n_steps: int = 1200,
    n_batch: int = 4,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> CodeNet:
    """A code taught on scenes, computed on ``device``; it comes back on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CodeNet(trunk_channels).to(device).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=n_steps, cycle_momentum=False)
    for step in range(n_steps):
        rng = np.random.default_rng([seed, step])
        losses = []
        for i in rng.integers(len(scenes), size=n_batch):  # one by one: each is of its own size
            scene = scenes[int(i)]
            flip = [axis for axis in (-1, -2) if rng.random() < 0.5]
            code = net(scene.inputs[None].to(device).flip(flip))[0].flatten(1).T
            drawn = scene.drawn.to(device).flip(flip).flatten(1)
            place = torch.from_numpy(rng.integers(len(code), size=_N_POINTS)).to(device)
            losses.append(code_loss(code[place], apart_share(drawn, place)))
        loss = torch.stack(losses).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    return net.cpu().eval().requires_grad_(False)
