"""What a memory of things is worth: a table of intervals, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ciliary.envs.metrics.identity import IdentityCounts
from ciliary.envs.metrics.statistics import Interval, gap_closed
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import markdown_table

METRICS = {
    "idf1": "IDF1",
    "mota": "MOTA",
    "switched": "switches",
    "lost": "losses",
    "renamed": "renamed a thing",
}
_FEW = 5  # clips: with fewer, frames and things are resampled, which one film's are not quite independent of


@dataclass(frozen=True)
class TrackTable:
    """Every way's mistakes.

    Attributes:
        cells: (step, row) -> metric -> interval.
        n_again: step -> segments that are a thing which was there before: what switches and losses are shares of.
        unit: what was resampled.
    """

    cells: Mapping[tuple[int, str], Mapping[str, Interval]]
    n_again: Mapping[int, int]
    unit: str


def tabulate(found: Mapping[tuple[int, str], Sequence[Sequence[IdentityCounts]]]) -> TrackTable:
    """Intervals of mistakes.

    Args:
        found: (step, row) -> for each clip, its counts, one for each first frame.
    """
    n_clips = max((len(clips) for clips in found.values()), default=0)
    by_clip = n_clips >= _FEW
    cells = {key: _intervals(clips, by_clip=by_clip) for key, clips in found.items()}
    n_again = {step: _n_again(clips) for (step, _), clips in found.items()}
    return TrackTable(
        cells, n_again, f"bootstrap over {n_clips} clips" if by_clip else "bootstrap over frames and things"
    )


def _intervals(clips: Sequence[Sequence[IdentityCounts]], *, by_clip: bool) -> dict[str, Interval]:
    def gathered(name: str) -> np.ndarray:
        """A number a unit: of each clip, or of each frame or thing of all."""
        parts = [np.concatenate([getattr(count, name) for count in counts]) for counts in clips]
        return np.array([part.sum() for part in parts]) if by_clip else np.concatenate(parts)

    objects, switched, lost = (gathered(name) for name in ("n_objects", "n_switched", "n_lost"))
    seen, right = gathered("n_seen"), gathered("n_right")
    return {
        "idf1": _ratio(right, seen),
        # Things seen for the first time are among the segments of MOTA; shared out evenly over frames.
        "mota": _turned(_ratio((switched + lost) * objects.sum() / max(seen.sum(), 1), objects)),
        "switched": _ratio(switched, objects),
        "lost": _ratio(lost, objects),
        "renamed": _scaled(_ratio(switched + lost, objects), objects.sum() / max(_n_things(clips), 1)),
    }


def _n_again(clips: Sequence[Sequence[IdentityCounts]]) -> int:
    return sum(int(count.n_objects.sum()) for counts in clips for count in counts)


def _n_things(clips: Sequence[Sequence[IdentityCounts]]) -> int:
    return sum(len(count.n_seen) for counts in clips for count in counts)


def _ratio(part: np.ndarray, whole: np.ndarray) -> Interval:
    """Sum of parts over sum of wholes: the share of the gap between nothing and the whole."""
    return gap_closed(np.zeros(len(part)), part, whole)


def _turned(interval: Interval) -> Interval:
    return Interval(1 - interval.mean, 1 - interval.high, 1 - interval.low, interval.n)


def _scaled(interval: Interval, by: float) -> Interval:
    return Interval(by * interval.mean, by * interval.low, by * interval.high, interval.n)


def as_markdown(table: TrackTable) -> str:
    """A row a step and way."""
    rows = [
        [str(step), row, str(table.n_again[step]), *(_shown(found[metric]) for metric in METRICS)]
        for (step, row), found in table.cells.items()
    ]
    return markdown_table(
        ["step", "names by", "seen again", *METRICS.values()],
        rows,
        is_number=[True, False, *[True] * (1 + len(METRICS))],
    )


def write_table(table: TrackTable, words: str, out: Path) -> tuple[Path, Path]:
    """``track.md`` and ``track.csv`` in ``out``."""
    page = f"# Identity\n\n{words}; intervals: 95 %, {table.unit}.\n\n{as_markdown(table)}\n"
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["step", "names_by", "metric", "mean", "low", "high", "n"])
    for (step, row), found in table.cells.items():
        for metric, one in found.items():
            writer.writerow([step, row, metric, *(f"{x:.6g}" for x in (one.mean, one.low, one.high)), one.n])
    return (
        write_atomically(out / "track.md", page.encode()),
        write_atomically(out / "track.csv", rows.getvalue().encode()),
    )


def _shown(one: Interval) -> str:
    mean, low, high = (f"{x + 0.0:.3f}" for x in (one.mean, one.low, one.high))
    return mean if low == high else f"{mean} [{low}, {high}]"
