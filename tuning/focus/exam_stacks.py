"""Focus on real optics: how soon a controller is within a frame of what a sweep over the stack finds sharpest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.agents import ControllerBase, make_controller, run_episode
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.focus.episode import env_of, resting
from ciliary.tuning.focus.inputs import LENS

#: Range of the focus term over a stack from which contrast tells where its peak is: two tenths of a nat.
LEAST_PEAK = 0.02
_ROWS, _COLUMNS, _REACH = 4, 6, 0.85
CONTROLLERS: Mapping[str, Callable[[], ControllerBase]] = {
    "middle frame": lambda: make_controller("fixed"),
    "hill": lambda: make_controller("lens-hill"),
    "reflex (colour)": lambda: make_controller("lens-reflex"),
    "reflex, then hill": lambda: make_controller("lens-reflex-hill"),
}


@dataclass(frozen=True)
class StackRow:
    """One controller on one stack; intervals by gaze."""

    stack: str
    frames: int
    controller: str
    gazes: int
    looks: float
    within_1_frame: Interval
    half_the_looks: int
    within_1_in_half: Interval


def gazes() -> list[tuple[float, float]]:
    """An even grid, (y, x) in [-1, 1]."""
    y, x = np.linspace(-_REACH, _REACH, _ROWS), np.linspace(-_REACH, _REACH, _COLUMNS)
    return [(float(a), float(b)) for a in y for b in x]


def sweep(env: EyeEnv, scene: EyeScene, gaze: tuple[float, float]) -> np.ndarray:
    """(N,) the focus term of every frame at a gaze: what the controllers are told by, seen by none."""
    assert scene.frames is not None
    return np.array([
        env.reset(options={"scene": scene, "gaze": gaze, LENS: mark})[1]["terms"]["focus"]
        for mark in scene.frames.marks.tolist()
    ])  # fmt: skip


def frame_of(scene: EyeScene, focus_dpt: np.ndarray) -> np.ndarray:
    """Which frames are seen at these settings of the lens."""
    assert scene.frames is not None
    return np.asarray(np.abs(scene.frames.marks.numpy() - focus_dpt[:, None]).argmin(1))


def examine_stacks(
    scenes: Sequence[EyeScene], *, seed: int, on_gaze: Callable[[], object] = lambda: None
) -> list[StackRow]:
    """Every controller at every gaze of every stack where contrast tells of a peak."""
    rows = []
    for scene in scenes:
        assert scene.frames is not None
        env, n = env_of(scene, LENS, has_noise=False), len(scene.frames)
        found: dict[str, list[tuple[int, bool, bool]]] = {name: [] for name in CONTROLLERS}
        for gaze in gazes():
            curve = sweep(env, scene, gaze)
            on_gaze()
            if np.ptp(curve) < LEAST_PEAK:
                continue
            best, half = int(curve.argmin()), n // 2
            for name, make in CONTROLLERS.items():
                options = {"scene": scene, "gaze": gaze, **resting(scene, LENS)}
                trace = run_episode(env, make(), seed, options, n_trials=1 if name == "middle frame" else 40)
                off = np.abs(frame_of(scene, trace.theta[LENS]) - best)
                early = int(np.argmin(trace.terms["focus"][:half]))
                found[name].append((len(off), bool(off[trace.i_chosen] <= 1), bool(off[early] <= 1)))
        for name, episodes in found.items():
            if episodes:
                looks, end, early_ = (np.array(column, float) for column in zip(*episodes, strict=True))
                rows.append(
                    StackRow(
                        scene.name,
                        n,
                        name,
                        len(episodes),
                        float(np.median(looks)),
                        bootstrap_mean(end),
                        n // 2,
                        bootstrap_mean(early_),
                    )
                )
    return rows
