"""Harden the contour network against the worst of small changes: adversarial training, and what it changed.

Each batch is learned from twice, as it is and under one step of an attack with a random start (Madry et al. 2018; Wong
et al. 2020). The attack reaches the pixels through V1 and the retina: what they do not let through cannot hurt.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from ciliary.cortex.cues.depth import NoDepth
from ciliary.cortex.parameters import PARAMETERS, repeat_theta
from ciliary.cortex.percept import Cues
from ciliary.cortex.stages.contour_net import ContourNet, contour_inputs
from ciliary.cortex.stages.m1_perception import find_edges
from ciliary.cortex.stages.retina import retina
from ciliary.cortex.synthesis.attack import pgd, random_within
from ciliary.envs.data.labelled import LabelledImage
from ciliary.tuning.training.contours.learn import balanced_cross_entropy, contour_loss
from ciliary.tuning.training.contours.pool import UNDECIDED, Augmentation, Bucket, Sample, draw_sample

BUCKET = Bucket("small", 128, 192, 0.4, 0.5, 0, 0)  # of BSDS500: photographs at 192 to 240 px
_CLEAN = Augmentation(clean=1.0, at_default=1.0)
_N_ATTACK = 5  # steps of the attack that the network is judged by; it learns from one


@dataclass(frozen=True)
class Hardening:
    """How the network is hardened.

    Attributes:
        epsilon: largest change of a value in [0, 1].
        n_steps: batches.
        n_batch: samples of each, learned from clean and attacked.
        rate: highest rate of AdamW; a cosine cools down.
        seed: of samples and order.
    """

    epsilon: float = 4 / 255
    n_steps: int = 300
    n_batch: int = 4
    rate: float = 5e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 1 or self.n_steps < 1 or self.n_batch < 1 or self.rate <= 0:
            raise ValueError(f"expected 0 < epsilon < 1, n_steps >= 1, n_batch >= 1 and rate > 0, got {self}")


def logits_of(net: ContourNet, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What the network says of images (B, 3, h, w) at the default setting, differentiable down to the pixels."""
    theta = repeat_theta(PARAMETERS.default_theta(1), len(images))
    found = find_edges(retina(images, theta), Cues(NoDepth()(images), None), theta)
    logits, sides = net(*contour_inputs(found.features, found.boundary, found.energy))
    return logits, sides


def image_losses(net: ContourNet, target: Tensor, images: Tensor) -> Tensor:
    """Balanced cross-entropy of each image (B, 3, h, w) by itself: (B,)."""
    logits, _ = logits_of(net, images)
    return torch.vmap(lambda one, drawn: balanced_cross_entropy(one[None], drawn[None], power=0.5))(logits, target)


def batch_at(
    images: Sequence[LabelledImage], n: int, rng: np.random.Generator, how: Augmentation
) -> tuple[Tensor, Tensor]:
    """``n`` samples of images drawn by lot: (n, 3, h, w) and their targets (n, 1, h, w) uint8."""
    chosen = [images[int(i)] for i in rng.integers(len(images), size=n)]
    return stacked([draw_sample(one, BUCKET, how, rng) for one in chosen])


def stacked(samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Samples of one size as a batch: images (n, 3, h, w) and targets (n, 1, h, w) uint8."""
    return torch.stack([s.image for s in samples]), torch.from_numpy(np.stack([s.target for s in samples]))[:, None]


def harden(
    net: ContourNet,
    images: Sequence[LabelledImage],
    how: Hardening,
    *,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float, float], object] = lambda step, clean, attacked: None,
) -> ContourNet:
    """A copy of the network that learned from clean and attacked samples of ``images``; on the CPU, in eval mode.

    Args:
        net: begun from; its normalisations keep the statistics they have.
        images: with people's drawings.
        how: how.
        device: where it is computed.
        on_step: told the step and both losses.
    """
    net = copy.deepcopy(net).to(device).requires_grad_(True).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=1e-3)
    for step in range(how.n_steps):
        rng = np.random.default_rng([how.seed, 2, step])
        seen, target = (x.to(device) for x in batch_at(images, how.n_batch, rng, Augmentation(at_default=1.0)))
        attacked = pgd(
            partial(image_losses, net, target), seen, how.epsilon, n_steps=1, step=1.25 * how.epsilon, seed=step
        )
        for group in optimiser.param_groups:
            group["lr"] = how.rate * (0.5 * (1 + math.cos(math.pi * step / how.n_steps)) + 1e-3)
        losses = [contour_loss(*logits_of(net, x), target) for x in (seen, attacked)]
        optimiser.zero_grad()
        torch.autograd.backward(losses[0] + losses[1])
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        on_step(step + 1, float(losses[0].detach()), float(losses[1].detach()))
    return net.cpu().requires_grad_(False)


#: What a network is judged under.
CONDITIONS: tuple[str, ...] = ("clean", "random", "attacked")


def judge(net: ContourNet, sample: Sample, epsilon: float, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Error (balanced cross-entropy) and average precision of contours, of one sample, under each condition.

    ``random`` is noise of as much as ``attacked`` may change: what is lost beyond it is lost to the attack.
    """
    image, target = stacked([sample])
    device = next(net.parameters()).device
    image, target = image.to(device), target.to(device)
    loss = partial(image_losses, net, target)
    seen = {
        "clean": image,
        "random": random_within(image, epsilon, seed=seed),
        "attacked": pgd(loss, image, epsilon, n_steps=_N_ATTACK, seed=seed),
    }
    with torch.no_grad():
        return {name: (float(loss(one)), precision(logits_of(net, one)[0], target)) for name, one in seen.items()}


def precision(logits: Tensor, target: Tensor) -> float:
    """Average precision of contour pixels among those that are decided; nan where there is none."""
    is_known = (target != UNDECIDED).flatten().cpu().numpy()
    is_contour = ((target > 0) & (target != UNDECIDED)).flatten().cpu().numpy()
    if not is_contour.any():
        return math.nan
    return float(average_precision_score(is_contour[is_known], logits.flatten().cpu().numpy()[is_known]))


def samples_to_judge(images: Sequence[LabelledImage], *, seed: int = 0) -> list[Sample]:
    """One undisturbed sample of each image; the same for every network."""
    return [draw_sample(one, BUCKET, _CLEAN, np.random.default_rng([seed, 3, i])) for i, one in enumerate(images)]
