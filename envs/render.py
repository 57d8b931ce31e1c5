"""A picture of an episode: what the eye sees, where it sees contours, what it takes for objects, how the loss goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.plot.paint import paint_labels

#: (name, colour) of the loss terms drawn, the total last and thickest. Colours: Okabe & Ito 2008, safe for most eyes.
_LINES = (
    ("stability", "#56B4E9"),
    ("consistency", "#009E73"),
    ("collapse", "#E69F00"),
    ("economy", "#CC79A7"),
    ("total", "#000000"),
)
_SIZE_PX = (640, 480)  # width, height: even, as video encoders want
_DPI = 80


class Renderer:
    """Draws the frames of one environment on one figure, which is laid out once per image size.

    ``draw`` returns (480, 640, 3) uint8.
    """

    def __init__(self) -> None:
        width, height = (px / _DPI for px in _SIZE_PX)
        self._figure = Figure(figsize=(width, height), dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        axes = self._figure.subplots(2, 2)
        self._figure.subplots_adjust(left=0.015, right=0.985, bottom=0.02, top=0.89, wspace=0.04, hspace=0.13)
        self._pictures = dict(zip(("image", "contours", "proto-objects"), axes.flat, strict=False))
        for title, ax in self._pictures.items():
            ax.set_title(title, fontsize=10)
            ax.set_axis_off()
        self._title = self._figure.suptitle("", fontsize=11)
        self._loss, self._lines = self._axes_of_losses(axes[1, 1])

    def _axes_of_losses(self, ax: Axes) -> tuple[Axes, dict[str, Line2D]]:
        ax.set_position((0.57, 0.16, 0.405, 0.255))
        ax.set_title("loss by step", fontsize=10)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3)
        lines = {}
        for name, colour in _LINES:
            width = 2.4 if name == "total" else 1.2
            (lines[name],) = ax.plot([], [], color=colour, label=name, linewidth=width, marker=".", markersize=4)
        return ax, lines

    def draw(
        self, image: np.ndarray, percept: AbstractPercept, history: Sequence[Mapping[str, float]], *, title: str
    ) -> np.ndarray:
        """One frame.

        Args:
            image: (3, H, W) in [0, 1].
            percept: of a batch of one.
            history: terms after the reset and after each step.
            title: the line above.
        """
        contour = percept.boundary[0, 0].detach().cpu().numpy()
        labels = percept.labels()[0].cpu().numpy()
        pixels = np.clip(image.transpose(1, 2, 0), 0, 1)
        self._show("image", pixels)
        self._show("contours", np.repeat(1 - np.clip(contour, 0, 1)[..., None], 3, axis=2))
        self._show("proto-objects", paint_labels(pixels, labels))
        self._pictures["proto-objects"].set_title(f"proto-objects: {labels.max() + 1}", fontsize=10)
        self._plot(history)
        self._title.set_text(title)
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba())[..., :3]

    def _show(self, name: str, pixels: np.ndarray) -> None:
        ax = self._pictures[name]
        if ax.images and ax.images[0].get_array().shape == pixels.shape:
            ax.images[0].set_data(pixels)
            return
        for old in list(ax.images):
            old.remove()
        ax.imshow(pixels, vmin=0, vmax=1, interpolation="nearest")

    def _plot(self, history: Sequence[Mapping[str, float]]) -> None:
        for name, line in self._lines.items():
            values = [terms.get(name, np.nan) for terms in history]
            line.set_data(range(len(values)), values)
        # an objective without views does not measure all terms
        measured = [line for name, line in self._lines.items() if name in history[-1]]
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        self._loss.legend(handles=measured, fontsize=8, ncols=3, frameon=False, **place)
        self._loss.relim()
        self._loss.autoscale_view(scalex=False)
        self._loss.set_xlim(-0.3, max(len(history) - 1, 8) + 0.3)
