"""The pupil: how much of the best gradient information the setting has that a controller comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.agents import make_controller, run_episode
from ciliary.cortex.eye.parameters import EYE, PUPIL_MM
from ciliary.cortex.eye.pupil import steady_pupil_mm
from ciliary.cortex.eye.receptor import RECEPTORS
from ciliary.cortex.ops.guided import luminance
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.metrics.gradient_information import gradient_information
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.focus.episode import env_of, resting

MUSCLE = "pupil_mm"
_REST_MM = EYE[MUSCLE].default
_N_SETTINGS = 13
_ROWS, _COLUMNS, _REACH = 3, 4, 0.7
_GREY = 0.18  # middle grey of linear light
_LEAST_BEST = 1.0  # gradients of one clear pixel: below that there is nothing to be lost
#: Rows of those who see what they do: controller, what light falls on, and their looks.
PLAYED = {
    "pupil-response, 3 looks": ("pupil-response", "sensor", 3),
    "pupil-hill, cones": ("pupil-hill", "cones", 30),
    "pupil-hill": ("pupil-hill", "sensor", 30),
}
ROWS = ("mean grey", "fixed 4 mm", "Watson & Yellott", *PLAYED, "all sizes, by the term", "best")


@dataclass(frozen=True)
class PupilRow:
    """One controller on one scene; shares of the best of all settings, intervals by gaze."""

    scene: str
    settings: int
    controller: str
    gazes: int
    pupil_mm: float
    pupil_term: Interval
    gradient_information: Interval
    gradient_information_at_95: Interval


def examine_pupil(
    scenes: Mapping[str, Sequence[EyeScene]], *, seed: int, on_gaze: Callable[[], object] = lambda: None
) -> list[PupilRow]:
    """Every row of every group of scenes, over a grid of gazes."""
    rows: list[PupilRow] = []
    for group, some in scenes.items():
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ROWS}
        for scene in some:
            envs = {name: env_of(scene, MUSCLE, has_noise=True, receptor=name) for name in RECEPTORS}
            for y in np.linspace(-_REACH, _REACH, _ROWS):
                for x in np.linspace(-_REACH, _REACH, _COLUMNS):
                    for name, shares in _at(envs, scene, (float(y), float(x)), seed).items():
                        found[name].append(shares)
                    on_gaze()
        for name, episodes in found.items():
            if episodes:
                mm, bits, gradients = (np.array(column) for column in zip(*episodes, strict=True))
                told = (bootstrap_mean(bits), bootstrap_mean(gradients), bootstrap_mean(gradients >= 0.95))
                rows.append(PupilRow(group, len(settings_of(some[0])), name, len(mm), float(np.median(mm)), *told))
    return rows


def _at(
    envs: Mapping[str, EyeEnv], scene: EyeScene, gaze: tuple[float, float], seed: int
) -> dict[str, tuple[float, float, float]]:
    """Row -> its pupil and its shares of the most bits and of the most gradient information, at one gaze.

    Nothing where there is nothing to be lost.
    """
    options = {"scene": scene, "gaze": gaze, "noise_seed": seed, **resting(scene, MUSCLE)}
    marks = settings_of(scene)
    looks = [_look(envs["sensor"], scene, options, mark) for mark in marks]
    told = _Told(marks, *(np.array(column) for column in zip(*looks, strict=True)))
    if told.gradients.max() < _LEAST_BEST or told.bits.max() <= 0:
        return {}
    came_to = {}
    for name, (controller, receptor, n_trials) in PLAYED.items():
        trace = run_episode(envs[receptor], make_controller(controller), seed, options, n_trials=n_trials)
        came_to[name] = float(trace.theta[MUSCLE][trace.i_chosen])
    shares = told.bits / told.bits.max(), told.gradients / told.gradients.max()
    return {
        name: (float(marks[i]), float(shares[0][i]), float(shares[1][i]))
        for name, i in told.choices(scene, came_to).items()
    }


def settings_of(scene: EyeScene) -> np.ndarray:
    """Pupils that are tried: the exposures, or evenly by factors."""
    return np.geomspace(*PUPIL_MM, _N_SETTINGS) if scene.frames is None else scene.frames.marks.numpy().astype(float)


@dataclass(frozen=True, eq=False)
class _Told:
    """Of every setting at one gaze: (K,) pupils, bits of the pupil's term, gradients, light on the retina at it."""

    marks: np.ndarray
    bits: np.ndarray
    gradients: np.ndarray
    light: np.ndarray

    def choices(self, scene: EyeScene, came_to_mm: Mapping[str, float]) -> dict[str, int]:
        """Row -> number of the setting."""

        def nearest(mm: float) -> int:
            return int(np.abs(np.log(self.marks / mm)).argmin())

        rest = nearest(_REST_MM)
        luminance = torch.tensor(self.light[rest] * scene.white_cd_m2)
        height, width = scene.field_deg
        steady = float(steady_pupil_mm(luminance, height * width))
        return {
            "mean grey": int(np.abs(np.log(np.maximum(self.light, 1e-6) / _GREY)).argmin()),
            "fixed 4 mm": rest,
            "Watson & Yellott": nearest(steady),
            **{name: nearest(mm) for name, mm in came_to_mm.items()},
            "all sizes, by the term": int(self.bits.argmax()),
            "best": int(self.gradients.argmax()),
        }


def _look(env: EyeEnv, scene: EyeScene, options: dict[str, Any], pupil_mm: float) -> tuple[float, float, float]:
    """Bits, gradient information and mean light on the retina of one noisy look.

    As a camera of white at the resting pupil would give it out: what is brighter is clipped, after a display's gamma.
    """
    _, info = env.reset(options={**options, MUSCLE: pupil_mm})
    assert env.world.sighting is not None
    light = env.world.sighting.window[0]
    if scene.frames is None:  # a frame's exposure is in it
        light = light * (pupil_mm / _REST_MM) ** 2
    grey = luminance(light[None])[0, 0]
    signal: Tensor = linear_to_srgb(grey.clamp(0, 1))
    return -info["terms"]["pupil"], float(gradient_information(signal[None])[0]), float(grey.mean())
