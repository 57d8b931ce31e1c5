"""Shares of a gain as bars, and what is lost when one player is taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import NARROW_IN, Row, Sheet
from ciliary.tuning.attribution.gain import Why

N_MOST = 14  # players that have a bar of their own
_BAR_IN = 0.46  # a bar, and below it what it stands for
_LEFT_IN, _RIGHT_IN = 1.5, 0.55


def draw_why(why: Why, *, title: str) -> Figure:
    """A bar for each player, the largest share on top; those left over together in the last.

    Args:
        why: of :func:`~ciliary.tuning.attribution.gain.explain`.
        title: the line above.
    """
    order = why.order
    shown, rest = order[:N_MOST], order[N_MOST:]
    if len(rest) == 1:
        shown, rest = order, rest[:0]
    shares = why.shares
    n_rows = len(shown) + bool(len(rest))
    sheet = Sheet(title, _note(why), [Row(1, max(n_rows, 3) * _BAR_IN, 0.62)], width_in=NARROW_IN)
    ax = sheet.axes(0, 0, left_in=_LEFT_IN, right_in=_RIGHT_IN)
    y = np.arange(len(shown))
    ax.barh(y, shares.share[shown], 0.36, color=style.AFTER, alpha=0.85, label="share (Shapley)")
    if not shares.is_exact:
        error = np.nan_to_num(shares.standard_error[shown])
        ax.errorbar(shares.share[shown], y, xerr=error, fmt="none", ecolor=style.INK, elinewidth=1, capsize=2)
    ax.plot(shares.undone[shown], y, "D", color="white", mec=style.INK, ms=4.5, label="lost if it alone is undone")
    if len(rest):
        ax.barh(len(shown), shares.share[rest].sum(), 0.36, color=style.TRIAL)
    ax.axvline(0, color=style.FAINT, lw=0.8)
    names = [why.names[i] for i in shown] + ([f"{len(rest)} others"] if len(rest) else [])
    ax.set_yticks(np.arange(n_rows), names, fontsize=8.5, parse_math=False)
    ax.set_ylim(max(n_rows, 3) - 0.4, -0.5)
    for row, i in enumerate(shown):
        percent = "" if np.isnan(why.percent[i]) else f"{why.percent[i]:+.0f} %"
        place: dict[str, Any] = {
            "transform": ax.get_yaxis_transform(),
            "va": "center",
            "clip_on": False,
            "fontsize": 8.5,
        }
        ax.text(1.13, row, percent.replace("-", "−"), color=style.INK, ha="right", **place)
        ax.text(0.0, row + 0.37, why.words[i], color=style.FAINT, ha="left", parse_math=False, **place)
    style.plain(ax, "", "")
    ax.tick_params(axis="y", colors=style.INK)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=style.GRID, lw=0.7)
    what = "likeness to what all looks come to" if why.is_of_looks else "fall of the total"
    ax.set_xlabel(what, fontsize=8.5, color=style.FAINT)
    style.legend(ax, n_columns=2)
    return sheet.figure


def _note(why: Why) -> str:
    shares = why.shares
    how = "all sets of them" if shares.is_exact else "sampled orders, bars' lines: one standard error"
    kind = "looks" if why.is_of_looks else "parameters moved"
    what = "likeness to the answer" if why.is_of_looks else "total"
    agreement = why.rank_agreement
    ranks = "" if np.isnan(agreement) else f"; ranks agree with undoing one at a time: {agreement:.2f}"
    change = f"{what} {why.before:.3f} → {why.after:.3f}"
    return f"{len(why.names)} {kind}, {change}; {shares.n_evaluations} evaluations, {how}{ranks}".replace("-", "−")
