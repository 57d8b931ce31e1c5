"""Images made to please the cortex, and to disturb it, for the page of a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot import metamers, paint, preferred, style, texture
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.synthesis.attack import pgd, random_within
from ciliary.cortex.synthesis.codes import stages_of
from ciliary.envs.objective.worst_case import EPSILON, regions_held
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import Scalar, perceiver_of

_MAGNIFIED = 8.0  # the change, where it is drawn by itself


def draw_preferred(seen: Seen) -> Figure:
    """See :func:`ciliary.cortex.plot.preferred.draw_preferred`."""
    n_parts = 3 if preferred.has_experts(seen.look) else 2
    return preferred.draw_preferred(seen.look, is_quick=seen.is_quick, seed=seen.seed, tick=_counted(seen, n_parts))


def draw_dreams(seen: Seen) -> Figure:
    """See :func:`ciliary.cortex.plot.preferred.draw_dreams`."""
    return preferred.draw_dreams(seen.look, is_quick=seen.is_quick, seed=seen.seed, tick=_counted(seen, 3))


def draw_metamers(seen: Seen) -> Figure:
    """See :func:`ciliary.cortex.plot.metamers.draw_metamers`."""
    tick = _counted(seen, len(stages_of(seen.look.cortex)))
    return metamers.draw_metamers(seen.look, is_quick=seen.is_quick, seed=seen.seed, tick=tick)


def draw_texture(seen: Seen) -> Figure:
    """See :func:`ciliary.cortex.plot.texture.draw_texture`."""
    n_parts = 2 if seen.is_quick else 1 + len(texture.STYLES)
    return texture.draw_texture(seen.look, is_quick=seen.is_quick, seed=seen.seed, tick=_counted(seen, n_parts))


def _counted(seen: Seen, n_all: int) -> Callable[[], object]:
    done = 0

    def tick() -> None:
        nonlocal done
        done = min(done + 1, n_all)
        seen.tick(done, n_all)

    return tick


@dataclass(frozen=True, eq=False)
class Attacked:
    """What a small change does to a number.

    Attributes:
        what: the number, in words.
        image: (1, 3, H, W) with the worst change that was found.
        undisturbed, random, worst: the number, as it is, under noise of the same size, under the worst change.
    """

    what: str
    image: Tensor
    undisturbed: float
    random: float
    worst: float


def attacks_on(seen: Seen, *, epsilon: float = EPSILON, n_steps: int = 10) -> list[Attacked]:
    """The worst changes within ``epsilon`` of the percept as a whole, and of each target that has a gradient.

    The percept: how far its regions are still those of the image (soft adjusted Rand index, as stability is measured).
    A target: brought down, as far as it goes.
    """
    look = seen.look
    image = look.image[None].to(look.cortex.device)
    perceive = perceiver_of(look)
    own = look.percept.masks_coarse.to(image.device)

    def held(images: Tensor) -> Tensor:
        return regions_held(own.expand(len(images), -1, -1, -1), perceive(images).masks_coarse)

    asked: list[tuple[str, Scalar]] = [("regions that stay", held)]
    asked += [(target.name, target.of) for target in seen.targets if target.is_differentiable]
    noisy = random_within(image, epsilon, seed=seen.seed + 1)
    tick = _counted(seen, len(asked) * (n_steps + 1))
    found = []
    for what, of in asked:
        worst = pgd(of, image, epsilon, n_steps=n_steps, is_targeted=True, seed=seen.seed, on_step=tick)
        with torch.no_grad():
            values = [float(of(one)) for one in (image, noisy, worst)]
        found.append(Attacked(what, worst.cpu(), *values))
    return found


def draw_worst(seen: Seen) -> Figure:
    """The image, its regions, and for each attack the change, the image with it, and what is perceived of that."""
    found = attacks_on(seen, n_steps=4 if seen.is_quick else 10)
    look = seen.look
    size = (look.image.shape[-2], look.image.shape[-1])
    sheet = Sheet(
        "The worst of small changes",
        f"each value changed by at most {255 * EPSILON:.0f} of 255, along the gradient; beside it noise of that size",
        [picture_row(4, size, gap_in=0.6) for _ in range(len(found) + 1)],
    )
    noisy = random_within(look.image[None], EPSILON, seed=seen.seed + 1)
    picture = paint.as_picture(look.image)
    style.picture(sheet.axes(0, 0), picture, "The image")
    style.picture(sheet.axes(0, 1), _regions(seen, look.image[None]), "What is perceived")
    style.picture(sheet.axes(0, 2), paint.as_picture(noisy[0]), "With noise")
    style.picture(sheet.axes(0, 3), _regions(seen, noisy), "Perceived with noise")
    for row, one in enumerate(found, start=1):
        change = (0.5 + _MAGNIFIED * (one.image[0] - look.image)).clamp(0, 1)
        style.picture(sheet.axes(row, 0), paint.as_picture(one.image[0]), f"Against {one.what}")
        style.picture(sheet.axes(row, 1), _regions(seen, one.image), "Perceived")
        style.picture(sheet.axes(row, 2), paint.as_picture(change), "The change", f"{_MAGNIFIED:.0f} times as strong")
        words = f"{one.undisturbed:.2f}  as it is\n{one.random:.2f}  with noise\n{one.worst:.2f}  at worst"
        sheet.words(row, 3, words)
    return sheet.figure


@torch.no_grad()
def _regions(seen: Seen, image: Tensor) -> np.ndarray:
    percept = perceiver_of(seen.look)(image.to(seen.look.cortex.device))
    return paint.regions_picture(paint.as_picture(image[0].cpu()), percept.m4.winner[0].cpu().numpy())
