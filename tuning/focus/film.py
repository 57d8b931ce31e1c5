"""The film of a focusing episode: what the whole retina and the window at the gaze show, look by look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.tuning.focus.episode import Retina, Watched
from ciliary.tuning.focus.figure import displayed, draw_curve, mark_gaze
from ciliary.tuning.sessions.animation import MAX_FRAMES, write_gif

_DPI, _SIZE_PX = 100, (720, 480)  # width, height
_UNITS = {"focus_dpt": "dpt", "pupil_mm": "mm"}


def write_film(watched: Watched, retina: Retina, path: Path, *, name: str) -> Path | None:
    """Write the GIF; None, and no file, of a single look. Many looks are thinned out evenly."""
    n = len(watched.setting)
    if n < 2:
        return None
    shown = np.unique(np.linspace(0, n - 1, min(n, MAX_FRAMES - 1)).round().astype(int)).tolist()
    frames = [_frame(watched, retina, i, i + 1, name) for i in shown]
    if watched.trace.i_chosen != n - 1:
        frames.append(_frame(watched, retina, watched.trace.i_chosen, n, name))
    return write_gif(frames, path)


def _frame(watched: Watched, retina: Retina, i: int, n_looks: int, name: str) -> np.ndarray:
    width, height = _SIZE_PX
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    setting = float(watched.setting[i])
    words = f"{name}  ·  {watched.trace.controller}  ·  look {i + 1}: {setting:.2f} {_UNITS[watched.muscle]}"
    figure.text(0.02, 0.965, words, fontsize=10, weight="bold", color=style.INK, va="center", parse_math=False)
    whole = figure.add_axes((0.02, 0.41, 0.56, 0.49))
    style.picture(whole, displayed(retina.at(setting)), "")
    mark_gaze(whole, watched)
    style.picture(figure.add_axes((0.62, 0.41, 0.35, 0.49)), displayed(watched.windows[i]), "")
    curve = figure.add_axes((0.1, 0.11, 0.87, 0.23))
    draw_curve(curve, watched, n_looks)
    curve.set_title("", loc="left")
    canvas.draw()
    page: np.ndarray = np.array(canvas.buffer_rgba())[..., :3].copy()
    return page
