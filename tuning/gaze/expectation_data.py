"""What an expectation learns from: photographs' own priority, and what glances at them left in a mosaic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import widest
from ciliary.cortex.dorsal.expectation import PX_PER_DEG, STEP_PX, sheet
from ciliary.cortex.dorsal.looking import Trunk, whole_priority
from ciliary.cortex.dorsal.mixture import GazeMixture
from ciliary.cortex.dorsal.priority import normalised
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import add_glance, blank_mosaic
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.reading import Photograph, UnreadableImage

SIZE_PX = (240, 320)
N_GLANCES = 8
_LEAST_CROP = 0.7
_TARGET_EXPONENT = 0.7  # of priority: between a fair sample of places and the best one


@dataclass(frozen=True, eq=False)
class Lessons:
    """N times what was seen, and the density that belongs to it.

    Attributes:
        seen: (N, 5, h, w) float16, of :func:`ciliary.cortex.dorsal.expectation.sheet`.
        target: (V, 1, h / 2, w / 2) density of each view.
        view: (N,) of each lesson.
        photograph: (V,) of each view.
    """

    seen: Tensor
    target: Tensor
    view: Tensor
    photograph: Tensor


@torch.no_grad()
def make_lessons(
    photographs: Sequence[Photograph],
    *,
    n_views: int,
    seed: int,
    mixture: GazeMixture | None,
    trunk: Trunk | None,
    device: torch.device | str = "cpu",
    on_view: Callable[[], None],
    on_broken: Callable[[UnreadableImage], None],
) -> Lessons:
    """Views of photographs, each seen by one path of glances, half of them drawn by its priority, half anywhere.

    Paths are drawn on the CPU; what is seen lies on ``device``, as the trunk does.
    """
    lattice = FoveatedLattice()
    px_per_deg = SIZE_PX[1] / WIDTH_DEG
    size = tuple(round(side * PX_PER_DEG / px_per_deg) for side in SIZE_PX)
    seen, target, owner = [], [], []
    for i in range(len(photographs)):
        try:
            image = photographs[i].image
        except UnreadableImage as error:
            on_broken(error)
            continue
        rng = np.random.default_rng((seed, i))
        for _ in range(n_views):
            view = crop(image, rng).to(device)
            _, pull = whole_priority(view, px_per_deg=px_per_deg, mixture=mixture, trunk=trunk)
            exponent = _TARGET_EXPONENT if mixture is None else 1.0
            cells = (size[0] // STEP_PX, size[1] // STEP_PX)
            density = normalised(F.interpolate(pull**exponent, size=cells, mode="area"))
            light, mosaic = srgb_to_linear(view), blank_mosaic(1, (size[0], size[1]), PX_PER_DEG, device=view.device)
            for gaze in _path(density, rng, px_per_deg).to(view.device, widest(view.device)):
                mosaic = add_glance(mosaic, take_glance(light, lattice, gaze[None], px_per_deg))
                seen.append(sheet(mosaic, lattice).half())
            target.append(density)
            owner.append(i)
            on_view()
    if not target:
        raise ValueError("expected at least one photograph that can be read, got none")
    view_of = torch.arange(len(target), device=device).repeat_interleave(N_GLANCES)
    return Lessons(torch.cat(seen), torch.cat(target), view_of, torch.tensor(owner, device=device))


def crop(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Some 4 : 3 part of a photograph (3, H, W), as (1, 3, *SIZE_PX)."""
    height, width = image.shape[-2:]
    most = min(height, width * SIZE_PX[0] / SIZE_PX[1])
    tall = int(most * rng.uniform(_LEAST_CROP, 1))
    wide = min(int(tall * SIZE_PX[1] / SIZE_PX[0]), width)
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    part = image[None, :, top : top + tall, left : left + wide]
    return F.interpolate(part, size=SIZE_PX, mode="bilinear", antialias=True).clamp(0, 1)


def _path(density: Tensor, rng: np.random.Generator, px_per_deg: float) -> Tensor:
    """Gazes (N_GLANCES, 2) in degrees."""
    height, width = density.shape[-2:]
    half = np.array(SIZE_PX) / px_per_deg / 2
    weight = density.flatten().cpu().double().numpy()
    cell = rng.choice(len(weight), N_GLANCES, p=weight / weight.sum())
    drawn = (np.stack([cell // width, cell % width], 1) + 0.5) / (height, width) * 2 - 1
    anywhere = rng.uniform(-1, 1, (N_GLANCES, 2))
    gaze = np.where(rng.random((N_GLANCES, 1)) < 0.5, drawn, anywhere)
    gaze[0] = 0 if rng.random() < 0.5 else gaze[0]
    return torch.from_numpy(gaze * half)
