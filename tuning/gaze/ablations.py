"""What each ingredient of the priority map is worth: the whole less the map without it, paired by photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.evaluation.gaze import TIMES_CENTRE, Scores, more_than
from ciliary.tuning.gaze.maps import ABLATIONS, PRIORITY
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown, shown


@dataclass(frozen=True)
class AblationRow:
    """By how much the whole priority is above a row; above 0: what the row lacks helps. IG in bits."""

    priority_is_above: str
    nss: Interval
    sauc: Interval
    nss_with_centre: Interval
    sauc_with_centre: Interval
    ig_with_centre: Interval


def ablation_rows(scores: Scores) -> list[AblationRow]:
    """A row a map of :data:`~ciliary.tuning.gaze.maps.ABLATIONS`, and one of the centre: what it adds to priority.

    Args:
        scores: of all of them, :func:`~ciliary.tuning.evaluation.gaze.gaze_rows`.
    """
    whole = PRIORITY + TIMES_CENTRE
    return [
        AblationRow(
            name,
            *(more_than(scores, PRIORITY, name, metric) for metric in ("nss", "sauc")),
            *(more_than(scores, whole, name + TIMES_CENTRE, metric) for metric in ("nss", "sauc", "ig")),
        )
        for name in ABLATIONS
    ]


def centre_rows(scores: Scores) -> dict[str, Interval]:
    """Metric -> what the centre adds to priority."""
    return {
        title: more_than(scores, PRIORITY + TIMES_CENTRE, PRIORITY, metric)
        for title, metric in (("NSS", "nss"), ("sAUC", "sauc"), ("IG", "ig"))
    }


def tell_ablations(scores: Scores, out: Path) -> tuple[str, tuple[Path, ...]]:
    """The part of the page, and ``gaze_ablations.csv`` in ``out``."""
    rows = ablation_rows(scores)
    centre = "; ".join(f"{title} {shown(found)}" for title, found in centre_rows(scores).items())
    text = (
        "## What each ingredient is worth\n\nThe whole priority less each row, paired by photograph: above 0, what the "
        f"row lacks helps. Energy has no weight in it; the row has 1.\n\n{rows_to_markdown(rows)}\n"
        f"The centre adds to priority: {centre}.\n"
    )
    return text, (write_atomically(out / "gaze_ablations.csv", rows_to_csv(rows).encode()),)
