"""Teach the contour network from a pool of samples: losses, batches, and the loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.device import to_device
from ciliary.cortex.ops.loggabor import mirrored_orientations
from ciliary.cortex.stages.contour_net import STRIDES, ContourNet
from ciliary.tuning.training.contours.pool import UNDECIDED, Bucket, Pool

_SIDE_WEIGHT = 0.1
_DICE_WEIGHT = 0.5
_SAVE_EVERY = 250


@dataclass(frozen=True)
class Learning:
    """How the network learns.

    Attributes:
        n_steps: batches.
        rate: highest rate of AdamW; a tenth of the steps warms up, a cosine cools down.
        decay: of weights.
        averaging: of the moving average of weights, which is what is kept.
        shares: of the pool's buckets among batches, in their order.
        seed: of weights and batches.
        in_bfloat16: convolutions in bfloat16; four times as fast where the processor has it.
    """

    n_steps: int = 6000
    rate: float = 2e-3
    decay: float = 1e-3
    averaging: float = 0.998
    shares: tuple[float, ...] = (0.5, 0.25, 0.25)
    seed: int = 0
    in_bfloat16: bool = True


def balanced_cross_entropy(logits: Tensor, target: Tensor, *, power: float = 1.0) -> Tensor:
    """Cross-entropy of logits (B, 1, h, w), undecided pixels left out, both classes weighed (Xie & Tu 2015).

    Args:
        logits: of a contour.
        target: (B, 1, h, w) uint8 as :func:`~ciliary.tuning.training.contours.pool.targets`.
        power: 1 gives both classes the same weight in all, 0 each pixel; between, the answer stays nearer to a
            probability.
    """
    is_contour, is_known = _read(target)
    n_contour = is_contour.sum().clamp_min(1.0)
    n_other = (is_known.sum() - n_contour).clamp_min(1.0)
    weight = torch.where(is_contour > 0, (n_other / n_contour) ** power, torch.ones_like(n_other)) * is_known
    loss = F.binary_cross_entropy_with_logits(logits, is_contour, reduction="none")
    return (weight * loss).sum() / weight.sum().clamp_min(1.0)  # 0 where all is undecided


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |p y| / (|p|^2 + |y|^2), mean over images (Deng et al. 2018): thick lines cost here."""
    is_contour, is_known = _read(target)
    p = torch.sigmoid(logits) * is_known
    both, of_p, of_y = ((x).flatten(1).sum(1) for x in (p * is_contour, p * p, is_contour))
    return (1 - (2 * both + 1) / (of_p + of_y + 1)).mean()


def contour_loss(logits: Tensor, sides: Sequence[Tensor], target: Tensor) -> Tensor:
    """The whole: the answer (balanced by the root, and thin), and each side output at its own size."""
    loss = balanced_cross_entropy(logits, target, power=0.5) + _DICE_WEIGHT * dice_loss(logits, target)
    for side, stride in zip(sides, STRIDES, strict=True):
        loss = loss + _SIDE_WEIGHT * balanced_cross_entropy(side, _shrink(target, stride))
    return loss


def _read(target: Tensor) -> tuple[Tensor, Tensor]:
    is_known = target != UNDECIDED
    return ((target > 0) & is_known).float(), is_known.float()


def _shrink(target: Tensor, stride: int) -> Tensor:
    """A block has a contour if one of its pixels has, is undecided if one of the others is."""
    # As numbers that rise with their claim: nothing, undecided, contour.
    claim = torch.where(target == UNDECIDED, 1.0, torch.where(target > 0, 2.0, 0.0))
    claim = F.max_pool2d(claim, stride, ceil_mode=True)
    return torch.where(claim == 1, UNDECIDED, torch.where(claim == 2, 200, 0)).to(torch.uint8)


