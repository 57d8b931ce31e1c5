"""What each stage has learned, on photographs it did not learn from, beside its mathematical part and beside nothing.

Every number stands beside the trivial solutions of its stage: a constant answer and a random one. A metric that a
trivial solution wins says nothing, and is here to show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex import Cortex
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.m3_invariance import texture_statistics
from ciliary.cortex.stages.m5_learned import LearnedM5, spread_parts
from ciliary.cortex.stages.m5_recognition import recognise
from ciliary.tuning.runs.tables import NONE, markdown_table
from ciliary.tuning.training import losses
from ciliary.tuning.training.batches import Batch, Batches
from ciliary.tuning.training.cortex import cortex_of
from ciliary.tuning.training.phases import hide, remembered_pairs
from ciliary.tuning.training.teaching import joined_borders, percepts_of_settings, teaching_settings

TRIVIAL = "constant", "random"


@dataclass(frozen=True)
class Row:
    """One metric of one stage: a value for each contestant, and which way is better."""

    stage: str
    metric: str
    is_higher_better: bool
    values: Mapping[str, float]


@torch.no_grad()
def appraise(
    trained: Mapping[str, nn.Module],
    newborn: Mapping[str, nn.Module],
    batches: Batches,
    *,
    n_batch: int = 8,
    n_settings: int = 12,
    people: Tensor | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Metrics of every learned stage: of the mathematical part, the newborn and the trained network, trivial solutions.

    Args:
        trained, newborn: learned stages by name.
        batches: photographs held out.
        n_batch: photographs at once.
        n_settings: settings whose borders are joined for M2.
        people: (n, 1, H/2, W/2) share of people who drew a border there, if known; only reported, never learned from.
        on_batch: called after each batch.
    """
    there = batches.device
    cortices = {"mathematical": Cortex(recognise=True).to(there)}
    cortices |= {who: cortex_of(stages, there) for who, stages in (("newborn", newborn), ("trained", trained))}
    teacher = Cortex().to(there)
    found: dict[tuple[str, str, bool], dict[str, list[float]]] = {}

    def tell(stage: str, who: str, metrics: Mapping[str, tuple[float, bool]]) -> None:
        for name, (value, is_higher_better) in metrics.items():
            found.setdefault((stage, name, is_higher_better), {}).setdefault(who, []).append(value)

    for rows in torch.split(torch.arange(len(batches)), n_batch):
        batch = batches.batch(rows, seed=int(rows[0]))
        images = batch.split(batch.images)[0]
        joined = joined_borders(percepts_of_settings(teacher, images, teaching_settings(n_settings)))
        drawn = None if people is None else people[rows].to(there)
        percepts = {who: cortex(batch.images, batch.theta) for who, cortex in cortices.items()}
        plain = percepts["mathematical"]
        labels = plain.m4.masks_coarse[: batch.n].argmax(1)
        for who, percept in percepts.items():
            tell("m2", who, contour_metrics(percept.m2.contour, joined, drawn, batch))
            tell("m3", who, code_metrics(_own_texture(percept, batch, who), labels, batch))
            tell("m5", who, recognition_metrics(cortices[who], batch))
        for who in TRIVIAL:
            rng = torch.Generator().manual_seed(int(rows[0]))
            contour = torch.full_like(plain.m2.contour, 0.08)
            contour = torch.rand(contour.shape, generator=rng).to(there) if who == "random" else contour
            tell("m2", who, contour_metrics(contour, joined, drawn, batch))
            code = torch.randn(len(batch.images), 16, *plain.m3.texture_coarse.shape[-2:], generator=rng).to(there)
            code = code if who == "random" else torch.ones_like(code)
            tell("m3", who, code_metrics(F.normalize(code, dim=1), labels, batch))
            tell("m5", who, _trivial_recognition(cortices["mathematical"], batch, who, rng))
        on_batch()
    return [
        Row(*key, {who: sum(values) / len(values) for who, values in by_who.items()}) for key, by_who in found.items()
    ]


def contour_metrics(
    contour: Tensor, joined: Tensor, people: Tensor | None, batch: Batch
) -> dict[str, tuple[float, bool]]:
    """Contours (3B, 1, H, W): correlation with what settings and people agree on, change between views, density."""
    small = F.avg_pool2d(contour, 2)
    plain, lit, moved = batch.split(small)
    back = batch.back((plain.shape[-2], plain.shape[-1]))
    change = 0.5 * (
        losses.masked_mean((plain - lit).abs()) + losses.masked_mean((plain - back(moved)).abs(), back.valid)
    )
    out = {
        "correlation with borders of 12 settings": (_correlation(plain, joined), True),
        "change between views, of its spread": (float(change / plain.std().clamp_min(1e-3)), False),
        "density": (float(plain.mean()), False),
    }
    if people is not None:
        out["correlation with people's borders"] = (_correlation(plain, people), True)
    return out


