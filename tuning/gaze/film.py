"""The film of a gaze: fixation by fixation, the photograph with the path so far, and what the eye has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.cortex.dorsal.looking import GazeLook, mosaics_along
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.gaze import draw_path, shown_mosaic
from ciliary.tuning.sessions.animation import MAX_FRAMES, write_gif

_DPI, _WIDTH_PX = 100, 720


def write_gaze_film(look: GazeLook, path: Path, *, name: str) -> Path | None:
    """Write the GIF; None, and no file, of a single fixation. Many fixations are thinned out evenly."""
    n = len(look.y_px)
    if n < 2:
        return None
    shown = set(np.unique(np.linspace(0, n - 1, min(n, MAX_FRAMES)).round().astype(int)).tolist())
    frames = [
        _frame(replace(look, y_px=look.y_px[: i + 1], x_px=look.x_px[: i + 1], mosaic=mosaic), name)
        for i, mosaic in enumerate(mosaics_along(look))
        if i in shown
    ]
    return write_gif(frames, path)


def _frame(look: GazeLook, name: str) -> np.ndarray:
    image = paint.as_picture(look.image)
    height, width = image.shape[:2]
    title_px, tall_px = 28, int(_WIDTH_PX / 2 * height / width)
    total_px = (title_px + tall_px + 1) // 2 * 2  # even, as video encoders want
    figure = Figure(figsize=(_WIDTH_PX / _DPI, total_px / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    words = f"{name}  ·  fixation {len(look.y_px)}"
    figure.text(0.01, 1 - title_px / 2 / total_px, words, fontsize=10, weight="bold", color=style.INK, va="center",
                parse_math=False)  # fmt: skip
    share = tall_px / total_px
    left, right = (figure.add_axes((start, 0, 0.495, share)) for start in (0, 0.505))
    style.picture(left, image, "")
    draw_path(left, look)
    style.picture(right, shown_mosaic(look), "")
    canvas.draw()
    page: np.ndarray = np.array(canvas.buffer_rgba())[..., :3].copy()
    return page
