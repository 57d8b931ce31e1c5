"""What becomes of the percept of a few glances, as tables: with edges between acuities discounted, or put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ciliary.cortex.dorsal.expectation import read_expectation
from ciliary.cortex.perceivers import make_perceiver
from ciliary.envs.data.gaze import read_gaze
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.gaze_detail import OWN, DetailSettings
from ciliary.tuning.evaluation.gaze_percept import (
    ACUITY_ALONE,
    Coverings,
    Doubt,
    sit_discount,
    sit_together,
)
from ciliary.tuning.gaze.maps import WHICH, Shown, halves
from ciliary.tuning.gaze.settings import TOGETHER, GazeSettings
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown

_WORDS = {
    "discount": "Covering of the sharp photograph's percept, where people look, by that of the mosaic: read as a "
    "photograph (plain), and with edges discounted where acuity changes (other).",
    TOGETHER: "Covering of the sharp photograph's percept, where people look: by that of the last mosaic (plain), and "
    "by the percepts after each glance together (other).",
}


@dataclass(frozen=True)
class CoveringRow:
    """One policy at one photograph."""

    policy: str
    photograph: str
    plain: float
    other: float


@dataclass(frozen=True)
class CoveringSummary:
    """One policy at all photographs; ``other_is_above`` is paired."""

    policy: str
    plain: Interval
    other: Interval
    other_is_above: Interval


@dataclass(frozen=True)
class DoubtSummary:
    """How well something tells where the percept of all glances is wrong; ``above_acuity`` is paired."""

    what_tells: str
    area_under_the_curve: Interval | None
    above_acuity: Interval | None
    rank_correlation: Interval | None
    rank_above_acuity: Interval | None


def tell_percepts(settings: GazeSettings) -> tuple[str, tuple[Path, ...]]:
    """The page that ``--people --detail --compare`` asks for, and the files it is in.

    Raises:
        ValueError, OSError: the folder is not as it should be, or photographs differ in size.
    """
    s = settings
    assert s.people is not None
    assert s.compare is not None
    gazed = read_gaze(s.people)
    shown = Shown.of(gazed, long_side_px=s.size_px, px_per_deg=s.px_per_deg)
    told_on = halves(gazed, s.n_images)[s.half]
    exam = DetailSettings(n_glances=s.n_glances, nets={OWN: read_expectation(s.expectation)})
    perceiver = make_perceiver({"inherited": s.detail}, device=s.device)
    size, px_per_deg = shown.photograph, shown.seen_px_per_deg
    coverings: list[dict[str, Coverings]] = []
    doubts: list[dict[str, Doubt]] = []
    with Bar(len(told_on), title="glances", unit="photographs", is_quiet=s.is_quiet) as bar:
        for i in told_on:
            image, people = shown.look(gazed, i), gazed.fixations[i]
            if s.compare == TOGETHER:
                found, doubt = sit_together(image, people, i, perceiver, exam, photograph=size, px_per_deg=px_per_deg)
                doubts.append(doubt)
            else:
                found = sit_discount(image, people, i, perceiver, exam, photograph=size, px_per_deg=px_per_deg)
            coverings.append(found)
            bar.advance()
    parts = [
        f"# The percept of {s.n_glances} glances\n\nA cortex that inherits {s.detail}; {len(told_on)} photographs "
        f"{WHICH[s.half]}; intervals: 95 %, bootstrap over photographs. {_WORDS[s.compare]}\n",
        rows_to_markdown(summary(coverings)),
    ]
    if doubts:
        parts.append(
            "What tells where the percept of all glances is wrong: places whose segments, of it and of the sharp "
            "photograph, share less than half of their union.\n"
        )
        parts.append(rows_to_markdown(doubt_summary(doubts)))
    page = "\n".join(parts)
    each = [
        CoveringRow(name, gazed.names[i], one.plain, one.other)
        for i, by_name in zip(told_on, coverings, strict=True)
        for name, one in by_name.items()
    ]
    stem = f"detail_{s.compare}"
    return page, (
        write_atomically(s.out / f"{stem}.md", page.encode()),
        write_atomically(s.out / f"{stem}.csv", rows_to_csv(each).encode()),
    )


def summary(found: Sequence[Mapping[str, Coverings]]) -> list[CoveringSummary]:
    """A row a policy."""
    rows = []
    for name in found[0]:
        plain, other = (np.array([getattr(one[name], which) for one in found]) for which in ("plain", "other"))
        rows.append(
            CoveringSummary(name, bootstrap_mean(plain), bootstrap_mean(other), paired_difference(other, plain))
        )
    return rows


def doubt_summary(found: Sequence[Mapping[str, Doubt]]) -> list[DoubtSummary]:
    """A row for what tells; of the photographs on which all of them say something."""

    def column(name: str, measure: str) -> np.ndarray:
        rows = [one for one in found if all(getattr(doubt, measure) is not None for doubt in one.values())]
        return np.array([getattr(one[name], measure) for one in rows])

    def mean(name: str, measure: str) -> Interval | None:
        values = column(name, measure)
        return bootstrap_mean(values) if len(values) else None

    def more(name: str, measure: str) -> Interval | None:
        a, b = column(name, measure), column(ACUITY_ALONE, measure)
        return None if name == ACUITY_ALONE or not len(a) else paired_difference(a, b)

    return [
        DoubtSummary(name, mean(name, "area"), more(name, "area"), mean(name, "rho"), more(name, "rho"))
        for name in found[0]
    ]
