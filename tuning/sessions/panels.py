"""The panels of an episode's figures: each draws one thing on the axes it is given and knows nothing of the page."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ciliary.cortex.plot.style import AFTER, BEFORE, FAINT, GRID, HOLLOW, INK, TRIAL, legend, plain, spelled
from ciliary.cortex.table import ParameterTable
from ciliary.envs.objective.recognition import RECOGNITION_TERMS
from ciliary.envs.objective.terms import TERMS
from ciliary.tuning.sessions.gains import is_of_looks

_MAX_MOVED = 8
_MOST_BEYOND = 4  # totals beyond the axis that are written beside their marks
_LEAST_SPAN = 0.02  # of an axis of losses: less is nothing to look at closely
_TOTALS = {"agreement": "disagreement with a panel", "joint": "terms and dissent", "raw": "total of the terms"}
_PARTS = ("raw", "recognition", "worst_case", "texture")  # objectives whose total the terms are parts of
#: What a term loses by, below its name.
_LOST_BY = {
    "stability": "in other light",
    "consistency": "when moved",
    "collapse": "unexplained",
    "economy": "effort",
}
_SAME = 1e-3  # difference in u under which two settings are one: a sampler keeps them in other units


def total_of(record: Mapping[str, Any]) -> str:
    """What an episode's total is, in words, by the objective that it was judged by."""
    name = (str(record.get("objective", "")).split() or [""])[0]
    return "disagreement with all looks" if is_of_looks(record) else _TOTALS.get(name, "total")


def loss_label(terms: Mapping[str, Any], record: Mapping[str, Any] | None = None) -> str:
    """What the total is, by the terms that stand beside it, and by the record where there is one."""
    called = "1 − predicted score" if "predicted_score" in terms else total_of(record or {})
    return f"{called} (lower is better)"


def scale(ax: Axes, total: np.ndarray, before: float) -> float:
    """Limits of the axes of a loss over trials, (T,) totals; returns the upper one (inf without a finite total).

    A few totals far above the defaults are left outside, so that they do not press the rest flat.
    """
    ax.set_xlim(-0.6, max(len(total) - 0.4, 1))
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    finite = total[np.isfinite(total)]
    if len(finite) == 0:
        return math.inf
    known = [value for value in (before,) if np.isfinite(value)]
    low = min([finite.min(), *known])
    span = max(max([np.quantile(finite, 0.9), *known]) - low, _LEAST_SPAN)
    top = low + 1.25 * span
    ax.set_ylim(low - 0.12 * span, top + 0.08 * span)
    return float(top)


def count_recommended(u: np.ndarray, starts: np.ndarray | None) -> int:
    """How many trials (T, P) were over before searching began: the defaults, then the objective's own list (M, P).

    The list is tried in the objective's order, best first: its totals rise, and are no search that gets worse.
    """
    if starts is None:
        return 0
    listed = np.concatenate([u[:1], starts])
    is_listed = (np.abs(u[:, None] - listed[None]).max(2) < _SAME).any(1)
    n = len(u) if is_listed.all() else int(is_listed.argmin())
    return n if n > 1 else 0


def mark_recommended(ax: Axes, n_recommended: int, n_trials: int) -> str:
    """Shade the trials before searching began; returns what to call the axis of trials."""
    if not n_recommended:
        return "trial"
    ax.axvspan(-0.6, n_recommended - 0.5, color=GRID, alpha=0.5, lw=0, zorder=0, label="recommended")
    if n_recommended >= n_trials:
        return "trial (all recommended by the objective: nothing was searched)"
    return f"trial (first what the objective recommends; searching starts at {n_recommended})"


def history(
    ax: Axes,
    total: Sequence[float | None],
    best: Sequence[float | None],
    before: float,
    i_chosen: int,
    *,
    n_recommended: int = 0,
    label: str = "total (lower is better)",
    together: float | None = None,
    is_of_looks: bool = False,
) -> None:
    """Total of each trial, best so far, the defaults as a dashed line, and the chosen trial.

    ``together`` is the total of all looks, where they are the answer: a line, and nothing was applied. Looks are no
    search: there is no best so far.

    The first ``n_recommended`` trials (:func:`count_recommended`) lie on a grey ground.
    Totals beyond the :func:`scale` are drawn at the upper edge as triangles.
    """
    y, best_y = (np.array([np.nan if v is None else v for v in values], float) for values in (total, best))
    x = np.arange(len(y))
    top = scale(ax, y, before)
    over = y > top
    if over.any():
        ax.plot(x[over], np.full(over.sum(), top), "^", color=TRIAL, ms=4.5)
        for i in x[over][:_MOST_BEYOND]:  # what the marks at the edge stand for
            ax.text(i, top, f"  {y[int(i)]:.2f}", fontsize=8, color=FAINT, va="center")
    ax.axhline(before, color=BEFORE, lw=1.2, ls=(0, (5, 3)), zorder=1, label="defaults")
    ink, called = (BEFORE, "a look") if is_of_looks else (TRIAL, "trial")
    ax.plot(x, y, "o", color=ink, ms=4, zorder=2, label=called)
    if len(x) > 1 and not is_of_looks:
        ax.step(x, best_y, where="post", color=AFTER, lw=1.8, zorder=3, label="best so far")
    if together is not None:
        ax.set_ylim(bottom=min(ax.get_ylim()[0], together - 0.1 * (top - together)))
        ax.axhline(together, color=AFTER, lw=1.8, ls=(0, (1, 1)), zorder=2, label="all together")
    if np.isfinite(y[i_chosen]) and not (is_of_looks and together is None):  # the line of the defaults is there
        word = "applied" if together is None else "best single"
        ax.plot(i_chosen, y[i_chosen], "o", color=AFTER, ms=8, mec="white", mew=1.4, zorder=4, label=word)
    across = "look" if is_of_looks else mark_recommended(ax, n_recommended, len(y))
    ax.set_xlabel(across, fontsize=8.5, color=FAINT)
    plain(ax, "Look by look" if is_of_looks else "Loss over trials", label.replace(" (", "\n("))
    legend(ax, n_columns=5)