def code_metrics(code: Tensor, labels: Tensor, batch: Batch) -> dict[str, tuple[float, bool]]:
    """Texture (3B, D, h, w): variance between segments over variance within, change in other light, redundancy."""
    plain, lit, _ = batch.split(code)
    segment = F.interpolate(labels[:, None].float(), size=plain.shape[-2:], mode="nearest")[:, 0].long().flatten(1)
    one = F.one_hot(segment, int(segment.max()) + 1).float().transpose(1, 2)  # (B, S, n)
    x = plain.flatten(2).transpose(1, 2)
    area = one.sum(2, keepdim=True)
    mean = one @ x / area.clamp_min(1.0)
    whole = x.mean(1, keepdim=True)
    between = (area * (mean - whole).square()).sum((1, 2))
    total = (x - whole).square().sum((1, 2))
    change = (plain - lit).square().sum((1, 2, 3)) / total.clamp_min(1e-6)
    return {
        "variance between over within segments": (float((between / (total - between).clamp_min(1e-6)).mean()), True),
        "change in other light, of its variance": (float(change.clamp_max(10).mean()), False),
        "redundancy of channels": (float(losses.redundancy(x.flatten(0, 1))), False),
    }


def recognition_metrics(cortex: Any, batch: Batch) -> dict[str, tuple[float, bool]]:
    """Same proto-object found by its code, hidden parts completed (1 is the mean's error), use of experts."""
    one, other, _ = remembered_pairs(cortex, batch)
    if not isinstance(cortex.m5, LearnedM5):
        return {"same object found among all (top 1)": (_found(*map(_mathematical_codes, (one, other))), True)}
    net = cortex.m5.net
    a, b = net.standardise(one), net.standardise(other)
    code, _, gate, _ = net(a)
    visible = hide(len(a), torch.Generator().manual_seed(0)).to(a.device)
    completed = net(a, visible)[1]
    hidden = 1 - spread_parts(visible)
    error = ((completed - a).square() * hidden).sum() / (a.square() * hidden).sum().clamp_min(1e-6)
    return {
        "same object found among all (top 1)": (_found(F.normalize(code, dim=1), F.normalize(net(b)[0], dim=1)), True),
        "error of what was hidden, of the mean's": (float(error), False),
        "imbalance of experts": (float(losses.load_imbalance(gate)), False),
    }


def markdown(rows: Sequence[Row]) -> str:
    """The table; the best of each row, trivial solutions apart, in bold."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    lines = []
    for row in rows:
        real = {k: v for k, v in row.values.items() if k not in TRIVIAL}
        best = (max if row.is_higher_better else min)(real, key=lambda k: real[k])
        cells = {k: f"**{v:.3f}**" if k == best else f"{v:.3f}" for k, v in row.values.items()}
        arrow = "↑" if row.is_higher_better else "↓"
        lines.append([row.stage.upper(), f"{row.metric} {arrow}", *(cells.get(name, NONE) for name in names)])
    return markdown_table(["stage", "metric", *names], lines, is_number=[False, False, *(True for _ in names)])


def _own_texture(percept: Percept, batch: Batch, who: str) -> Tensor:
    """Root energies, or the learned code."""
    if who == "mathematical":
        return texture_statistics(percept.m1.energy, batch.theta["texture_pool_px"])
    return F.normalize(percept.m3.texture_coarse[:, -16:], dim=1)


def _trivial_recognition(cortex: Any, batch: Batch, who: str, rng: torch.Generator) -> dict[str, tuple[float, bool]]:
    n = len(remembered_pairs(cortex, batch)[0])
    one, other = (torch.randn(n, 48, generator=rng) if who == "random" else torch.ones(n, 48) for _ in range(2))
    return {
        "same object found among all (top 1)": (_found(F.normalize(one, dim=1), F.normalize(other, dim=1)), True),
    }


def _mathematical_codes(descriptions: Tensor) -> Tensor:
    """Of descriptions (n, d)."""
    return recognise(descriptions[None], descriptions.new_full((1, len(descriptions)), 1 / len(descriptions))).code[0]


def _found(one: Tensor, other: Tensor) -> float:
    """Share of objects whose own other view is the nearest of all; ties count as their share."""
    likeness = one @ other.T
    own = likeness.diagonal()[:, None]
    nearer, tied = (likeness > own + 1e-6).sum(1), ((likeness - own).abs() <= 1e-6).sum(1)
    return float(torch.where(nearer == 0, 1 / tied.float(), 0.0).mean())


def _correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, over the pixels of each image, the mean over images; 0 for a flat map."""
    x, y = (t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (a, b))
    norm = x.norm(dim=1) * y.norm(dim=1)
    return float(torch.where(norm > 1e-6, (x * y).sum(1) / norm.clamp_min(1e-6), 0.0).mean())
