"""The page of one episode: what was seen, what was perceived before and after, and how the losses fell.

Drawn with matplotlib's objects on Agg, never through pyplot: no window, no figure left behind, no setting changed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.integration.percept import IntegratedPercept
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import DPI, GUTTER_IN, NARROW_IN, Row, Sheet
from ciliary.envs.data.opening import SOFTWARE
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions import panels
from ciliary.tuning.sessions.gains import is_of_looks
from ciliary.tuning.sessions.playing import Played

KEPT = "defaults kept"
_COLUMN_IN = Row(2, 0).column_in(NARROW_IN)


def draw_episode(record: Mapping[str, Any], played: Played, *, n_recommended: int = 0) -> Figure:
    """The page of one episode. Where the defaults were kept, what was perceived is shown once.

    Args:
        record: see :mod:`ciliary.tuning.runs.record`.
        played: the episode itself, with its percept at the defaults.
        n_recommended: trials before searching began, see :func:`ciliary.tuning.sessions.panels.count_recommended`.
    """
    assert played.before is not None
    seen = played.image.detach().permute(1, 2, 0).numpy()
    height, width = seen.shape[:2]
    # two pictures take the page's width; a tall photograph makes a tall page, within reason
    picture_in = min(_COLUMN_IN * height / width, 1.3 * _COLUMN_IN)
    words = _words(record)
    is_kept = words == KEPT
    curves_in = [(2.2, 0.5)] if is_kept else [(2.2, 0.78), (1.7, 0.5)]
    heights_in = [(picture_in, 0.62)] * (2 if is_kept else 3) + curves_in
    rows = [Row(2, height_in, gap_in, GUTTER_IN) for height_in, gap_in in heights_in]
    page = Sheet(title(record), result(record), rows, width_in=NARROW_IN)
    style.picture(page.axes(0, 0), seen, "What was seen", f"{width} × {height} px")

    def regions(at: tuple[int, int], percept: AbstractPercept, words: str, terms: Mapping[str, float | None]) -> None:
        labels = percept.labels()[0].numpy()
        style.picture(page.axes(*at), paint.paint_regions(seen, labels), f"Regions, {words}", _note(labels, terms))

    def boundary(at: tuple[int, int], percept: AbstractPercept, words: str) -> None:
        strength = percept.boundary[0, 0].detach().numpy()
        style.picture(page.axes(*at), strength, f"Boundary, {words}", "dark where it is strong")
        if strength.max() < paint.LEAST_SEEN:
            style.nothing(page.figure.axes[-1], "none anywhere")

    if is_kept:
        regions((0, 1), played.after, words, record["after"])
        boundary((1, 0), played.after, words)
    elif isinstance(played.after, IntegratedPercept) and played.best is not None:
        doubt = played.after.uncertainty[0, 0].numpy()
        much = f"dark where they do; {doubt.mean():.2f} on average (of 1)"
        style.picture(page.axes(0, 1), doubt, "Where the looks disagree", much)
        regions((1, 0), played.before, "defaults", record["before"])
        regions((1, 1), played.after, words, record["after"])
        regions((2, 0), played.best, "best single look", {})
        boundary((2, 1), played.after, words)
    else:
        moved, trace = page.axes(0, 1, left_in=1.36, right_in=0.86), played.trace
        panels.moved(moved, played.u_before, trace.u_chosen, record["parameters"], trace.parameters)
        for column, (percept, name, terms) in enumerate(
            [(played.before, "defaults", record["before"]), (played.after, words, record["after"])]
        ):
            regions((1, column), percept, name, terms)
            boundary((2, column), percept, name)
    trials, first = record["history"], record["before"]["total"]
    n_pictures = 2 if is_kept else 3
    losses = page.axes(n_pictures, 0, n_columns=2, left_in=0.66)
    are_looks = is_of_looks(record)
    panels.history(
        losses,
        trials["total"],
        trials["best_so_far"],
        math.nan if first is None else first,
        record["i_chosen"],
        n_recommended=0 if are_looks else n_recommended,
        label=panels.loss_label(record["before"], record),
        together=record["after"]["total"] if played.trace.is_integrated else None,
        is_of_looks=are_looks,
    )
    left_in = 1.42
    at = page.axes(1, 1, left_in=left_in) if is_kept else page.axes(n_pictures + 1, 0, n_columns=2, left_in=left_in)
    panels.terms(at, record["before"], record["after"], record)
    return page.figure


def _words(record: Mapping[str, Any]) -> str:
    """What to call the percept after the episode."""
    if record["controller"] == "normalise":
        return "contrast stretched"
    if record.get("answer") == "integrated":
        return f"{record['n_trials']} looks together"
    if record["i_chosen"] == 0:
        return KEPT
    return "accommodated"


def _note(labels: np.ndarray, terms: Mapping[str, float | None]) -> str:
    """Below a picture of regions: how many they are, and how well they should cover what people see."""
    score = terms.get("predicted_score")
    words = [paint.count_regions(labels), *([] if score is None else [f"predicted score {score:.3f}"])]
    return "  ·  ".join(words)


def result(record: Mapping[str, Any]) -> str:
    """What came of it: trials, and the total (or the score it predicts) before and after."""
    name = "predicted_score" if "predicted_score" in record["before"] else "total"
    before, after = record["before"][name], record["after"][name]
    called = panels.total_of(record) if name == "total" else style.spelled(name)
    gain = "no finite loss"
    if before is not None and after is not None:
        percent = f" ({100 * (after / before - 1):+.0f} %)".replace("-", "−") if before > 0 and name == "total" else ""
        gain = f"{called} {before:.3f}"
        gain += " unchanged" if after == before else f" → {after:.3f}{percent}"
    n_trials, kind = record["n_trials"], "look" if is_of_looks(record) else "trial"
    return f"{n_trials} {kind}{'s' if n_trials != 1 else ''}  ·  {gain}"


def title(record: Mapping[str, Any]) -> str:
    """Which episode it is: image, disturbance, controller (the panel of looks is what all looks are)."""
    controller = record["controller"].replace("panel", "looks")
    words = [record["image"], record["disturbance"].replace("none", "undisturbed"), controller]
    return "  ·  ".join(words)


def write_figure(figure: Figure, path: Path) -> Path:
    """Save as PNG, atomically, signed so that it is known for ours; narrow figures are finer than others."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=max(figure.dpi, DPI), metadata={"Software": SOFTWARE})
    return write_atomically(path, buffer.getvalue())