def terms(
    ax: Axes,
    before: Mapping[str, float | None],
    after: Mapping[str, float | None],
    record: Mapping[str, Any] | None = None,
) -> None:
    """Pairs of bars of what was minimised, and below it of its parts, or of what was told beside it.

    One bar each where nothing was changed. All are losses: less is better.
    """
    record = record or {}
    names = ["total", *(name for name in (*TERMS, *RECOGNITION_TERMS) if name in before)]
    are_parts = str(record.get("objective", "")).split()[:1] in [[name] for name in _PARTS]
    y, is_kept = np.arange(len(names)) + np.where(np.arange(len(names)) > 0, 0.55, 0.0), after == before
    pairs = [(-0.2, before, HOLLOW, "before"), (0.2, after, {"color": AFTER}, "after")]
    for offset, side, look, label in [(0.0, before, {"color": BEFORE}, "defaults")] if is_kept else pairs:
        widths = np.array([side.get(name) for name in names], dtype=float)  # None becomes nan
        bars = ax.barh(y + offset, widths, 0.38, label=label, **look)
        ax.bar_label(bars, [f"{w:.2f}" for w in widths], fontsize=8, color=FAINT, padding=2)
    called = loss_label(before, record).partition(" (")[0]
    spelt = [textwrap.fill(f"{called}: minimised", 20), *(_spelt(name) for name in names[1:])]
    ax.set_yticks(y, spelt, parse_math=False)
    ax.set_ylim(y[-1] + 0.55, -0.55)
    ax.margins(x=0.12)
    if len(names) > 1:
        words = "its parts" if are_parts else "not minimised"
        ax.text(-0.02, 0.78, words, fontsize=8, color=FAINT, ha="right", va="center",
                transform=ax.get_yaxis_transform(), style="italic")  # fmt: skip
    plain(ax, "Losses, defaults kept" if is_kept else "Losses (lower is better)", "")
    ax.set_xlabel("lower is better" if is_kept else "", fontsize=8.5, color=FAINT)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, lw=0.7)
    ax.tick_params(axis="y", labelsize=8, colors=INK)
    if not is_kept:
        legend(ax, n_columns=2)


def _spelt(name: str) -> str:
    return f"{spelled(name)}, {_LOST_BY[name]}" if name in _LOST_BY else spelled(name)


def moved(
    ax: Axes, u_before: np.ndarray, u_after: np.ndarray, theta: Mapping[str, float], table: ParameterTable
) -> None:
    """The parameters which moved most, as dumbbells on u in [-1, 1]; the physical values stand beside them."""
    change = np.abs(u_after - u_before)
    order = [i for i in np.argsort(-change)[:_MAX_MOVED] if change[i] > 1e-6][::-1]
    if not order:
        ax.set_axis_off()
        ax.set_title("What moved", fontsize=10, color=INK, loc="left", pad=5)
        ax.text(
            0, 0.92, "nothing: the defaults are in place", fontsize=9, color=FAINT, transform=ax.transAxes, va="top"
        )
        return
    names, defaults = table.names, table.to_physical(u_before)
    y = np.arange(len(order))
    ax.hlines(y, u_before[order], u_after[order], color=AFTER, lw=1.6, alpha=0.55)
    ax.plot(u_before[order], y, "o", color="white", mec=BEFORE, ms=5, clip_on=False)
    ax.plot(u_after[order], y, "o", color=AFTER, ms=6.5, clip_on=False)
    ax.set_yticks(y, [names[i] for i in order], fontsize=8, parse_math=False)
    for row, i in enumerate(order):
        ax.text(
            1.2, row, f"{defaults[i]:.3g} → {theta[names[i]]:.3g}", fontsize=8, color=FAINT, va="center", clip_on=False
        )
    ax.set_xlim(-1.05, 1.05)
    ax.set_ylim(-0.7, len(order) - 0.3)
    ax.set_xticks([-1, 1], ["low", "high"], fontsize=8)
    plain(ax, "What moved most", "")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", colors=INK)
