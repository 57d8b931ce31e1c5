"""Teach objectness: which proto-objects are found again in another view, and are what people drew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.parameters import ParameterTable
from ciliary.cortex.stages.m4_basins import Objectness
from ciliary.envs.objective.agreement import sharpen
from ciliary.envs.objective.views import apply_views, sample_views, way_back
from ciliary.tuning.training.losses import overlap

_IS_SAME = 0.5  # overlap from which two regions are one object
_LEAST_SHARE = 0.002  # of the image, below which a slot is nobody


@torch.no_grad()
def asked_objects(
    cortex: Cortex, image: Tensor, drawn: Sequence[np.ndarray], *, table: ParameterTable, seed: int
) -> tuple[Tensor, Tensor]:
    """What is known of the proto-objects of an image (1, 3, H, W), (n, 9), and how far each is one, (n,) in [0, 1].

    Half of that is whether it is found again in another light and from another place, half whether somebody drew it:
    with an overlap of more than one half.

    Args:
        cortex: with M4 on basins.
        image: of one photograph.
        drawn: label maps (H, W) of people.
        table: under whose defaults.
        seed: of the views.
    """
    m4: Any = cortex.m4
    views = sample_views(seed, n_photometric=1, n_geometric=1)
    image = image.to(cortex.device)
    seen = torch.cat([image, *apply_views(image, to_device(views, image.device))])
    theta = table.default_theta(len(seen), image.device)
    percept = cortex(seen, theta)
    objects, evidence, _ = m4.objects(percept.m3, theta)
    plain, lit, moved = sharpen(objects.masks_coarse, power=4).split(1)
    size = (plain.shape[-2], plain.shape[-1])
    back = way_back(views, size=size, image_size=(image.shape[-2], image.shape[-1]))[torch.ones(1, dtype=torch.int64)]
    back = to_device(back, image.device)
    again = [overlap(plain, lit)[0].amax(1), overlap(plain, back(moved), back.valid)[0].amax(1)]
    found = (0.5 * (again[0] + again[1]) > _IS_SAME).float()
    is_drawn = torch.stack([overlap(plain, _regions(one, size).to(image.device))[0].amax(1) for one in drawn]).amax(0)
    is_there = plain.mean((2, 3))[0] > _LEAST_SHARE
    target = 0.5 * (found + (is_drawn > _IS_SAME).float())
    return evidence[0][is_there], target[is_there]


def fit_objectness(evidence: Tensor, target: Tensor, *, n_steps: int = 800, seed: int = 0) -> Objectness:
    """The model that tells best how far each is an object."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Objectness().to(evidence.device)
        model.mean.copy_(evidence.mean(0))
        model.spread.copy_(evidence.std(0).clamp_min(1e-3))
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
        for _ in range(n_steps):
            loss = F.binary_cross_entropy_with_logits(model(evidence), target)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    return model.eval().requires_grad_(False)


def _regions(labels: np.ndarray, size: tuple[int, int]) -> Tensor:
    """A label map as masks (1, R, h, w) of another size."""
    _, label = np.unique(labels, return_inverse=True)
    mask = F.one_hot(torch.from_numpy(label.reshape(labels.shape))).permute(2, 0, 1)[None].float()
    return F.interpolate(mask, size=size, mode="bilinear", antialias=True, align_corners=False)
