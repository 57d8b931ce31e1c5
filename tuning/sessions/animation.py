"""An episode as a moving picture: the percept at each improvement, and the loss falling beside it.

A search by populations never steps the environment, so a video of the environment shows only its end
(``gymnasium.wrappers.RecordVideo`` suits agents that step). Here the settings of a finished trace are perceived again,
in one batch, and drawn as a GIF, which MLflow's artifact viewer and most pages show as it is::

    trace = run_episode(env, make_controller("tpe"), seed=0)
    animate_episode(env, trace, Path("episode.gif"), title="coffee in fog")
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from skimage.segmentation import find_boundaries
from torch import Tensor

from ciliary.agents.trace import Trace
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.plot import paint, style
from ciliary.envs.batch import images_per_pass
from ciliary.envs.data.opening import SOFTWARE
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions import panels

MAX_FRAMES = 20
_DPI = 100
_WIDTH_PX, _PICTURE_PX = 640, (304, 304)  # of the page; the most a picture may take (width, height)
_MARGIN_PX, _TITLE_PX, _CAPTION_PX, _CURVE_PX = 12, 52, 26, 168
_FRAME_MS, _LAST_MS = 800, 3500
_INKS = ("white", style.INK, style.FAINT, style.GRID, style.BEFORE, style.AFTER, style.TRIAL)


@dataclass(frozen=True)
class Shot:
    """One frame: the episode when trial ``i_trial`` was made, and the percept of trial ``i_shown``."""

    i_trial: int
    i_shown: int


def plan_shots(total: np.ndarray, *, i_chosen: int, by_steps: bool = False, n_most: int = MAX_FRAMES) -> list[Shot]:
    """Which moments of an episode to show: the defaults, each improvement, and what was applied in the end.

    Args:
        total: (T,) totals, not all finite perhaps; trial 0 is the default setting.
        i_chosen: the trial that was applied.
        by_steps: the trials are a path that was walked rather than a search: show each.
        n_most: frames at most, >= 2; more are thinned out evenly, first and last are kept.
    """
    if n_most < 2:
        raise ValueError(f"expected n_most >= 2 (the first and the last), got {n_most}")
    finite = np.where(np.isfinite(total), total, np.inf)
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], finite[:-1]]))
    is_shown = np.full(len(total), by_steps) | (finite < best_before)
    is_shown[0] = True
    shots = [Shot(int(i), int(i)) for i in np.flatnonzero(is_shown)]
    last = Shot(len(total) - 1, i_chosen)
    if shots[-1] != last:
        shots.append(last)
    keep = np.unique(np.linspace(0, len(shots) - 1, n_most).round().astype(int)) if len(shots) > n_most else None
    return shots if keep is None else [shots[i] for i in keep]


def plan_looks(n_looks: int, *, n_most: int = MAX_FRAMES) -> list[Shot]:
    """Moments of an episode whose answer is all looks together: after 1, 2, 4, then every fourth look, and the last."""
    counts = sorted({1, 2, *range(4, n_looks, max(4, -(-n_looks // (n_most - 3)))), n_looks})
    return [Shot(n - 1, n - 1) for n in counts if n <= n_looks]


def shots_of(trace: Trace, *, by_steps: bool = False) -> list[Shot]:
    """The moments of an episode that are shown; fewer than two, and nothing moves."""
    if trace.is_integrated:
        return plan_looks(trace.n_trials)
    return plan_shots(trace.total, i_chosen=trace.i_chosen, by_steps=by_steps)


def animate_episode(
    env: Any,
    trace: Trace,
    path: Path,
    *,
    title: str,
    by_steps: bool = False,
    known: Mapping[int, AbstractPercept] | None = None,
    n_recommended: int = 0,
) -> Path | None:
    """Write the animation of an episode; None (and no file) if it has nothing to move, such as a single trial.

    Where the answer is all looks together, what the first so many come to; ``env.looks`` is asked for them.

    Args:
        env: stands at the episode's image: ``image`` (3, H, W) and ``percept(u)`` are asked of it.
        trace: of the episode.
        path: of the GIF.
        title: the line above.
        by_steps: see :func:`plan_shots`.
        n_recommended: trials before searching began, see :func:`ciliary.tuning.sessions.panels.count_recommended`.
        known: percepts (batch of one) that are there already, by trial; the others cost one forward pass each.
    """
    shots = shots_of(trace, by_steps=by_steps)
    n_recommended = 0 if trace.is_integrated else n_recommended
    if len(shots) < 2:
        return None
    world = getattr(env, "unwrapped", env)
    image = torch.as_tensor(world.image)
    film = _Film(image, trace, title, n_recommended)
    labels = labels_of(world, trace, shots, film.picture_size, known or {})
    frames = [film.frame(shot, labels[shot.i_shown], is_last=shot is shots[-1]) for shot in shots]
    return write_gif(frames, path)


def labels_of(
    world: Any, trace: Trace, shots: Sequence[Shot], size: tuple[int, int], known: Mapping[int, AbstractPercept]
) -> dict[int, np.ndarray]:
    """What is seen at some moments: by ``i_shown``, labels (H, W) at ``size``.

    Args:
        world: the environment, unwrapped, at the episode's image.
        trace: of the episode.
        shots: the moments; where the answer is all looks together, what the first so many come to.
        size: (H, W).
        known: percepts that are there already, by trial.
    """
    if not trace.is_integrated:
        return _perceive(world, trace.u, [shot.i_shown for shot in shots], size, known)
    looks = world.looks.looks
    seen = {shot.i_shown: integrate(looks.take(slice(0, shot.i_shown + 1))) for shot in shots}
    return {i: percept.labels(size)[0].cpu().numpy() for i, percept in seen.items()}


def write_gif(frames: Sequence[np.ndarray], path: Path, *, frame_ms: int = _FRAME_MS, last_ms: int = _LAST_MS) -> Path:
    """Write frames (H, W, 3) uint8 as an endless GIF, the last held longer, atomically.

    All frames share one palette and are not dithered: what stands still is then the same in all, and costs nothing.
    """
    palette = Image.new("P", (1, 1))
    palette.putpalette(_shared_palette(frames).ravel().tolist())
    pages = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = [frame_ms] * (len(pages) - 1) + [last_ms]
    buffer = io.BytesIO()
    pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:], duration=duration, loop=0, disposal=1,
                  comment=SOFTWARE.encode())  # fmt: skip
    return write_atomically(path, buffer.getvalue())


def _shared_palette(frames: Sequence[np.ndarray]) -> np.ndarray:
    """(N <= 255, 3) colours for all frames, the page's own inks exactly; entry 256 is for "as in the frame before"."""
    inks = np.rint(255 * np.array([to_rgb(ink) for ink in _INKS])).astype(int)
    n = len(frames)
    few = np.concatenate([frames[i][::2, ::2] for i in sorted({0, n // 3, 2 * n // 3, n - 1})])
    found = Image.fromarray(few).quantize(255 - len(inks)).getpalette() or []
    other = np.array(found[: 3 * (255 - len(inks))], dtype=int).reshape(-1, 3)
    # Pillow looks colours up in cells some levels wide: a neighbour of an ink would take its place
    is_neighbour = (np.abs(other[:, None] - inks[None]).max(2) < 8).any(1)
    return np.concatenate([inks, other[~is_neighbour]])


def _perceive(
    world: Any, u: np.ndarray, trials: Sequence[int], size: tuple[int, int], known: Mapping[int, AbstractPercept]
) -> dict[int, np.ndarray]:
    """Labels (H, W) at ``size`` of the percepts of these trials."""
    labels = {i: known[i].labels(size)[0].numpy() for i in trials if i in known}
    new = [i for i in dict.fromkeys(trials) if i not in labels]
    n_at_once = images_per_pass(*world.image.shape[-2:])
    for start in range(0, len(new), n_at_once):
        rows = new[start : start + n_at_once]
        labels |= dict(zip(rows, world.percept(u[rows]).labels(size).numpy(), strict=True))
    return labels


class _Film:
    """Draws the frames of one episode on one figure, laid out once; pictures are pasted in, pixel for pixel."""

    def __init__(self, image: Tensor, trace: Trace, title: str, n_recommended: int):
        self.trace, self._n_recommended = trace, n_recommended
        self._is_of_looks = "change" in trace.terms
        height, width = image.shape[-2:]
        scale = min(_PICTURE_PX[0] / width, _PICTURE_PX[1] / height)
        self.picture_size = round(height * scale), round(width * scale)  # (H, W)
        self._height_px = _TITLE_PX + self.picture_size[0] + _CAPTION_PX + _CURVE_PX
        self._seen = _resized(image, self.picture_size)
        self._figure = Figure(figsize=(_WIDTH_PX / _DPI, self._height_px / _DPI), dpi=_DPI, facecolor="white")
        self._canvas: Any = FigureCanvasAgg(self._figure)
        self._text(_MARGIN_PX, 17, title, size=10.5, weight="bold")
        self._subtitle = self._text(_MARGIN_PX, 38, "", size=9)
        below = _TITLE_PX + self.picture_size[0] + 12
        self._lefts = (_MARGIN_PX, _WIDTH_PX // 2 + _MARGIN_PX // 2)
        self._text(self._lefts[0], below, "what was seen, borders of its regions", size=8, color=style.FAINT)
        self._caption = self._text(self._lefts[1], below, "", size=8, color=style.FAINT)
        self._dots, self._best, self._now = self._curve()
        # axes and words are drawn once; a frame draws what moves on top of them, in a tenth of the time
        self._moving = (self._subtitle, self._caption, self._dots, self._best, self._now)
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(self._figure.bbox)

    def _text(self, x_px: float, y_px: float, text: str, *, size: float, color: str = style.INK, **more: Any) -> Any:
        x, y = x_px / _WIDTH_PX, 1 - y_px / self._height_px
        # user's text is no formula
        return self._figure.text(x, y, text, fontsize=size, color=color, va="center", parse_math=False, **more)

    def _curve(self) -> tuple[Any, Any, Any]:
        left, right, bottom, top = 66, _MARGIN_PX, 34, 10
        width, height = _WIDTH_PX - left - right, _CURVE_PX - bottom - top
        box = (left / _WIDTH_PX, bottom / self._height_px, width / _WIDTH_PX, height / self._height_px)
        ax = self._figure.add_axes(box)
        panels.scale(ax, self.trace.total, self.trace.before["total"])
        told = "disagreement with all" if self._is_of_looks else panels.loss_label(self.trace.before)
        style.plain(ax, "", told)
        ax.axhline(self.trace.before["total"], color=style.BEFORE, lw=1.2, ls=(0, (5, 3)), zorder=1)
        words = "look" if self._is_of_looks else panels.mark_recommended(ax, self._n_recommended, self.trace.n_trials)
        ax.set_xlabel(f"{words}; dashed: the defaults", fontsize=8, color=style.FAINT)
        (dots,) = ax.plot([], [], "o", color=style.TRIAL, ms=4, zorder=2)
        (best,) = ax.step([], [], where="post", color=style.AFTER, lw=1.8, zorder=3)
        (now,) = ax.plot([], [], "o", color=style.AFTER, ms=8, mec="white", mew=1.4, zorder=4, clip_on=False)
        return dots, best, now

    def frame(self, shot: Shot, labels: np.ndarray, *, is_last: bool) -> np.ndarray:
        """(H, 640, 3) uint8."""
        trace, n_made = self.trace, shot.i_trial + 1
        doing = f"trial {shot.i_trial} of {trace.n_trials - 1}"
        if shot.i_shown == 0:
            doing = "the defaults" + (" are kept" if is_last else "")
        elif is_last:
            doing = f"applied: trial {shot.i_shown}"
        told = "predicted_score" if "predicted_score" in trace.terms else "total"
        if trace.is_integrated:
            doing, told = (f"{n_made} looks together" if n_made > 1 else "the defaults"), "agreement"
        value = trace.terms[told][shot.i_shown]
        if told == "agreement":  # of so many looks; the curve is of its complement, for each with all
            told, value = "disagreement", 1 - value
        self._subtitle.set_text(
            f"{doing}  ·  {style.spelled(told)} " + (f"{value:.3f}" if np.isfinite(value) else "not finite")
        )
        self._caption.set_text(paint.count_regions(labels))
        x = np.arange(n_made)
        self._dots.set_data(x, trace.total[:n_made])
        if not self._is_of_looks:  # looks are no search
            best = np.where(np.isfinite(trace.best_so_far), trace.best_so_far, np.nan)
            self._best.set_data(x, best[:n_made])
        self._now.set_data([shot.i_shown], [trace.total[shot.i_shown]])
        self._canvas.restore_region(self._still)
        for artist in self._moving:
            self._figure.draw_artist(artist)
        page: np.ndarray = np.array(self._canvas.buffer_rgba())[..., :3].copy()
        borders = find_boundaries(labels, mode="inner", background=-1)
        seen = paint.with_borders(self._seen, borders, style.AFTER)
        perceived = paint.with_borders(paint.own_colours(self._seen, labels), borders, "white")
        height, width = self.picture_size
        for left, picture in zip(self._lefts, (seen, perceived), strict=True):
            page[_TITLE_PX : _TITLE_PX + height, left : left + width] = np.rint(picture * 255)
        return page


def _resized(image: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Image (3, h, w) in [0, 1] to (H, W, 3) in [0, 1], bicubic."""
    pixels = (image.detach().permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)) / 255
