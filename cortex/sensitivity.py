"""How much each stage's answer hangs on each parameter: relative change for a small step, all settings in batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import Percept

STEP = 0.1  # in u, which spans 2: a twentieth of the range
_MAX_PIXELS = 250_000  # a pass
_N_PAIRS = 2048
_LEAST = 1e-6  # a field that is as good as silent has no relative change


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """RMS relative change of what a stage answers, by parameter.

    Attributes:
        parameters: P names, those that can do something.
        acts_in: (P,) the stage each acts in, as the parameter table says.
        stages: S names, in their order.
        change: (P, S) >= 0; 0.1 is a change by a tenth of the field's own size.
    """

    parameters: tuple[str, ...]
    acts_in: tuple[str, ...]
    stages: tuple[str, ...]
    change: Tensor


@torch.no_grad()
def sensitivity(cortex: Cortex, image: Tensor, theta: Theta | None = None, *, step: float = STEP) -> Sensitivity:
    """Move each parameter a little, to both sides where its range allows, and see what changes.

    Fields are those of :func:`stage_fields`; a stage's number is the root mean square over its fields and both sides of
    ``||field(moved) - field|| / ||field||``, for a step of ``step`` in u. Where a parameter cannot take the step it
    goes to the end of its range, and the change is scaled up by what is missing.

    Args:
        cortex: whose stages.
        image: (3, H, W) float32, sRGB in [0, 1].
        theta: (1,) each; the defaults when None.
        step: in u, in (0, 1].

    Raises:
        ValueError: no such step.
    """
    if not 0 < step <= 1:
        raise ValueError(f"expected a step in (0, 1], got {step}")
    table = cortex.table
    theta = table.default_theta(1) if theta is None else theta
    u = table.to_unit({name: value.cpu() for name, value in theta.items()})
    names = tuple(name for name in table.names if name not in cortex.inert)
    moved, index, taken = _moves(u, [table.names.index(name) for name in names], step)
    image = to_device(image[None], cortex.device)
    cues = cortex.cues(image)
    n_at_once = max(2, _MAX_PIXELS // (image.shape[-2] * image.shape[-1]))
    total: Tensor | None = None
    stages: tuple[str, ...] = ()
    for rows, settings in zip(index.split(n_at_once - 1), moved.split(n_at_once - 1), strict=True):
        # the setting itself is in every pass: what a batch does to the last digit, it does to both
        both = torch.cat([u, settings])
        n = len(both)
        percept = cortex(image.expand(n, -1, -1, -1), table.from_unit(both), cues[torch.zeros(n, dtype=torch.int64)])
        found = {stage: _changes(fields) for stage, fields in stage_fields(percept).items()}
        stages = tuple(found)
        part = torch.stack(list(found.values()), 1).cpu() * (step / taken[rows, None])
        total = part if total is None else torch.cat([total, part])
    assert total is not None
    parameter = index // 2
    n_sides = torch.bincount(parameter, minlength=len(names))
    squares = torch.zeros(len(names), len(stages)).index_add_(0, parameter, total.square())
    change = torch.sqrt(squares / n_sides.clamp_min(1)[:, None])
    return Sensitivity(names, tuple(table[name].stage for name in names), stages, change)


def _moves(u: Tensor, columns: list[int], step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Settings (M, P), which move each is (2p, 2p + 1 for parameter p), and how long each of all 2P moves is."""
    sides = torch.tensor([-1.0, 1.0])
    moved = u.repeat(2 * len(columns), 1)
    row, column = torch.arange(2 * len(columns)), torch.tensor(columns).repeat_interleave(2)
    moved[row, column] = (moved[row, column] + step * sides.repeat(len(columns))).clamp(-1, 1)
    taken = (moved - u).abs().amax(1)
    kept = torch.nonzero(taken > step / 4)[:, 0]  # at the wall only the other side is looked at
    return moved[kept], kept, taken.clamp_min(1e-9)


def _changes(fields: list[Tensor]) -> Tensor:
    """Of fields whose first sample is the reference: (B - 1,) root mean square over the fields of relative change."""
    parts = []
    for x in fields:
        flat = x.flatten(1)
        size = flat[0].norm()
        change = (flat[1:] - flat[:1]).norm(dim=1) / size.clamp_min(_LEAST)
        parts.append(torch.where(size > _LEAST, change, torch.zeros_like(change)))
    return torch.stack(parts).square().mean(0).sqrt()


def stage_fields(percept: Percept) -> dict[str, list[Tensor]]:
    """What each stage hands on, each field (B, ...), in a form in which numbering means nothing.

    Of a partition (regions, slots, masks) it is told how likely two places are in one part, at fixed pairs of places: a
    slot that has another number next time is no change. Of M5 the mean code and the mean gate, each object as it
    counts; nothing of a cortex that does not recognise.
    """
    retina, m1, m2, m3, m4, m5 = (getattr(percept, name) for name in ("retina", "m1", "m2", "m3", "m4", "m5"))
    found = {
        "retina": [retina.cones, retina.opponent, retina.on_off],
        "M1": [m1.energy, m1.affinity, m1.boundary, together(m1.regions_coarse)],
        "M2": [m2.end_points, m2.contour, m2.barrier, together(m2.regions_coarse)],
        "M3": [m3.texture_coarse, together(m3.slots)],
        "M4": [together(m4.masks)],
    }
    if m5 is not None:
        found["M5"] = [(m5.weight[..., None] * x).sum(1) for x in (m5.code, m5.gate)]
    return found


def together(shares: Tensor) -> Tensor:
    """How likely two places lie in one part: (B, N) in [0, 1] at fixed pairs, of shares (B, K, H, W) on the simplex."""
    flat = shares.flatten(2)
    drawn = torch.Generator().manual_seed(0)
    one, other = torch.randint(flat.shape[2], (2, _N_PAIRS), generator=drawn).to(flat.device)
    return (flat[:, :, one] * flat[:, :, other]).sum(1)