def mirrored(full: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """The network's inputs as the mirrored image gives them: orientations turn too."""
    return full.flip(-1), mirrored_orientations(half).flip(-1)


def batch_of(pool: Pool, bucket: Bucket, rows: np.ndarray, *, with_trunk: bool) -> tuple[Tensor, ...]:
    """Target, inputs and trunk maps of some samples."""
    arrays = pool.arrays[bucket.name]
    rows = np.sort(rows)
    names = ("full", "half", *((k for k in arrays if k.startswith("trunk")) if with_trunk else ()))
    target = torch.from_numpy(np.asarray(arrays["target"][rows]))[:, None]
    return target, *(torch.from_numpy(np.asarray(arrays[k][rows])).float() for k in names)


@dataclass
class State:
    """Where a network's learning stands."""

    net: ContourNet
    kept: ContourNet  # its moving average
    optimiser: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def newborn(
        cls,
        how: Learning,
        trunk_channels: tuple[int, ...],
        begin: ContourNet | None = None,
        device: torch.device | str = "cpu",
    ) -> State:
        """An untaught network, or one that was taught before; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(how.seed)
            net = ContourNet(trunk_channels)
        if begin is not None:
            for part in net.trunk.modules():
                if isinstance(part, nn.BatchNorm2d):  # not 0: rectified, it would never learn
                    nn.init.constant_(part.weight, 0.02)
            net.load_state_dict(net.state_dict() | begin.state_dict())
        net = net.to(device).to(memory_format=torch.channels_last).train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=how.decay)
        return cls(net, copy.deepcopy(net).eval(), optimiser)

    def save(self, path: Path) -> None:
        """Everything, atomically; on the CPU, so that it goes on wherever."""
        parts: dict[str, Any] = {"net": self.net, "kept": self.kept, "optimiser": self.optimiser}
        values = {name: part.state_dict() for name, part in parts.items()} | {"step": self.step}
        torch.save(to_device(values, "cpu"), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Back to where :meth:`save` was."""
        values = torch.load(path, weights_only=True, map_location="cpu")
        for name in ("net", "kept", "optimiser"):
            getattr(self, name).load_state_dict(values[name])
        self.step = int(values["step"])


def learn(
    pool: Pool,
    owners: Sequence[int],
    how: Learning,
    *,
    trunk_channels: tuple[int, ...] = (),
    begin: ContourNet | None = None,
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> ContourNet:
    """A network taught on the samples of some images, with the trunk's maps if it sees some.

    Computed on ``device``; it comes back on the CPU.

    It goes on from the weights of ``begin``, if given; of a trunk that it did not see it makes little at first.

    A step's batch depends on the seed and its number alone: with a ``checkpoint`` a later process goes on as if nothing
    had happened.
    """
    state = State.newborn(how, trunk_channels, begin, device)
    if checkpoint is not None and checkpoint.is_file():
        state.load(checkpoint)
    rows = [pool.rows(bucket, owners) for bucket in pool.buckets]
    shares = np.array(how.shares) / sum(how.shares)
    while state.step < how.n_steps:
        rng = np.random.default_rng([how.seed, 1, state.step])
        i = int(rng.choice(len(pool.buckets), p=shares))
        drawn = rng.choice(rows[i], min(pool.buckets[i].n_batch, len(rows[i])), replace=False)
        batch = to_device(batch_of(pool, pool.buckets[i], drawn, with_trunk=bool(trunk_channels)), device)
        loss = learn_step(state, how, batch, is_mirrored=not trunk_channels and rng.random() < 0.5)
        if checkpoint is not None and state.step % _SAVE_EVERY == 0:
            state.save(checkpoint)
        on_step(state.step, loss)
    return state.kept.cpu().to(memory_format=torch.contiguous_format).requires_grad_(False)


def learn_step(state: State, how: Learning, batch: tuple[Tensor, ...], *, is_mirrored: bool) -> float:
    """One step of the optimiser; returns the loss."""
    target, full, half, *maps = batch
    if is_mirrored:
        target, (full, half) = target.flip(-1), mirrored(full, half)
    for group in state.optimiser.param_groups:
        group["lr"] = how.rate * min(
            (state.step + 1) / (0.1 * how.n_steps), 0.5 * (1 + math.cos(math.pi * state.step / how.n_steps)) + 1e-3
        )
    with torch.autocast(full.device.type, dtype=torch.bfloat16) if how.in_bfloat16 else nullcontext():
        logits, sides = state.net(*(x.to(memory_format=torch.channels_last) for x in (full, half)), tuple(maps))
    loss = contour_loss(logits.float(), [side.float() for side in sides], target)
    state.optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimiser.step()
    _average(state.kept, state.net, min(how.averaging, (state.step + 1) / (state.step + 10)))
    state.step += 1
    return float(loss.detach())


@torch.no_grad()
def _average(kept: nn.Module, net: nn.Module, share: float) -> None:
    for old, new in zip(kept.parameters(), net.parameters(), strict=True):
        old.lerp_(new, 1 - share)
    for mean, now in zip(kept.buffers(), net.buffers(), strict=True):
        mean.copy_(torch.lerp(mean, now, 1 - share) if mean.is_floating_point() else now)
