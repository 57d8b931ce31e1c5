"""One episode: the loop, and the percepts before and after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor

from ciliary.agents.base import Controller, env_options_of
from ciliary.agents.episode import Progress, run_episode
from ciliary.agents.guard import Guard
from ciliary.agents.registry import make_controller
from ciliary.agents.trace import Trace
from ciliary.cortex import Percept
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.studies import Memory, study_name
from ciliary.tuning.sessions.study_cache import RememberingEnv


@dataclass(frozen=True)
class Played:
    """What is left of an episode: its trace, the image seen (3, H, W), and two percepts (batch of one)."""

    trace: Trace
    image: Tensor
    before: Percept
    after: Percept
    u_before: np.ndarray


def build_controller(settings: SessionSettings) -> Controller:
    """The controller of a session; those without populations are not offered one.

    Raises:
        ValueError: naming the controllers there are; or a policy was given to one that plays none, or none to one that
            needs it.
        FileNotFoundError: the policy is not there.
    """
    controller: Any = make_controller(settings.controller)
    offered = {"population": settings.population, "spread": settings.spread, "policy": settings.policy}
    known = {field.name for field in dataclasses.fields(controller)}
    if settings.policy is not None and "policy" not in known:
        raise ValueError(f"the controller {settings.controller} plays no policy; choose policy, hybrid or sb3")
    if settings.policy is not None and not settings.policy.is_file():
        raise FileNotFoundError(f"no policy at {settings.policy}; train one with scripts/train_policy.py")
    if settings.policy is None and settings.controller == "sb3":
        raise ValueError("the controller sb3 plays a zip that stable-baselines3 saved; give it with --policy FILE")
    wanted = {name: value for name, value in offered.items() if name in known and value is not None}
    return dataclasses.replace(controller, **wanted)


def open_memory(
    storage: optuna.storages.BaseStorage | None, settings: SessionSettings, controller: Controller, key: EpisodeKey
) -> Memory | None:
    """The stored study of an episode; None without a storage, or for a controller that looks at two versions of an
    image in one episode (a memory knows settings, not images)."""
    if storage is None or env_options_of(controller):
        return None
    name = study_name(
        controller=key.controller,
        image=key.image,
        disturbance=key.disturbance,
        seed=key.seed,
        fingerprint=f"{key.fingerprint}-{settings.study_fingerprint()}",
    )
    return Memory(storage, name)


def play(
    env: Any,
    controller: Controller,
    settings: SessionSettings,
    photograph: Any,
    disturbance: str,
    *,
    memory: Memory | None = None,
    on_batch: Callable[[Progress], None] | None = None,
) -> Played:
    """Accommodate to one photograph under one disturbance, and look at it before and after.

    Args:
        env: an accommodation environment.
        controller: see :func:`build_controller`.
        settings: of the session: seed, budget, guard.
        photograph: from :mod:`ciliary.envs.data.sources`.
        disturbance: such as ``"fog:2"``, or ``"none"``.
        memory: trials made before; new ones are added.
        on_batch: called after each batch; may raise to stop.
    """
    options = {"image": photograph, "disturbance": None if disturbance == "none" else disturbance}
    world = env if memory is None else RememberingEnv(env, memory)
    trace = run_episode(
        world,
        controller,
        settings.seed,
        options,
        settings.n_trials,
        guard=Guard() if settings.use_guard else None,
        on_batch=on_batch,
    )
    inner = env.unwrapped
    u_before = np.asarray(inner.default_u)
    after = inner.percept(trace.u_chosen)
    image = torch.as_tensor(inner.image)
    if env_options_of(controller):  # the controller changed the image: go back to the one that came
        env.reset(seed=settings.seed, options=options)
    before = after if trace.i_chosen == 0 and not env_options_of(controller) else inner.percept(u_before)
    return Played(trace, image, before, after, u_before)
