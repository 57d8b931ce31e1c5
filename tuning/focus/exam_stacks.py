"""Focus on real optics: how soon a controller is within a frame of what a sweep over the stack finds sharpest.

Nobody knows the dioptres of these frames. Each stack is told twice: its frames spread over all that a lens reaches, of
which an eye crosses 2 dpt a look, a frame or two; and as photographers step a stack, each about as far from the next as
depth of field reaches, so that a look may be several frames away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ciliary.agents import ControllerBase, make_controller, run_episode
from ciliary.cortex.eye.parameters import FOCUS_DPT
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.focus.episode import env_of, resting
from ciliary.tuning.focus.inputs import LENS

#: Range of the focus term over a stack from which contrast tells where its peak is: two tenths of a nat.
LEAST_PEAK = 0.02
_ROWS, _COLUMNS, _REACH = 4, 6, 0.85
#: Nearness of one frame from the next: about what an eye's depth of field spans (+-.25 dpt: Campbell 1957).
FRAME_DPT = 0.5
#: First step of a climb over a stack, of its span: chosen on stacks made of photographs.
FIRST_STEP = 0.3
#: Rows: what is made for a stack of that span and so many dioptres a frame.
CONTROLLERS: Mapping[str, Callable[[float, float], ControllerBase]] = {
    "middle frame": lambda *_: make_controller("fixed"),
    "hill, 2 dpt": lambda *_: make_controller("lens-hill"),
    "hill, by the span": lambda span, frame: hill_over(span, frame),
    "reflex (colour)": lambda *_: make_controller("lens-reflex"),
    "reflex, then hill": lambda *_: make_controller("lens-reflex-hill"),
}


def hill_over(span_dpt: float, frame_dpt: float, first_step: float = FIRST_STEP) -> ControllerBase:
    """A climb whose first step is a share of what there is to climb; steps end where they are shorter than a frame."""
    step_dpt = first_step * span_dpt
    return make_controller("lens-hill", step_dpt=step_dpt, least_dpt=min(step_dpt, 0.6 * frame_dpt))


def stepped(scene: EyeScene, frame_dpt: float) -> EyeScene:
    """The stack with its frames so far apart, about the middle of what the lens reaches."""
    assert scene.frames is not None
    n = len(scene.frames)
    marks = sum(FOCUS_DPT) / 2 + frame_dpt * (torch.arange(n) - (n - 1) / 2)
    return replace(scene, frames=replace(scene.frames, marks=marks.float()))


@dataclass(frozen=True)
class StackRow:
    """One controller on one stack; intervals by gaze."""

    stack: str
    frames: int
    frame_dpt: float
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
    for scene in [*scenes, *(stepped(scene, FRAME_DPT) for scene in scenes)]:
        assert scene.frames is not None
        span_dpt = float(scene.frames.marks[-1] - scene.frames.marks[0])
        frame_dpt = span_dpt / (len(scene.frames) - 1)
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
                controller, n_trials = make(span_dpt, frame_dpt), 1 if name == "middle frame" else 40
                trace = run_episode(env, controller, seed, options, n_trials=n_trials)
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
                        frame_dpt,
                        name,
                        len(episodes),
                        float(np.median(looks)),
                        bootstrap_mean(end),
                        n // 2,
                        bootstrap_mean(early_),
                    )
                )
    return rows
