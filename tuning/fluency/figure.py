"""An image, what its code gives back, and how few units answered; and the numbers of many images side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.sheet import NARROW_IN, Row, Sheet, narrow_row
from ciliary.tuning.fluency.economy import STAGES
from ciliary.tuning.fluency.measure import Measured


def draw_fluency(image: Tensor, found: Measured, *, title: str) -> Figure:
    """The image, M3's slots and M4's proto-objects in their mean colours, a scramble; economy beside its null.

    Args:
        image: (3, H, W) in [0, 1].
        found: what was measured of it.
        title: the line above.
    """
    numbers = found.numbers
    seen = paint.as_picture(image)
    row = narrow_row((seen.shape[0], seen.shape[1]))
    sheet = Sheet(title, _note(found), [row, row, Row(2, 2.0, 0.4)], width_in=NARROW_IN)
    style.picture(sheet.axes(0, 0), seen, "Image", f"mean colour alone: SSIM {found.nulls['ssim_blank']:.2f}")
    for place, name, words in (((0, 1), "m3", "M3's slots, mean colours"), ((1, 0), "m4", "M4's proto-objects")):
        told = f"SSIM {numbers[f'ssim_{name}']:.2f}, V1's energies off by {numbers[f'energy_error_{name}']:.2f}"
        style.picture(sheet.axes(*place), paint.as_picture(found.painted[name]), words, told)
    style.picture(sheet.axes(1, 1), paint.as_picture(found.scrambled), "Its phases scrambled", "what the null is of")
    for column, (kind, words) in enumerate([("gini", "Gini's index: more is sparser"), ("active", "Share active")]):
        ax = sheet.axes(2, column, left_in=0.3)
        x = np.arange(len(STAGES))
        ax.bar(x - 0.2, [found.nulls[f"{kind}_{s}"] for s in STAGES], 0.38, label="scrambled", **style.HOLLOW)
        ax.bar(x + 0.2, [numbers[f"{kind}_{s}"] for s in STAGES], 0.38, color=style.AFTER, label="image")
        ax.set_xticks(x, [s if s == "retina" else s.upper() for s in STAGES])
        ax.set_ylim(0, 1)
        style.plain(ax, words, "")
    style.legend(ax, n_columns=2)
    return sheet.figure


def _note(found: Measured) -> str:
    if found.is_blank:
        return "blank: there is nothing to see, and nothing is fluent"
    wanted = ("surprise", "sharpness", "attention", "gate_entropy", "spikes")
    told = [(name, found.numbers[name]) for name in wanted if name in found.numbers]
    return "   ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in told if value == value)  # noqa: PLR0124


def draw_ranges(names: Sequence[str], values: np.ndarray, nulls: Sequence[float], signs: Sequence[int]) -> Figure:
    """Where each number lies over images, (N, K) values: its middle nine tenths, its median, and the null.

    Each number on its own axis, from its 5th percentile or null to its 95th or null.
    """
    sheet = Sheet("Numbers of fluency over images", "bar: 5–95 %, line: median, diamond: knowing nothing",
                  [Row(1, 0.26 * len(names), 0.2)], width_in=8.6)  # fmt: skip
    ax = sheet.axes(0, 0, left_in=2.1, right_in=2.2)
    for row, (null, sign) in enumerate(zip(nulls, signs, strict=True)):
        known = values[:, row][np.isfinite(values[:, row])]
        if not len(known):
            continue
        low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
        ends = [low, high, *([null] if np.isfinite(null) else [])]
        span = max(max(ends) - min(ends), 1e-12)
        left, centre, right, line = ((x - min(ends)) / span for x in (low, middle, high, null))
        ax.barh(row, right - left, 0.55, left=left, color=style.AFTER, alpha=0.6)
        ax.plot([centre] * 2, [row - 0.3, row + 0.3], color=style.INK, lw=1.5)
        if np.isfinite(null):
            ax.plot(line, row, "D", color="white", mec=style.INK, ms=5, clip_on=False, zorder=3)
        words = f"{low:.3g} … {high:.3g}, {'more' if sign > 0 else 'less'} is fluent".replace("-", "−")
        ax.text(1.04, row, words, fontsize=8, color=style.FAINT, va="center", clip_on=False)
    ax.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    ax.set_xticks([])
    ax.set_xlim(0, 1)
    ax.set_ylim(len(names) - 0.4, -0.6)
    style.plain(ax, "", "")
    ax.grid(visible=False)
    ax.tick_params(axis="y", colors=style.INK)
    return sheet.figure
