"""Detail where it matters, as a table: policies and cameras, with intervals, and what own sight gains on each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ciliary.cortex.dorsal.expectation import read_expectation
from ciliary.cortex.perceivers import make_perceiver
from ciliary.envs.data.gaze import read_gaze
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.gaze_detail import OWN, Detail, DetailSettings, sit
from ciliary.tuning.gaze.maps import WHICH, Shown, halves
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown

GIVEN = "own sight, expectation of {}"


@dataclass(frozen=True)
class DetailRow:
    """One policy at one photograph."""

    policy: str
    photograph: str
    acuity: float
    covering: float
    scanmatch: float | None


@dataclass(frozen=True)
class DetailSummary:
    """One policy at all photographs; ``own_sight_more`` is what own sight has above it."""

    policy: str
    acuity: Interval
    own_sight_more_acuity: Interval | None
    covering: Interval
    own_sight_more_covering: Interval | None
    scanmatch: Interval | None


def tell_detail(settings: GazeSettings) -> tuple[str, tuple[Path, Path]]:
    """The page that ``--people --detail`` asks for, and the files it is in.

    Raises:
        ValueError, OSError: the folder is not as it should be, or photographs differ in size.
    """
    s = settings
    assert s.people is not None
    nets = {OWN: read_expectation()}
    if s.expectation is not None:
        nets[GIVEN.format(s.expectation.name)] = read_expectation(s.expectation)
    exam = DetailSettings(n_glances=s.n_glances, nets=nets)
    gazed = read_gaze(s.people)
    shown = Shown.of(gazed, long_side_px=s.size_px, px_per_deg=s.px_per_deg)
    told_on = halves(gazed, s.n_images)[s.half]
    perceiver = make_perceiver({"inherited": s.detail}, device=s.device)
    found: list[dict[str, Detail]] = []
    with Bar(len(told_on), title="glances", unit="photographs", is_quiet=s.is_quiet) as bar:
        for i in told_on:
            found.append(
                sit(
                    shown.look(gazed, i),
                    gazed.fixations[i],
                    i,
                    perceiver,
                    exam,
                    photograph=shown.photograph,
                    px_per_deg=shown.seen_px_per_deg,
                )
            )
            bar.advance()
    rows = summary(found)
    words = (
        f"# Detail where people look\n\nA cortex that inherits {s.detail}; {len(found)} photographs {WHICH[s.half]}, "
        f"{s.n_glances} glances, the first at the centre; intervals: 95 %, bootstrap over photographs.\n\n"
    )
    page = words + rows_to_markdown(rows)
    each = [
        DetailRow(name, gazed.names[i], one.acuity, one.covering, one.scanmatch)
        for i, by_name in zip(told_on, found, strict=True)
        for name, one in by_name.items()
    ]
    return page, (
        write_atomically(s.out / "detail.md", page.encode()),
        write_atomically(s.out / "detail.csv", rows_to_csv(each).encode()),
    )


def summary(found: list[dict[str, Detail]]) -> list[DetailSummary]:
    """A row a policy: means, and how much own sight is above it, paired by photograph."""

    def scores(measure: str, name: str) -> np.ndarray:
        return np.array([getattr(one[name], measure) for one in found])

    def more(measure: str, name: str) -> Interval | None:
        return None if name == OWN else paired_difference(scores(measure, OWN), scores(measure, name))

    return [
        DetailSummary(
            name,
            bootstrap_mean(scores("acuity", name)),
            more("acuity", name),
            bootstrap_mean(scores("covering", name)),
            more("covering", name),
            None if found[0][name].scanmatch is None else bootstrap_mean(scores("scanmatch", name)),
        )
        for name in found[0]
    ]
