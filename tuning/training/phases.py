"""The phases of the curriculum: what each lets a cortex look at, and which losses its networks follow.

A phase is given a cortex whose learned stages are frozen but for its own, and answers for a batch with its losses by
name, each a scalar. Stages before the one that learns run without gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.description import PARTS
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import M1Out
from ciliary.cortex.stages.m2_grouping import complete
from ciliary.cortex.stages.m2_learned import contour_inputs
from ciliary.cortex.stages.m3_invariance import texture_statistics
from ciliary.cortex.stages.m5_learned import spread_parts
from ciliary.tuning.training import losses
from ciliary.tuning.training.batches import Batch
from ciliary.tuning.training.curriculum import PhaseSettings
from ciliary.tuning.training.teaching import joined_borders

Losses = dict[str, Tensor]
_N_POINTS = 128  # texture codes drawn from an image
_MATCHED = 0.5  # overlap from which two masks are the same object


def m2_losses(cortex: Any, batch: Batch, phase: PhaseSettings, *, teacher: Tensor) -> Losses:
    """Contours: where the borders of many settings lie, the same in all views and at half the scale, sparse.

    ``teacher`` (n, k, H/2, W/2) holds :func:`percepts_of_settings` of all photographs; what is aimed at are its
    :func:`joined_borders`.
    """
    with torch.no_grad():
        m1 = _first(cortex, batch)
        inputs = contour_inputs(m1, complete(m1, batch.theta)[1])
    logits = cortex.m2.net(inputs)
    plain, lit, moved = batch.split(torch.sigmoid(logits))
    target = joined_borders(teacher[batch.index])
    back = batch.back((plain.shape[-2], plain.shape[-1]))
    seen_back = back(moved)
    small = torch.sigmoid(cortex.m2.net(halve(inputs[: batch.n])))
    align = F.binary_cross_entropy_with_logits(logits[: batch.n], target)
    align = align + F.binary_cross_entropy(lit.clamp(1e-6, 1 - 1e-6), target)
    align = align - 2 * F.binary_cross_entropy(target.clamp(1e-6, 1 - 1e-6), target)  # what no map can avoid
    return {
        "align": 0.5 * align,
        "consistency": 0.5
        * (losses.masked_mean((plain - lit).abs()) + losses.masked_mean((plain - seen_back).abs(), back.valid)),
        "scale": losses.masked_mean((small - halve(plain)).abs()),
        "density": losses.density_excess(plain),
    }


def m3_losses(cortex: Any, batch: Batch, phase: PhaseSettings) -> Losses:
    """Texture code: alike within a segment, unlike across, the same in other light, each channel its own.

    Positives are two places of one segment of the cortex's own percept, the second seen in other light; places on a
    border belong to nobody. Places of the same segment are no negatives of each other.
    """
    with torch.no_grad():
        m1 = _first(cortex, batch)
        m2 = cortex.m2(m1, batch.theta)
        statistics = texture_statistics(m1.energy, batch.theta["texture_pool_px"])
        segment, is_inner = _segments(cortex, m1, m2, batch, size=(statistics.shape[-2], statistics.shape[-1]))
    code = cortex.m3.net(statistics)
    plain, lit, _ = (x.flatten(2).transpose(1, 2) for x in batch.split(code))
    rng = torch.Generator().manual_seed(int(batch.index.sum()))
    # an image that is all border lends its places too: a sample needs somebody to draw
    n_points = min(_N_POINTS, is_inner.shape[1])
    place = _drawn(is_inner.float() + 1e-6, n_points, rng)  # (B, n)
    own = segment.gather(1, place)
    partner = place.gather(1, _partners(own, rng))
    anchor, positive = (
        x.gather(1, i[..., None].expand(-1, -1, x.shape[2])).flatten(0, 1) for x, i in ((plain, place), (lit, partner))
    )
    n_segments = int(segment.max()) + 1
    owner = (own + n_segments * torch.arange(batch.n, device=own.device)[:, None]).flatten()
    same = owner[:, None] == owner[None]
    return {
        "contrast": losses.info_nce(anchor, positive, temperature=phase.temperature, same=same),
        "invariance": (plain - lit).square().sum(2).mean(),
        "redundancy": losses.redundancy(plain.flatten(0, 1)),
    }


def m5_losses(cortex: Any, pairs: tuple[Tensor, Tensor, Tensor], phase: PhaseSettings, *, step: int) -> Losses:
    """Experts: the same proto-object in two views has one code; what is hidden of it is filled in; the load is shared.

    ``pairs``: standardised descriptions (m, d) in one view and in another, and which photograph (m,) they are from.
    """
    net, (one, other, owner) = cortex.m5.net, pairs
    rng = torch.Generator().manual_seed(step)
    index = torch.randint(len(one), (phase.n_pairs,), generator=rng).to(one.device)
    one, other, owner = one[index], other[index], owner[index]
    visible = hide(len(one), rng).to(one.device)
    first, completed, gate, full = net(one, visible)
    second, _, _, _ = net(other)
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    same = (owner[:, None] == owner[None]) & ((one[:, None] - one[None]).abs().sum(2) < 1e-3)  # drawn twice
    hidden = 1 - spread_parts(visible)
    error = ((completed - one).square() * hidden).sum() / hidden.sum().clamp_min(1.0)
    return {
        "contrast": losses.info_nce(first, second, temperature=phase.temperature, same=same),
        "completion": error + 0.1 * (completed - one).square().mean(),
        "doubt": losses.gate_entropy(gate),
        "imbalance": losses.load_imbalance(full),
    }


PHASE_LOSSES: Mapping[str, Callable[..., Losses]] = {
    "m2": m2_losses,
    "m3": m3_losses,
    "m5": m5_losses,
}


@torch.no_grad()
def remembered_pairs(cortex: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Proto-objects of a batch that were found again in another view: descriptions (m, d) twice, and their photographs.

    Two masks are one object if each overlaps most with the other, by more than half.
    """
    percept = cortex(batch.images, batch.theta)
    plain, *views = batch.split(percept.m4.masks_coarse)
    own, *told = batch.split(percept.m5.description)
    back = batch.back((plain.shape[-2], plain.shape[-1]))
    ones, others, owners = [], [], []
    for masks, description, valid in ((views[0], told[0], None), (back(views[1]), told[1], back.valid)):
        iou = losses.overlap(plain, masks, valid)
        best, index = iou.max(2)
        is_mutual = iou.argmax(1).gather(1, index) == torch.arange(plain.shape[1], device=plain.device)
        image, slot = torch.nonzero((best > _MATCHED) & is_mutual, as_tuple=True)
        ones.append(own[image, slot])
        others.append(description[image, index[image, slot]])
        owners.append(batch.index[image])
    return torch.cat(ones), torch.cat(others), torch.cat(owners)


