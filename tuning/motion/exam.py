"""The table of the motion exam: each line beside its floor, its bar or a referee."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.motion.energy import EnergySettings
from ciliary.cortex.motion.flow import FlowSettings
from ciliary.cortex.motion.perceive import MotionSettings, motion_step, see_motion
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.active.drifting import noise_frames
from ciliary.envs.metrics.pattern import CRITERION
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.motion import made_up
from ciliary.tuning.motion.pursuit import NEAR_DEG, POLICIES, pursue
from ciliary.tuning.motion.real import KnownFlow, flow_errors, of_two_frames, ours, standing, true_mean, truth
from ciliary.tuning.motion.remembered import FINE_DEG, remembered
from ciliary.tuning.runs.tables import shown

#: One ingredient left out or changed at a time.
ABLATIONS: dict[str, MotionSettings] = {
    "as it is": MotionSettings(),
    "one scale (12 px)": MotionSettings(energy=EnergySettings(wavelengths_px=(6.0,))),
    "one scale (48 px)": MotionSettings(energy=EnergySettings(wavelengths_px=(24.0,))),
    "no aliasing gate": MotionSettings(flow=FlowSettings(largest_advance_rad=1e6)),
    "one pass": MotionSettings(flow=FlowSettings(n_passes=1)),
    "no surround": MotionSettings(flow=FlowSettings(likeness=1e-9)),
    "window of 1 cell": MotionSettings(flow=FlowSettings(pool_cells=1.0)),
    "biphasic partner (n = 5)": MotionSettings(temporal=TemporalSettings(partner="biphasic")),
}
_TOLERANCE = 0.05
_N_TIMED = 10
_PATCHES_PX = (16, 24, 32)  # sides; of 160 x 120 px


@dataclass(frozen=True)
class Line:
    """One row: what, of how many, the number, and what to read it beside."""

    exam: str
    n: int
    value: Interval
    beside: str


def made_up_lines(n_scenes: int) -> Iterator[Line]:
    """Plaids, speeds and patches."""
    plaids = made_up.plaid_exam()
    for name, gaps in (("V1: Z components − Z pattern", plaids.v1), ("MT: Z pattern − Z components", plaids.mt)):
        yield _line(f"120° plaids, {name}", gaps, f"bar {CRITERION}; least {gaps.min():.2f}")
    for kind in ("gratings", "noise"):
        errors = made_up.speed_exam(kind)
        share = f"bar .05; within it {(errors <= _TOLERANCE).mean():.0%}, worst {errors.max():.3f}"
        yield _line(f"speed of {kind}, relative error", errors, share)
    for side_px in _PATCHES_PX:
        without, with_motion = made_up.patch_exam(n_scenes, side_px)
        what = f"patch of {side_px} px before a panning background wins priority"
        yield _line(what, with_motion, f"without motion {without.mean():.3f}")


def pursuit_lines(n_films: int, on_part: Callable[[str], None] = lambda name: None) -> Iterator[Line]:
    """Policies of gaze before patches that move, their ground at rest in half of the films, panning in the others."""
    rest, pan = (
        pursue(n, is_panning=is_panning, on_part=on_part)
        for n, is_panning in ((n_films - n_films // 2, False), (n_films // 2, True))
    )
    for name in POLICIES:
        middle = np.concatenate([rest[name].on_middle, pan[name].on_middle])
        near = bootstrap_mean(np.concatenate([rest[name].on_patch, pan[name].on_patch]))
        beside = (
            f"ground at rest {shown(bootstrap_mean(rest[name].on_middle))}, panning "
            f"{shown(bootstrap_mean(pan[name].on_middle))}; within {NEAR_DEG:g}° of the patch {shown(near)}"
        )
        yield _line(f"looks within {NEAR_DEG:g}° of a moving patch's middle, of 16: {name}", middle, beside)


def memory_lines(folder: Path) -> Iterator[Line]:
    """What an eye remembers of a film, beside what is there now; looks of one film are not independent."""
    for kind, one in remembered(folder).items():
        what = f"memory of a film, off by, of 255, where held to be within {FINE_DEG:g}°: {kind}"
        yield _line(what, one.error, f"share of the field {one.share.mean():.2f}")


def still_line() -> Line:
    """The largest answer of magno, V1 and MT to a scene at rest."""
    frames = noise_frames(velocity_px=(0, 0), n_frames=4)[None]
    with torch.no_grad():
        out = see_motion(frames, is_last_only=True)[0]
    most = [float(x.max()) for x in (out.magno.on_off, out.component.energy, out.pattern.response)]
    return Line("a scene at rest: largest answer of magno, V1, MT", 1, bootstrap_mean(np.array([max(most)])), "bar 0")


def real_lines(known: KnownFlow) -> Iterator[Line]:
    """Flow on a run: floors, referees and the cortex."""
    kinds = {
        "standing still": standing(known),
        "the cortex's own mean everywhere": ours(known, is_mean=True),
        "the true flow's mean everywhere (knows the answer)": true_mean(known),
        "scikit-image ilk, two frames": of_two_frames(known, "ilk"),
        "scikit-image tvl1, two frames": of_two_frames(known, "tvl1"),
        "the cortex": ours(known),
        "depth and poses, the truth": truth(known),
    }
    for name, flow_at in kinds.items():
        yield _of_run(f"flow on the run, px a frame: {name}", known, flow_at)


def ablation_lines(known: KnownFlow | None) -> Iterator[Line]:
    """Of speeds of noise, and of the run where there is one."""
    for name, settings in ABLATIONS.items():
        errors = made_up.speed_exam("noise", settings)
        yield _line(f"noise, {name}", errors, f"within .05 {(errors <= _TOLERANCE).mean():.0%}")
        if known is not None:
            yield _of_run(f"run, {name}", known, ours(known, settings))


def time_line(size_px: tuple[int, int] = (240, 320)) -> Line:
    """Milliseconds of the processor a frame, from the retina's answer on, and with the retina."""
    frames = noise_frames(velocity_px=(0, 1), n_frames=_N_TIMED, size_px=size_px)
    theta, state, spent, with_retina = default_theta(1), None, [], []
    with torch.no_grad():
        for frame in frames:
            begin = time.process_time()
            seen = retina(frame[None], theta)
            middle = time.process_time()
            _, state = motion_step(seen, state)
            end = time.process_time()
            spent.append(1e3 * (end - middle))
            with_retina.append(1e3 * (end - begin))
    what = (
        f"processor ms a frame at {size_px[1]} x {size_px[0]} px, {torch.get_num_threads()} thread(s), after the retina"
    )
    return _line(what, np.array(spent[2:]), f"with the retina {np.mean(with_retina[2:]):.0f}")


def _of_run(name: str, known: KnownFlow, flow_at: Callable[[int], Tensor]) -> Line:
    errors = flow_errors(known, flow_at)
    beside = (
        f"against the flow smoothed 1 2 1: {errors.smoothed_px.mean():.3f}; angle {errors.angle_deg.mean():.1f}°; "
        f"misfit of frames {errors.misfit.mean():.2f}/255"
    )
    return _line(name, errors.pair_px, beside)


def _line(exam: str, values: np.ndarray, beside: str) -> Line:
    value = bootstrap_mean(values)
    return Line(exam, value.n, value, beside)
