"""What and where: does the ventral code of a thing stay, and its dorsal code move, when the picture is moved?

Ventral is M5's code of a proto-object without its place; dorsal is the place: centre, extent and size (Ungerleider &
Mishkin 1982). The same photograph is looked at through a window, and through one that is shifted or smaller, so that
where each thing must be is known. Proto-objects of the two looks are the same thing if they overlap by half there;
those that the border of either look cuts are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.description import PARTS
from ciliary.cortex.model import MIN_SIDE_PX
from ciliary.cortex.percept import Percept
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean

_WINDOW = 0.6  # of each side
_LEAST_SHARE = 0.01  # of the picture: smaller things are left out
_LEAST_OVERLAP = 0.5  # intersection over union


@dataclass(frozen=True)
class Change:
    """Another window: its middle, moved by a share of the window's sides (down, right), and how many times smaller."""

    name: str
    down: float = 0.0
    right: float = 0.0
    zoom: float = 1.0

    def moved(self, place: Tensor) -> Tensor:
        """Where a place (..., 2), y and x in sides of the window from its middle, comes to lie."""
        return (place - place.new_tensor([self.down, self.right])) * self.zoom


CHANGES = (
    Change("shifted by a tenth", 0.1, 0.1),
    Change("shifted by a quarter", -0.25, 0.25),
    Change("enlarged 1.25 times", zoom=1.25),
    Change("enlarged 1.6 times", zoom=1.6),
)


@dataclass(frozen=True)
class Seen:
    """One photograph under one change; nan where no thing was there in both looks."""

    n_things: int
    is_found: float  # share of the things whose code is nearest to their own among the things of the other look
    chance: float
    error: float  # median distance of a thing's place from where it must be, in sides of the window
    error_unmoved: float  # and from where it was before
    size_error: float  # median |log| of its area over what it must be


@dataclass(frozen=True)
class Row:
    """A change, over all photographs."""

    change: str
    photographs: int
    things: float
    found_by_what: Interval
    chance: float
    error_of_where: Interval
    had_it_stayed: float
    error_of_size: Interval


@torch.no_grad()
def watch_things(cortex: Cortex, image: Tensor) -> Mapping[str, Seen]:
    """Each of :data:`CHANGES` of a photograph (3, H, W)."""
    own = cortex(_window(image, Change("")).to(cortex.device))
    found = {}
    for change in CHANGES:
        other = cortex(_window(image, change).to(cortex.device))
        found[change.name] = _compare(own, other, change)
    return found


def _window(image: Tensor, change: Change) -> Tensor:
    """What is seen through the window, (1, 3, h, w), of the same size whatever the change."""
    height, width = image.shape[-2:]
    size = tuple(max(MIN_SIDE_PX, round(_WINDOW * n)) for n in (height, width))
    step = [(torch.arange(n, dtype=torch.float32) + 0.5) / n - 0.5 for n in size]
    y, x = torch.meshgrid(*step, indexing="ij")
    place = torch.stack([y, x], -1) / change.zoom + torch.tensor([change.down, change.right])
    grid = (place * (2 * _WINDOW)).flip(-1)[None]
    seen = F.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)
    return seen.clamp(0, 1)


def _compare(own: Percept, other: Percept, change: Change) -> Seen:
    assert own.m5 is not None
    assert other.m5 is not None
    masks, others = (F.one_hot(p.m4.winner[0], p.masks.shape[1]).movedim(-1, 0).float() for p in (own, other))
    height, width = masks.shape[-2:]
    step = [(torch.arange(n, device=masks.device) + 0.5) / n - 0.5 for n in (height, width)]
    place = torch.stack(torch.meshgrid(*step, indexing="ij"), -1)
    back = place / change.zoom + place.new_tensor([change.down, change.right])  # in the first look
    grid = (2 * back).flip(-1)[None]
    carried = F.grid_sample(masks[None], grid, mode="nearest", align_corners=False)[0]  # 0 outside of it
    carried, others = carried.flatten(1), others.flatten(1)
    shared = carried @ others.T
    union = carried.sum(1)[:, None] + others.sum(1)[None] - shared
    overlap = shared / union.clamp_min(1)
    large = carried.mean(1)[:, None].minimum(others.mean(1)[None]) >= _LEAST_SHARE
    whole = ~_is_cut(masks)[:, None] & ~_is_cut(others.unflatten(1, (height, width)))[None]
    overlap = torch.where(large & whole, overlap, 0)
    best, partner = overlap.max(1)
    things = torch.nonzero(best >= _LEAST_OVERLAP)[:, 0]
    if not len(things):
        return Seen(0, *5 * (float("nan"),))
    partners = partner[things]
    candidates = torch.nonzero(others.mean(1) >= _LEAST_SHARE)[:, 0]
    likeness = _what(own)[things] @ _what(other)[candidates].T
    is_found = candidates[likeness.argmax(1)] == partners
    sides = torch.tensor([height, width], device=masks.device) / max(height, width)
    (was, was_size), (here, here_size) = (_where(p, sides) for p in (own, other))
    error = (change.moved(was[things]) - here[partners]).norm(dim=1)
    unmoved = (was[things] - here[partners]).norm(dim=1)
    grown = here_size[partners] - was_size[things] - 2 * float(np.log(change.zoom))
    return Seen(
        len(things),
        float(is_found.float().mean()),
        1 / len(candidates),
        float(error.median()),
        float(unmoved.median()),
        float(grown.abs().median()),
    )


def _is_cut(masks: Tensor) -> Tensor:
    """(S,) whether each of (S, h, w) reaches the border of the picture: nobody knows where its middle is."""
    rim = [masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]]
    return torch.cat([one.amax(1, keepdim=True) for one in rim], 1).amax(1) > 0


def _what(percept: Percept) -> Tensor:
    """(S, d) of length 1: each part of the description but the place, with the same say."""
    m5 = percept.m5
    assert m5 is not None
    parts = [
        F.normalize(m5.description[0][:, part] - m5.description[0][:, part].mean(0), dim=-1)
        for name, part in PARTS.items()
        if name != "place"
    ]
    return F.normalize(torch.cat(parts, 1), dim=-1)


def _where(percept: Percept, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (S, 2) in sides of the picture from its middle, and log areas (S,)."""
    assert percept.m5 is not None
    place = percept.m5.description[0][:, PARTS["place"]]
    return place[:, 1:3] / sides, place[:, 0]


def summary(found: Sequence[Mapping[str, Seen]]) -> list[Row]:
    """A row a change; photographs without a thing that was there in both looks are left out of it."""
    rows = []
    for change in CHANGES:
        seen = [one[change.name] for one in found if one[change.name].n_things]
        if not seen:
            continue

        def mean(name: str, seen: Sequence[Seen] = seen) -> Interval:
            return bootstrap_mean(np.array([getattr(one, name) for one in seen]))

        rows.append(
            Row(
                change.name,
                len(seen),
                mean("n_things").mean,
                mean("is_found"),
                mean("chance").mean,
                mean("error"),
                mean("error_unmoved").mean,
                mean("size_error"),
            )
        )
    return rows
