"""Third exam: what does it cost, and what does it cost in accuracy to spend less?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.model import Cortex
from ciliary.cortex.ops.gini import gini
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.benchmarks.curves import Curves, draw_costs, draw_curves
from ciliary.tuning.benchmarks.episodes import draw_episodes, unit_accuracy, unit_words
from ciliary.tuning.benchmarks.expert_spikes import naming_in_time, spikes_table
from ciliary.tuning.benchmarks.few_shot import possible_shots
from ciliary.tuning.benchmarks.findings import Findings, millions, numbers_of, percent, rounded
from ciliary.tuning.benchmarks.naming import CLASSIFIERS, name_all
from ciliary.tuning.benchmarks.operations import StageCost, expert_multiply_adds, stage_costs
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.representations import Load, codes_with, expert_load
from ciliary.tuning.benchmarks.tokens import LEAST_WEIGHT, Tokens
from ciliary.tuning.runs.tables import NONE, Table

N_WATCHED = 16  # images whose activity is looked at
FEW_ACTIVE = (1, 2, 4)  # and all
#: Of each stage, the field that stands for its activity.
ACTIVITY: Mapping[str, Callable[[Percept], Tensor | None]] = {
    "retina": lambda p: p.retina.on_off,
    "m1": lambda p: p.m1.energy,
    "m2": lambda p: p.m2.contour,
    "m3": lambda p: p.m3.assignment,
    "m4": lambda p: p.m4.objectness,
    "m5": lambda p: None if p.m5 is None else p.m5.gate,
}
ACTIVITY_WORDS = (
    "on_off of the retina, energy of m1, contour of m2, assignment of m3, objectness of m4, gate of m5, over the units "
    "of an image (0: all the same, 1: one alone; rectified normal noise has 0.71)"
)


@dataclass(frozen=True, eq=False)
class Frugal:
    """Naming when so many experts answer.

    Attributes:
        units: classifier -> accuracy of each test image, or of each official run.
    """

    n_active: int
    multiply_adds: int
    units: Mapping[str, np.ndarray]


def energy(
    named: NamedImages,
    train: Tokens,
    test: Tokens,
    cortex: Cortex,
    net: ExpertBank | None,
    *,
    n_shots: int,
    n_episodes: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Count operations and activity, and name with fewer and with more experts.

    Args:
        named: labels, and images to watch.
        train, test: what was perceived of its halves.
        cortex: that perceived it.
        net: of its learned M5, or None.
        n_shots: examples of each class.
        n_episodes: draws of examples.
        seed: of the draws.
        progress: told of each step.

    Raises:
        ValueError: too few examples.
    """
    (n_shots,), notes = possible_shots(named, [n_shots])
    images = named.test.images
    shown = torch.linspace(0, len(images) - 1, min(N_WATCHED, len(images))).round().long()
    watched = images[shown].to(cortex.device).float() / 255
    costs = stage_costs(cortex, watched[:1])
    activity = stage_gini(cortex, watched)
    tables = [_cost_table(costs, activity, named.size_px)]
    numbers: dict[str, object] = {"stages": [asdict(one) for one in costs], "gini": activity}
    figures = {"Operations": draw_costs(costs)}
    if net is None:
        notes = (*notes, "M5 is not learned: it has no experts to count")
    else:
        load = expert_load(test)
        frugal = _fewer(named, train, test, net, n_shots, n_episodes, seed, progress)
        told = naming_in_time(named, train, test, net, draw_episodes(named, n_shots, n_episodes, seed=seed))
        with torch.no_grad():
            m5 = cortex(watched[:1]).m5
        n_slots = 1 if m5 is None else m5.weight.shape[1]
        n_counting = float((test.weight >= LEAST_WEIGHT).sum(1).mean())
        tables += [_bank_table(load, net.n_active, n_slots, n_counting), _frugal_table(frugal, net.n_active, n_shots)]
        tables.append(spikes_table(told, n_shots))
        numbers |= {
            "experts": {"n": load.n_experts, "active": load.n_active, "effective": load.n_effective,
                        "load": load.share.round(6).tolist(), "objects_that_count": n_counting},
            "shots": n_shots,
            "naming": [_record(one) for one in frugal],
            "naming_told_by_spikes": [asdict(one) for one in told],
        }  # fmt: skip
        figures = {"Accuracy against active experts": draw_curves(_frugal_curves(frugal, named.n_classes)), **figures}
    return Findings(
        tables=tuple(tables),
        figures=figures,
        numbers=numbers,
        about={
            "operations": "matrix products and convolutions counted by torch.utils.flop_counter; Fourier transforms "
            "worked out (5 N log2 N); experts worked out from their sizes",
            "activity": f"Gini index, mean of {len(watched)} test images: {ACTIVITY_WORDS}",
            "examples": f"{n_shots} of each class" + ("" if named.has_runs else f"; {n_episodes} draws, seed {seed}"),
            "intervals": unit_words(named),
        },
        notes=notes,
    )


