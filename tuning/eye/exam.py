"""The exam of an eye: every controller on the same photographs and photons, and a table with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.simple import RandomController
from ciliary.agents.eye.arbiter import settling_rule
from ciliary.agents.eye.playing import Played, averaged
from ciliary.agents.eye.policy import EyePolicyController
from ciliary.agents.eye.together import TogetherController
from ciliary.envs.eye.terms import TERMS
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.runs.tables import markdown_table, rows_to_csv, shown

#: Hand-written rules that see no more than a policy does: the best of them is what a policy is compared with.
RULES = ("eye-reflex", "eye-settle")
POLICIES = "PPO, all seeds"


@dataclass(frozen=True)
class Row:
    """A controller's results, each over the photographs.

    Attributes:
        name: of the controller.
        gain: what it was paid in an episode.
        over_rule: the same less that of the best rule, by photograph.
        total, terms: at the last look.
        n_steps, degrees: means.
        defocus_dpt: median of the lens's error at the last look.
    """

    name: str
    gain: Interval
    over_rule: Interval | None
    total: Interval
    terms: Mapping[str, float]
    n_steps: float
    degrees: float
    defocus_dpt: float


@dataclass(frozen=True)
class Episode:
    """One controller at one photograph; terms are those of the last look."""

    controller: str
    photograph: str
    gain: float
    steps: float
    degrees: float
    defocus_dpt: float
    terms: Mapping[str, float]


def controllers(policies: Sequence[Path]) -> dict[str, ControllerBase]:
    """What is examined, by name."""
    rule = settling_rule()
    found: dict[str, ControllerBase] = {
        "still": TogetherController(None, None, None, label="still"),
        "eye-random": RandomController(population=1),
        "eye-reflex": TogetherController(),
        "eye-settle": rule,
        "eye-settle, gaze still": TogetherController(None, rule.lens, rule.pupil),
        "eye-settle, lens still": TogetherController(rule.gaze, None, rule.pupil),
        "eye-settle, pupil still": TogetherController(rule.gaze, rule.lens, None),
    }
    for path in policies:
        controller = EyePolicyController(path)
        name = f"PPO {path.parent.name or path.name}"
        found[f"PPO {path}" if name in found else name] = controller
    return found


def rows_of(played: Mapping[str, Played]) -> list[Row]:
    """A row a controller; policies are also pooled, each photograph's gain the mean over seeds."""
    best = max((name for name in RULES if name in played), key=lambda name: played[name].gain.mean())
    rows = [_row(name, one, played[best] if name != best else None) for name, one in played.items()]
    policies = [one for name, one in played.items() if name.startswith("PPO")]
    if len(policies) > 1:
        rows.append(_row(POLICIES, averaged(policies), played[best]))
    return rows


def as_markdown(rows: Sequence[Row], ceiling: Interval | None = None) -> str:
    """The table."""
    titles = ["controller", "gain an episode", "over the best rule", "total at the end", *TERMS, "looks", "degrees"]
    titles.append("defocus (dpt)")
    lines = []
    for row in rows:
        over = "" if row.over_rule is None else shown(row.over_rule)
        numbers = [f"{row.terms[name]:.3f}" for name in TERMS]
        rest = [f"{row.n_steps:.1f}", f"{row.degrees:.0f}", f"{row.defocus_dpt:.2f}"]
        lines.append([row.name, shown(row.gain), over, shown(row.total), *numbers, *rest])
    if ceiling is not None:
        lines.append([f"ceiling ({ceiling.n} photographs)", shown(ceiling), *[""] * (len(titles) - 2)])
    return markdown_table(titles, lines, is_number=[False, *[True] * (len(titles) - 1)])


def as_csv(played: Mapping[str, Played], names: Sequence[str]) -> str:
    """A line an episode."""
    return rows_to_csv([
        Episode(
            name,
            photograph,
            float(one.gain[i]),
            float(one.n_steps[i]),
            float(one.degrees[i]),
            float(one.defocus_dpt[i]),
            {term: float(one.after[term][i]) for term in (*TERMS, "total")},
        )
        for name, one in played.items()
        for i, photograph in enumerate(names)
    ])  # fmt: skip


def _row(name: str, one: Played, rule: Played | None) -> Row:
    return Row(
        name,
        bootstrap_mean(one.gain),
        None if rule is None else paired_difference(one.gain, rule.gain),
        bootstrap_mean(one.after["total"]),
        {term: float(one.after[term].mean()) for term in TERMS},
        float(one.n_steps.mean()),
        float(one.degrees.mean()),
        float(np.median(one.defocus_dpt)),
    )
