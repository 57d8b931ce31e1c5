"""The optics against what they should do, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ciliary.agents.eye.lens import parabola_top
from ciliary.cortex.eye.chromatic import channel_shift_dpt
from ciliary.cortex.eye.contrast import window_contrast
from ciliary.cortex.eye.layers import Layers
from ciliary.cortex.eye.optics import retinal_image
from ciliary.envs.data.active.synthetic import planes_scene, slant_scene

_PLANES_DPT = (0.8, 2.0, 3.7)
_STEP_DPT, _STEPS = 0.1, 15  # to either side of a plane, so that both colours' peaks are within
_SIZES_PX = ((240, 320), (600, 800))
_LAYERS = (8, 24)
_TIMES = 3


@dataclass(frozen=True)
class OpticsRow:
    """A number of the optics, what it should be, and its unit."""

    what: str
    measured: float
    expected: float | None
    unit: str


def examine_optics() -> Iterator[OpticsRow]:
    """Peaks of focus, and milliseconds of a retinal image on this machine."""
    red, _, blue = channel_shift_dpt()
    for distance in _PLANES_DPT:
        peaks = peaks_dpt(distance)
        yield OpticsRow(f"peak of green contrast, a plane at {distance:g} dpt", peaks[1], distance, "dpt")
        yield OpticsRow(f"red's peak from blue's, a plane at {distance:g} dpt", peaks[0] - peaks[2], red - blue, "dpt")
    for height, width in _SIZES_PX:
        for n_layers in _LAYERS:
            what = f"retinal image, {width} x {height} px, {n_layers} layers, processor time"
            yield OpticsRow(what, milliseconds((height, width), n_layers), None, "ms")


def peaks_dpt(distance_dpt: float) -> tuple[float, float, float]:
    """Where red, green and blue contrast is highest before a plane."""
    scene = planes_scene((distance_dpt,), size_px=(64, 64), px_per_deg=12.0)
    layers = scene.layers()
    settings = np.clip(distance_dpt + _STEP_DPT * np.arange(-_STEPS, _STEPS + 1), 0, 10)
    looks: list[list[tuple[float, float]]] = [[], [], []]
    for focus in np.unique(settings):
        light = _image(layers, float(focus), scene.px_per_deg)
        energy = window_contrast(light, torch.zeros(1, 2)).energy[0, :, 0]
        for colour, value in enumerate(energy.log().tolist()):
            looks[colour].append((float(focus), -value))
    red, green, blue = (parabola_top(tuple(one)) for one in looks)
    return red, green, blue


def milliseconds(size_px: tuple[int, int], n_layers: int) -> float:
    """Of processor time, whatever else the machine does: the quickest of a few retinal images of a slant."""
    scene = replace(slant_scene(size_px=size_px, px_per_deg=size_px[1] / (100 / 3)), n_layers=n_layers)
    layers = scene.layers()
    taken = []
    for _ in range(_TIMES):
        start = time.process_time()
        _image(layers, 1.0, scene.px_per_deg)
        taken.append(time.process_time() - start)
    return 1000 * min(taken)


def _image(layers: Layers, focus_dpt: float, px_per_deg: float) -> torch.Tensor:
    with torch.no_grad():
        return retinal_image(
            layers, focus_dpt=torch.tensor([focus_dpt]), pupil_mm=torch.tensor([4.0]), px_per_deg=px_per_deg
        )