def hide(n: int, rng: torch.Generator) -> Tensor:
    """Which parts of n descriptions are visible, (n, parts): each hidden with probability 0.4, never all of them."""
    visible = (torch.rand(n, len(PARTS), generator=rng) > 0.4).float()
    visible[: n // 4] = 1
    return torch.where(visible.sum(1, keepdim=True) == 0, 1.0, visible)


def _first(cortex: Any, batch: Batch) -> M1Out:
    """M1 of all images and views of a batch."""
    m1: M1Out = cortex.m1(cortex.retina(batch.images, batch.theta), cortex.cues(batch.images), batch.theta)
    return m1


def _segments(cortex: Any, m1: M1Out, m2: Any, batch: Batch, *, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Segment of each place of the plain images (B, h*w), and whether no border is near; at the texture's size."""
    n = batch.n
    theta = {name: value[:n] for name, value in batch.theta.items()}
    one = [_head(x, n) for x in (m1, m2)]
    masks = cortex.m4(cortex.m3(*one, theta), theta).masks_coarse
    label = masks.argmax(1, keepdim=True).float()
    low, high = -F.max_pool2d(-label, 3, 2, 1), F.max_pool2d(label, 3, 2, 1)
    label, edge = (F.interpolate(x, size=size, mode="nearest") for x in (high, high - low))
    return label.flatten(1).long(), (edge == 0).flatten(1)


def _head(out: Any, n: int) -> Any:
    """The first n samples of a stage's answer."""
    values = {f.name: getattr(out, f.name) for f in fields(out)}
    return replace(out, **{name: None if value is None else value[:n] for name, value in values.items()})


def _partners(owner: Tensor, rng: torch.Generator) -> Tensor:
    """For each place (B, n) the index of another place of the same owner, at random; itself where it is alone."""
    itself = torch.eye(owner.shape[1], device=owner.device)
    same = (owner[:, :, None] == owner[:, None]).float() - itself
    same = torch.where(same.sum(2, keepdim=True) < 1, itself, same)
    return _drawn(same.flatten(0, 1), 1, rng).view_as(owner)


def _drawn(weights: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """n places of each row, as likely as their weights; drawn on the CPU, so that a seed means the same everywhere."""
    return torch.multinomial(weights.cpu(), n, generator=rng).to(weights.device)
