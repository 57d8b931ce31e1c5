"""Maps of gaze told beside people's fixations: a table, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ciliary.cortex.dorsal.looking import Trunk
from ciliary.cortex.dorsal.mixture import GazeMixture
from ciliary.envs.data.gaze import GazeSet, read_gaze
from ciliary.envs.metrics.gaze import GAZE_METRICS
from ciliary.envs.metrics.gaze_baselines import PEOPLE_SIGMA_DEG, all_counts, centre_bias
from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.gaze import CEILING, FLOORS, TIMES_CENTRE, Scores, gaze_rows, means_of
from ciliary.tuning.evaluation.gaze_scan import scan_table
from ciliary.tuning.gaze.maps import WHICH, Shown, halves, maps_to_tell
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import markdown_table

SCAN = "scanmatch"
TITLES = {name: metric.title for name, metric in GAZE_METRICS.items()}
TITLES |= {"nss": "NSS", "sauc": "sAUC", "auc_judd": "AUC-Judd", "ig": "IG (bits)", "kl": "KL (nats)"}
TITLES |= {SCAN: "ScanMatch"}
LEARNED = "learned"

Table = Mapping[str, Mapping[str, Interval]]


def tell(settings: GazeSettings, mixture: GazeMixture | None, trunk: Trunk | None) -> tuple[Table, Scores, str]:
    """The table that ``--people`` asks for, what it is the means of, and a line of what it is of.

    Args:
        settings: with ``people``.
        mixture: told as ``learned``; left out when None.
        trunk: of the backbone that the mixture names.

    Raises:
        ValueError, OSError: the folder is not as it should be, or photographs differ in size.
    """
    assert settings.people is not None
    gazed = read_gaze(settings.people)
    shown = Shown.of(gazed, long_side_px=settings.size_px, px_per_deg=settings.px_per_deg)
    told_on = halves(gazed, settings.n_images)[settings.half]
    with Bar(len(told_on), title="maps", unit="photographs", is_quiet=settings.is_quiet) as bar:
        maps, mixed = maps_to_tell(
            gazed, shown, told_on, mixture=mixture, trunk=trunk, with_ablations=settings.ablations, on_image=bar.advance
        )
        bar.next("metrics", None)
        table, scores = measure(gazed, shown, maps, mixed, mixture, told_on, n_fixations=settings.n_fixations)
    height, width = shown.size_px
    words = (
        f"{len(told_on)} photographs {WHICH[settings.half]}, of {len(gazed)}; looked at with "
        f"{width} x {height} px, {shown.seen_px_per_deg:.2f} px a degree"
    )
    return table, scores, words


def measure(
    gazed: GazeSet,
    shown: Shown,
    maps: Mapping[str, np.ndarray],
    mixed: np.ndarray | None,
    mixture: GazeMixture | None,
    told_on: list[int],
    *,
    n_fixations: int,
) -> tuple[Table, Scores]:
    """Row -> metric -> interval, ScanMatch among them where a row has a path; and the photographs' own scores."""
    counts = all_counts(gazed.fixations, photograph=shown.photograph, size=shown.cells)
    centre = centre_bias(counts, sigma=PEOPLE_SIGMA_DEG * shown.cells_per_deg)
    maps = dict(maps)
    if mixture is not None and mixed is not None:  # times the centre it is the density that was fitted
        maps[LEARNED] = mixed * centre ** (mixture.prior_exponent - 1)
    scores = gaze_rows(maps, gazed, photograph=shown.photograph, px_per_deg=shown.px_per_deg, told_on=told_on)
    found = means_of(scores)
    paths: dict[str, np.ndarray] = {}
    for name, values in maps.items():
        paths |= {name: values, name + TIMES_CENTRE: values * centre}
    scans = scan_table(
        paths,
        gazed,
        photograph=shown.photograph,
        cells_per_deg=shown.cells_per_deg,
        centre=centre,
        told_on=told_on,
        n_fixations=max(1, n_fixations - 1),
    )
    floors = [name for name in scans if name not in found]
    order = [*FLOORS, *floors, *(name for name in found if name not in (*FLOORS, CEILING)), CEILING]
    table = {name: {**found.get(name, {}), **({SCAN: scans[name]} if name in scans else {})} for name in order}
    return table, scores


def write_table(
    table: Table, words: str, out: Path, *, stem: str = "gaze", title: str = "Gaze", more: str = ""
) -> tuple[Path, Path]:
    """``<stem>.md``, with ``more`` below the table, and ``<stem>.csv`` in ``out``."""
    page = f"# {title}\n\n{words}; intervals: 95 %, bootstrap over photographs.\n\n{as_markdown(table)}\n{more}"
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["map", "metric", "mean", "low", "high", "n", "n_skipped"])
    for name, found in table.items():
        for metric, i in found.items():
            writer.writerow([name, metric, *(f"{x:.6g}" for x in (i.mean, i.low, i.high)), i.n, i.n_skipped])
    return (
        write_atomically(out / f"{stem}.md", page.encode()),
        write_atomically(out / f"{stem}.csv", rows.getvalue().encode()),
    )


def as_markdown(table: Table) -> str:
    """A row a map, a column a metric; an empty cell where a metric has nothing to say of a row."""
    metrics = [name for name in TITLES if any(name in found for found in table.values())]
    rows = [
        [name.replace(TIMES_CENTRE, " × centre"), *(_shown(name, metric, found) for metric in metrics)]
        for name, found in table.items()
    ]
    return markdown_table(["map", *(TITLES[name] for name in metrics)], rows, is_number=[False, *[True] * len(metrics)])


def _shown(name: str, metric: str, found: Mapping[str, Interval]) -> str:
    """IG only of what is a density with the centre in it; people's KL, CC and SIM are of one person at a time."""
    is_density = name in (*FLOORS, CEILING) or name.endswith(TIMES_CENTRE)
    if (
        metric not in found
        or (metric == "ig" and not is_density)
        or (name == CEILING and metric in ("kl", "cc", "sim"))
    ):
        return ""
    interval = found[metric]
    if not math.isfinite(interval.mean):
        return "–"
    mean, low, high = map(_number, (interval.mean, interval.low, interval.high))
    same = interval.high - interval.low < 5e-4
    return mean if same else f"{mean} [{low}, {high}]"


def _number(x: float) -> str:
    """Such as ``.873`` or ``−1.204``."""
    size = f"{abs(x):.3f}"
    sign = "−" if x < 0 and float(size) else ""
    return sign + size.removeprefix("0")
