"""A frame of an eye's episode: the scene and the path over it, what the window sees, priority, and the mosaic."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot.things import paint_things
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.eye.world import EyeWorld

_SIZE_PX = (640, 480)  # width, height: even, as video encoders want
_DPI = 80
_NAMES = ("scene and gaze", "window at the gaze", "where looking would pay", "mosaic")
_PATH_COLOUR = "#D55E00"  # Okabe & Ito 2008


class EyeRenderer:
    """Draws the frames of one environment on one figure; ``draw`` returns (480, 640, 3) uint8."""

    def __init__(self) -> None:
        width, height = (px / _DPI for px in _SIZE_PX)
        self._figure = Figure(figsize=(width, height), dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        self._axes = self._figure.subplots(2, 2).ravel()
        self._figure.subplots_adjust(left=0.015, right=0.985, bottom=0.02, top=0.89, wspace=0.04, hspace=0.13)

    def draw(self, world: EyeWorld, i: int) -> np.ndarray:
        """The frame of episode ``i``."""
        assert world.sighting is not None
        half_y, half_x = world.half_field_deg
        extent = (-half_x, half_x, half_y, -half_y)
        priority = world.priority[i, 0].cpu().numpy()
        scene, window = _picture(world.now[i].light), _picture(world.sighting.window[i])
        mosaic, names = _picture(world.mosaic.image[i]), [*_NAMES]
        if world.things is not None:
            identity = np.asarray(world.things.identity[i].cpu().numpy())
            mosaic = paint_things(linear_to_srgb(world.mosaic.image[i]).cpu(), identity)
            names[3] = f"mosaic, {len(np.unique(identity[identity >= 0]))} things"
        for ax in self._axes:
            ax.clear()
            ax.set_axis_off()
        for ax, name in zip(self._axes, names, strict=True):
            ax.set_title(name, fontsize=10)
        self._axes[0].imshow(scene, extent=extent)
        self._axes[1].imshow(window, interpolation="nearest")
        self._axes[2].imshow(priority, extent=extent, cmap="magma")
        self._axes[3].imshow(mosaic, extent=extent)
        path = np.array(world.path[i])
        self._axes[0].plot(path[:, 1], path[:, 0], color=_PATH_COLOUR, marker="o", markersize=3, linewidth=1)
        self._axes[0].plot(*path[-1, 1::-1], color=_PATH_COLOUR, marker="o", markersize=8, fillstyle="none")
        _, _, focus, pupil = world.eye[i]
        total = world.terms["total"][i]
        title = f"{world.scene(i).name} · look {len(path)} · {focus:.2f} dpt · {pupil:.1f} mm · total {total:.3f}"
        self._figure.suptitle(title, fontsize=11)
        self._canvas.draw()
        frame: np.ndarray = np.array(self._canvas.buffer_rgba())[..., :3].copy()
        return frame


def _picture(light: Tensor) -> np.ndarray:
    """Linear light (3, H, W) as (H, W, 3) in [0, 1], sRGB."""
    return np.asarray(linear_to_srgb(light).permute(1, 2, 0).cpu().numpy())