@torch.no_grad()
def stage_gini(cortex: Cortex, images: Tensor, *, batch_size: int = 8) -> dict[str, float]:
    """Mean Gini index of each stage's activity over images (N, 3, H, W) in [0, 1]."""
    found: dict[str, list[Tensor]] = {}
    for batch in images.split(batch_size):
        percept = cortex(batch)
        for stage, field in ACTIVITY.items():
            value = field(percept)
            if value is not None:
                found.setdefault(stage, []).append(gini(value.flatten(1)))
    return {stage: float(torch.cat(values).mean()) for stage, values in found.items()}


def _fewer(
    named: NamedImages,
    train: Tokens,
    test: Tokens,
    net: ExpertBank,
    n_shots: int,
    n_episodes: int,
    seed: int,
    progress: Callable[[int], None] | None,
) -> list[Frugal]:
    n_experts = net.router.out_features
    episodes = draw_episodes(named, n_shots, n_episodes, seed=seed)
    found = []
    for k in sorted({k for k in FEW_ACTIVE if k < n_experts} | {net.n_active, n_experts}):
        features = codes_with(train, net, k)
        targets = {"test": codes_with(test, net, k)}
        units = {}
        for classifier in CLASSIFIERS:
            ((_, scores),) = name_all(classifier, features, named.train.labels, targets, episodes, named.n_classes)
            units[classifier] = unit_accuracy(scores, named, episodes)
        found.append(Frugal(k, expert_multiply_adds(n_experts, k), units))
        if progress is not None:
            progress(1)
    return found


def _cost_table(costs: Sequence[StageCost], activity: Mapping[str, float], size_px: int) -> Table:
    rows = [
        (one.stage, millions(one.multiply_adds), millions(one.fourier), millions(one.elementwise),
         rounded(activity[one.stage], 3) if one.stage in activity else NONE)
        for one in costs
    ]  # fmt: skip
    total = [millions(sum(getattr(one, name) for one in costs)) for name in ("multiply_adds", "fourier", "elementwise")]
    columns = ("stage", "multiply-adds", "Fourier", "one by one", "Gini of activity")
    note = "Millions, of one image. One by one: numbers computed by additions, exponentials and the like."
    return Table(f"Operations of an image of {size_px} px", columns, (*rows, ("all", *total, NONE)), note=note)


def _bank_table(load: Load, n_active: int, n_slots: int, n_counting: float) -> Table:
    frugal, dense = (expert_multiply_adds(load.n_experts, k) for k in (n_active, load.n_experts))
    rows = (
        ("experts that answer, mean", f"{load.n_active:.2f} of {load.n_experts}"),
        ("share of active experts", f"{percent(load.n_active / load.n_experts)} %"),
        ("experts in use (exponential of the entropy of their load)", rounded(load.n_effective)),
        ("load, largest and smallest share", f"{percent(load.share.max())} %, {percent(load.share.min())} %"),
        (f"multiply-adds of a proto-object, router + {n_active} experts + decoder", f"{frugal:,}"),
        ("the same with all experts", f"{dense:,}"),
        (
            f"saved of an image, {n_slots} slots",
            f"{millions(n_slots * (dense - frugal))} of {millions(n_slots * dense)} million",
        ),
        ("proto-objects of an image that count (weight of 0.01 or more)", rounded(n_counting, 1)),
    )
    note = (
        "Worked out from the sizes. This implementation computes all experts and then keeps what the gate chose, which "
        "is quicker on a processor for so small a bank: what is saved is what the model needs, not yet time."
    )
    return Table("Bank of experts", ("", "value"), rows, note=note)


def _frugal_table(found: Sequence[Frugal], own: int, n_shots: int) -> Table:
    full = found[-1]
    rows = [
        (f"{one.n_active}{' (as trained)' if one.n_active == own else ''}", classifier, f"{one.multiply_adds:,}",
         percent(bootstrap_mean(one.units[classifier])),
         percent(paired_difference(one.units[classifier], full.units[classifier])) if one is not full else NONE)
        for one in found
        for classifier in CLASSIFIERS
    ]  # fmt: skip
    columns = ("experts that answer", "classifier", "multiply-adds", f"{n_shots}-shot", "against all")
    note = "Percent, and points of percent, paired. The bank was trained with one number of active experts."
    return Table("At what loss of accuracy", columns, tuple(rows), n_words=2, note=note)


def _frugal_curves(found: Sequence[Frugal], n_classes: int) -> Curves:
    lines: dict[str, list[Interval]] = {c: [bootstrap_mean(one.units[c]) for one in found] for c in CLASSIFIERS}
    x = [one.n_active for one in found]
    return Curves({"M5 code": lines}, x, "experts that answer", "test images named rightly, %",
                  ("chance", 1 / n_classes), True, 100.0)  # fmt: skip


def _record(one: Frugal) -> dict[str, object]:
    return {
        "active": one.n_active,
        "multiply_adds": one.multiply_adds,
        "accuracy": {c: numbers_of(bootstrap_mean(units)) for c, units in one.units.items()},
    }
