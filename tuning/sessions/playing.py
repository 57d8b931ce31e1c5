"""One episode: the loop, and the percepts before and after. Sessions, contests and races all play by this function."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from ciliary.agents.base import ControllerBase
from ciliary.agents.episode import Progress, run_episode
from ciliary.agents.guard import Guard, views_seeds
from ciliary.agents.looking import Looking
from ciliary.agents.registry import make_controller
from ciliary.agents.trace import Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.tuning.sessions.study_cache import RememberingEnv, StudyCache

_N_GUARD_SEEDS = 64  # more than a guard ever takes: the views after these are nobody's


@dataclass(frozen=True, eq=False)
class Played:
    """What is left of an episode.

    Attributes:
        trace: every trial, what was chosen, and why it ended.
        image: (3, H, W), as it was seen when the episode began.
        before: percept at the defaults (a batch of one); None if nobody asked for it.
        after: percept at the applied setting, or of all looks where these are the answer (a batch of one).
        best: percept at the single setting that the looks agree with most, where they are the answer; else None.
        u_before: (P,) the defaults.
        batches: after each batch of trials, how many there were and the seconds since the start.
        seconds: of the whole episode, percepts included.
    """

    trace: Trace
    image: Tensor
    before: AbstractPercept | None
    after: AbstractPercept
    best: AbstractPercept | None
    u_before: np.ndarray
    batches: tuple[tuple[int, float], ...]
    seconds: float

    @property
    def is_changed(self) -> bool:
        """Whether the defaults were left."""
        return self.trace.is_integrated or not np.allclose(self.trace.u_chosen, self.u_before, atol=1e-5)


def build_controller(
    name: str,
    *,
    population: int | None = None,
    spread: float | None = None,
    policy: Path | None = None,
    trust: bool | None = None,
) -> ControllerBase:
    """A controller by name; those that have no populations, no spread, no doubts about a file are not given one.

    Raises:
        ValueError: naming the controllers there are; or a policy was given to one that plays none, or none to one that
            needs it.
        FileNotFoundError: the policy is not there.
    """
    controller = make_controller(name)
    offered = {"population": population, "spread": spread, "policy": policy, "trust": trust}
    known = controller.option_names
    if policy is not None and "policy" not in known:
        raise ValueError(f"the controller {name} plays no policy; choose policy, hybrid or sb3")
    if policy is not None and not policy.is_file():
        raise FileNotFoundError(f"no policy at {policy}; train one with scripts/train_policy.py")
    if policy is None and name == "sb3":
        raise ValueError("the controller sb3 plays a zip that stable-baselines3 saved; give it with --policy FILE")
    wanted = {name: value for name, value in offered.items() if name in known and value is not None}
    return controller.with_options(**wanted)


def play(
    env: gym.Env[Any, Any],
    controller: ControllerBase,
    image: Any,
    disturbance: str | None = None,
    *,
    seed: int,
    n_trials: int,
    guard: Guard | None = Guard(),  # noqa: B008 -- frozen settings
    default_u: np.ndarray | None = None,
    study: StudyCache | None = None,
    on_batch: Callable[[Progress], object] | None = None,
    with_before: bool = True,
    with_holding: bool = False,
    looking: Looking | None = None,
) -> Played:
    """Accommodate to one image under one disturbance, and look at it before and after.

    Args:
        env: an accommodation environment.
        controller: see :func:`build_controller`.
        image: whatever the environment's reset takes as its ``image``.
        disturbance: such as ``"fog:2"``; ``"none"`` and None show the image as it is.
        seed: of views, disturbance and controller.
        n_trials: budget, the defaults included.
        guard: None applies the best trial as it is.
        default_u: (P,) where the episode starts and what it falls back to; None: the environment's own.
        study: trials made before; new ones are added.
        on_batch: called after each batch; may raise to stop.
        with_before: whether the percept at the defaults is wanted.
        with_holding: whether ``before`` and ``after`` tell stability and consistency, on views that nobody searched on.
        looking: the answer is what all looks come to; see :func:`ciliary.agents.episode.run_episode`.
    """
    start = time.perf_counter()
    batches: list[tuple[int, float]] = []

    def note(progress: Progress) -> None:
        batches.append((progress.n_done, time.perf_counter() - start))
        if on_batch is not None:
            on_batch(progress)

    options = {"image": image, "disturbance": None if disturbance == "none" else disturbance}
    if default_u is not None:
        options["default_u"] = default_u
    world: gym.Env[Any, Any] = env if study is None else RememberingEnv(env, study)
    trace = run_episode(world, controller, seed, options, n_trials, guard=guard, looking=looking, on_batch=note)
    inner: Any = env.unwrapped
    u_before = np.array(inner.default_u)
    after = to_device(inner.looks.percept, "cpu") if trace.is_integrated else inner.percept(trace.u_chosen)
    if trace.is_integrated:
        trace = replace(trace, after=inner.judge_looks() | trace.after)
    best = inner.percept(trace.u_chosen) if trace.is_integrated else None
    seen = torch.as_tensor(inner.image)
    if with_holding and not controller.env_options:
        trace = _held(trace, inner, u_before, seed)
    before = None
    if with_before and not trace.is_integrated and trace.i_chosen == 0 and not controller.env_options:
        before = after
    elif with_before:
        if controller.env_options:  # the controller changed the image: go back to the one that came
            env.reset(seed=seed, options=options)
        before = inner.percept(u_before)
    return Played(trace, seen, before, after, best, u_before, tuple(batches), time.perf_counter() - start)


def _held(trace: Trace, env: Any, u_before: np.ndarray, seed: int) -> Trace:
    """The trace with stability and consistency in ``before`` and ``after``."""
    answer = trace.u if trace.is_integrated else trace.u_chosen[None]
    settings = {"before": u_before[None]}
    if trace.is_integrated or trace.i_chosen != 0:
        settings["after"] = answer
    found = env.holds(settings, views_seeds(seed, n=_N_GUARD_SEEDS + 1)[-1])
    return replace(
        trace, before=trace.before | found["before"], after=trace.after | found.get("after", found["before"])
    )
