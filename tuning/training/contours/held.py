"""What hardened contours are worth to the percept: people's regions covered, clean, disturbed and attacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.synthesis.attack import random_within
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.episode import resize
from ciliary.envs.metrics.regions import region_covering
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.envs.objective.worst_case import regions_held, worst_views

DISTURBED = ("gaussian_noise:3", "fog:3")
CONDITIONS: tuple[str, ...] = ("clean", "random", "attacked", *DISTURBED)


@dataclass(frozen=True)
class Seen:
    """A percept under each condition: covering of people's regions, and how far its regions are those seen clean."""

    covering: Mapping[str, float]
    held: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """Both cortices under one condition, over the images."""

    seen: str
    covering_before: Interval
    covering_after: Interval
    covering_change: Interval
    held_before: Interval
    held_after: Interval
    held_change: Interval


@torch.no_grad()
def look_at(cortex: Cortex, one: LabelledImage, epsilon: float, *, size_px: int, seed: int = 0) -> Seen:
    """One image under all conditions; the attack is against this cortex's own regions."""
    image = resize(one.image, size_px=size_px)[None].to(cortex.device)
    with torch.enable_grad():
        worst = worst_views(cortex, image, epsilon=epsilon, seed=seed)
    views = {
        "clean": image,
        "random": random_within(image, epsilon, seed=seed + 1),
        "attacked": worst,
        **{name: parse_disturbance(name).apply(image.cpu(), seed=seed).to(image.device) for name in DISTURBED},
    }
    percepts = {name: cortex(view) for name, view in views.items()}
    clean = percepts["clean"].masks_coarse
    return Seen(
        {
            name: region_covering(percept.labels(one.size)[0].cpu().numpy(), one.people)
            for name, percept in percepts.items()
        },
        {name: float(regions_held(clean, percept.masks_coarse)) for name, percept in percepts.items()},
    )


def compare_percepts(
    before: Cortex,
    after: Cortex,
    images: Sequence[LabelledImage],
    epsilon: float,
    *,
    size_px: int,
    on_image: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Both cortices on each image, condition by condition."""
    seen: tuple[list[Seen], list[Seen]] = ([], [])
    for i, one in enumerate(images):
        for cortex, kept in zip((before, after), seen, strict=True):
            kept.append(look_at(cortex, one, epsilon, size_px=size_px, seed=i))
            on_image()
    return rows_of(*seen)


def rows_of(before: Sequence[Seen], after: Sequence[Seen]) -> list[Row]:
    """Means and paired changes over the images."""

    def three(name: str, of: str) -> list[Interval]:
        old, new = (np.array([getattr(one, of)[name] for one in looks]) for looks in (before, after))
        return [bootstrap_mean(old), bootstrap_mean(new), paired_difference(new, old)]

    return [Row(name, *three(name, "covering"), *three(name, "held")) for name in CONDITIONS]
