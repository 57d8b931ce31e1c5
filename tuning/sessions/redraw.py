"""An episode drawn from its record alone: nothing is searched again, only its answer is perceived again.

So the best of many episodes can be drawn when all are known, whoever played them, and none has to be held till then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from ciliary.agents.base import ControllerBase
from ciliary.agents.trace import Ending, GuardDecision, Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.table import ParameterTable
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.sessions.episode import draw, pictures_of
from ciliary.tuning.sessions.made import Made, drawn
from ciliary.tuning.sessions.playing import Played
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Task


def redraw(
    task: Task, settings: SessionSettings, *, env: gym.Env[Any, Any], controller: ControllerBase, folder: Path
) -> Made:
    """The figures of an episode whose record is known; its record names them now."""
    assert task.known is not None
    record = dict(task.known)
    played = recall(env, controller, task.shown, record)
    drawings = draw(played, record, settings, env=env, controller=controller, folder=folder, stem=task.stem)
    figures, problems = drawn(drawings)
    record["files"] = {role: str(path) for role, path in figures.items()} | record.get("files", {})
    return Made(
        record,
        played.trace.theta_moved,
        figures,
        pictures_of(played, None if controller.env_options else env),
        problems,
    )


def recall(
    env: gym.Env[Any, Any], controller: ControllerBase, photograph: Photograph, record: Mapping[str, Any]
) -> Played:
    """The episode as :func:`ciliary.tuning.sessions.playing.play` left it; the environment stands at its image."""
    disturbance = None if record["disturbance"] == "none" else record["disturbance"]
    options = {"image": photograph, "disturbance": disturbance}
    env.reset(seed=record["seed"], options={**options, **controller.env_options})
    inner: Any = env.unwrapped
    trace = trace_of(record, env.get_wrapper_attr("parameters"))
    u_before = np.array(inner.default_u)
    best: AbstractPercept | None = None
    after: AbstractPercept
    if trace.is_integrated:
        inner.take_looks(trace.u)
        after, best = to_device(inner.looks.percept, "cpu"), inner.percept(trace.u_chosen)
    else:
        after = inner.percept(trace.u_chosen)
    seen = torch.as_tensor(inner.image)
    if controller.env_options:  # the controller changed the image: go back to the one that came
        env.reset(seed=record["seed"], options=options)
    before = inner.percept(u_before)
    return Played(trace, seen, before, after, best, u_before, (), record["seconds"])


def trace_of(record: Mapping[str, Any], table: ParameterTable) -> Trace:
    """The trace that a record was built from, up to what no record holds."""
    history = record["history"]
    u = np.array(history["u"], np.float32)
    guard = record["guard"]
    if guard is not None:
        numbers = {name: _number(guard[name]) for name in ("gain", "standard_error")}
        guard = GuardDecision(is_accepted=guard["is_accepted"], reason=guard["reason"], **numbers)
    statistics = record["statistics"]
    return Trace(
        controller=record["controller"],
        seed=record["seed"],
        u=u,
        terms={name: _column(values) for name, values in history.items() if name not in ("u", "best_so_far")},
        best_so_far=_column(history["best_so_far"], math.inf),
        i_chosen=record["i_chosen"],
        u_chosen=u[record["i_chosen"]].copy(),
        before={name: _number(value) for name, value in record["before"].items()},
        after={name: _number(value) for name, value in record["after"].items()},
        guard=guard,
        ending=Ending[record["ending"]["name"]],
        n_evaluations=record["n_evaluations"],
        seconds=record["seconds"],
        parameters=table,
        statistics=None if statistics is None else _column(statistics),
        frozen=tuple(record["frozen"]),
        is_integrated=record["answer"] == "integrated",
    )


def _number(value: float | None, missing: float = math.nan) -> float:
    return missing if value is None else float(value)


def _column(values: list[float | None], missing: float = math.nan) -> np.ndarray:
    return np.array([_number(value, missing) for value in values])
