"""The one loop: reset, let the controller propose, measure, let it learn, apply the best.

The best setting seen is applied, never merely the last; and only if the guard finds that its gain is real.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np

from ciliary.agents.adapter import EnvAdapter, Terms, adapt
from ciliary.agents.base import Controller, ControllerBase, State, as_controller
from ciliary.agents.guard import Guard, choose, choose_exactly
from ciliary.agents.looking import Looking, decide
from ciliary.agents.trace import Ending, GuardDecision, Trace, best_trial, running_best, statistics_of


@dataclass(frozen=True)
class Progress:
    """What ``on_batch`` is told after every batch of trials.

    ``state`` is the controller's memory after the batch: what is needed to save a study while it runs.
    """

    n_done: int
    n_trials: int
    best_total: float
    u: np.ndarray
    terms: Terms
    state: State


class EpisodeInterrupted(KeyboardInterrupt):
    """Ctrl-C during an episode. ``trace`` holds the trials made so far, ``state`` the controller's memory.

    It is a KeyboardInterrupt, so a program that does not care stops as usual.
    """

    def __init__(self, trace: Trace, state: State) -> None:
        super().__init__(Ending.INTERRUPTED.value)
        self.trace = trace
        self.state = state


@dataclass
class _Log:
    """Trials made so far."""

    u: list[np.ndarray] = field(default_factory=list)
    terms: list[Terms] = field(default_factory=list)
    state: State = None
    before: dict[str, float] = field(default_factory=dict)
    statistics: np.ndarray | None = None

    def add(self, u: np.ndarray, terms: Terms) -> None:
        self.before = self.before or _first(terms)  # trial 0 is the default
        self.u.append(u)
        self.terms.append(terms)

    def __len__(self) -> int:
        return sum(len(u) for u in self.u)

    def replace(self, **columns: np.ndarray) -> None:
        """Put other values (T,) in the place of a term's."""
        cuts = np.cumsum([len(u) for u in self.u])[:-1]
        for name, values in columns.items():
            parts = np.split(values, cuts)
            self.terms = [terms | {name: part} for terms, part in zip(self.terms, parts, strict=True)]
            self.before = self.before | {name: float(values[0])}

    def columns(self) -> tuple[np.ndarray, Terms]:
        names = list(dict.fromkeys(name for terms in self.terms for name in terms))  # a trial may lack one
        blank = [np.full(len(u), np.nan) for u in self.u]
        columns = {n: np.concatenate([t.get(n, b) for t, b in zip(self.terms, blank, strict=True)]) for n in names}
        return np.concatenate(self.u), columns


def run_episode(
    env: gym.Env[Any, Any],
    controller: Controller,
    seed: int,
    options: Mapping[str, Any] | None = None,
    n_trials: int = 64,
    *,
    guard: Guard | None = Guard(),  # noqa: B008 -- frozen settings
    looking: Looking | None = None,
    on_batch: Callable[[Progress], object] | None = None,
) -> Trace:
    """Accommodate to one image.

    Args:
        env: a Ciliary environment, or any Gymnasium environment with a bounded Box action (u is then mapped on its
            bounds, and the total is ``info["terms"]["total"]`` or minus the reward).
        controller: proposes settings.
        seed: of the environment and the controller; the same seed gives the same trace.
        options: reset options, such as ``{"image": "coffee", "disturbance": "fog:3"}``.
        n_trials: budget, >= 1. Exactly so many settings are tried, unless controller or environment stop before. The
            guard's measurements and the step that applies the choice come on top (``trace.n_evaluations`` has all).
        guard: settings of the guard; None applies the best trial as it is. The environment's own least gain holds too.
        looking: the answer is what all trials saw together (``env.looks.percept``), not the best of them. Each total is
            then the disagreement of that look with all, looking ends when further looks change nothing, and the guard
            keeps the defaults where they agree as well with the looks.
        on_batch: called after every batch of trials, for progress bars and for saving.

    Returns:
        the trace; the environment stands at ``trace.u_chosen``.

    Raises:
        ValueError: if the budget is < 1, or the controller breaks the interface (first setting not the default, wrong
            shape, u out of [-1, 1] or not finite, more than one setting where the environment can only step), or
            wants gradients from an environment that has none.
        EpisodeInterrupted: on Ctrl-C; carries the trace so far.
    """
    if n_trials < 1:
        raise ValueError(f"expected n_trials >= 1 (trial 0 is the default setting), got {n_trials}")
    start = time.perf_counter()
    player, world, log = as_controller(controller), adapt(env), _Log()

    def trace(i_chosen: int, decision: GuardDecision | None, ending: Ending, together: float | None = None) -> Trace:
        u, terms = log.columns()
        after = {name: float(values[i_chosen]) for name, values in terms.items()}
        return Trace(
            controller=player.name,
            seed=seed,
            u=u,
            terms=terms,
            best_so_far=running_best(terms["total"]),
            i_chosen=i_chosen,
            u_chosen=u[i_chosen].copy(),
            before=log.before,
            after=after if together is None else {"total": together, "agreement": 1 - together},
            guard=decision,
            ending=ending,
            n_evaluations=world.n_evaluations,
            seconds=time.perf_counter() - start,
            parameters=world.parameters,
            frozen=world.frozen,
            statistics=log.statistics,
            is_integrated=together is not None,
        )

    try:
        ending = _search(
            world, player, log, seed=seed, options=options, n_trials=n_trials, looking=looking, on_batch=on_batch
        )
        u, terms = log.columns()
        i_chosen, decision = best_trial(terms["total"]), None
        if looking is not None:
            total, together, verdict = decide(world.take_looks(u), u, looking)
            log.replace(total=total)
            decision = None if guard is None else verdict
            if decision is None or decision.is_accepted:
                i_chosen = best_trial(total)
                world.settle(u[i_chosen])
                return trace(i_chosen, decision, ending, None if looking.is_single else together)
            i_chosen = 0
        elif guard is not None and world.can_evaluate and len(u) > 1 and np.isfinite(terms["total"]).any():
            strict = replace(guard, min_gain=max(guard.min_gain, world.min_gain))
            if world.is_exact:
                i_chosen, decision = choose_exactly(terms["total"], guard=strict)
            else:
                i_chosen, decision = choose(
                    terms["total"], u, lambda v, s: world.evaluate(v, views_seed=s)["total"], seed=seed, guard=strict
                )
        world.settle(u[i_chosen])
        return trace(i_chosen, decision, ending)
    except KeyboardInterrupt as stop:
        if len(log) == 0:
            raise
        partial = trace(best_trial(log.columns()[1]["total"]), None, Ending.INTERRUPTED)
        raise EpisodeInterrupted(partial, log.state) from stop


def _search(
    world: EnvAdapter,
    controller: ControllerBase,
    log: _Log,
    *,
    seed: int,
    options: Mapping[str, Any] | None,
    n_trials: int,
    looking: Looking | None,
    on_batch: Callable[[Progress], object] | None,
) -> Ending:
    """Fill the log, trial by trial or population by population."""
    by_steps = controller.use_steps or not world.can_evaluate
    world.reset(seed, options)
    if extra := controller.env_options:  # `before` is measured on the image as it came
        log.before = _first(world.step(world.default_u)[1] if by_steps else world.evaluate(world.default_u[None]))
        world.reset(seed, {**(options or {}), **extra})
    log.statistics = statistics_of(world.obs)  # at the defaults: what similar images will be found by

    told = {
        "parameters": world.parameters,
        "parameter_names": world.parameters.names,
        "default_u": world.default_u.copy(),
        "frozen": world.frozen,
        "n_trials": n_trials,
        "starts": None if world.starts is None else world.starts.copy(),
        "objective": world.objective,
        "observed": world.observed,
    }
    log.state = controller.init(world.obs, {**world.info, **told}, seed)
    while len(log) < n_trials and not controller.is_done(log.state):
        n_remaining = n_trials - len(log)
        u, log.state = controller.act(log.state, world.obs, {**world.info, **told, "n_remaining": n_remaining})
        u = np.asarray(u, dtype=np.float32)  # the numbers the environments work with: a trace replays exactly
        _check(u, world, is_first=len(log) == 0)
        u = world.pinned(u[:n_remaining])
        found: dict[str, Any] = {}
        if controller.use_gradients and not controller.use_steps:
            terms, found["gradient"] = world.evaluate_with_gradient(u)
        elif by_steps:
            if len(u) != 1:
                raise ValueError(f"expected one setting at a time (this episode goes by steps), got {len(u)}")
            u, terms = world.step(u[0])
            if controller.use_gradients:
                found["gradient"] = world.gradient_here()
        else:
            terms = world.evaluate(u)
        log.add(u, terms)
        log.state = controller.learn(log.state, u, world.obs, {**world.info, **told, **found, "terms": terms})
        if on_batch is not None:
            total = log.columns()[1]["total"]
            on_batch(Progress(len(log), n_trials, float(running_best(total)[-1]), u, terms, log.state))
        if world.is_terminated or world.is_truncated:
            break
        if looking is not None and looking.is_over(log.columns()[1]):
            break

    u, terms = log.columns()
    if not np.isfinite(terms["total"]).any():
        return Ending.NON_FINITE
    is_stopped = len(u) < n_trials and not world.is_truncated
    return Ending.CONVERGED if is_stopped else Ending.BUDGET_SPENT


def _first(terms: Terms) -> dict[str, float]:
    return {name: float(values[0]) for name, values in terms.items()}


def _check(u: np.ndarray, world: EnvAdapter, *, is_first: bool) -> None:
    """Raise ValueError if a proposal breaks the interface."""
    n_parameters = len(world.default_u)
    if u.ndim != 2 or u.shape[1] != n_parameters or len(u) == 0:
        raise ValueError(f"expected u of shape (N, {n_parameters}) with N >= 1, got {u.shape}")
    if not (np.isfinite(u).all() and np.abs(u).max() <= 1 + 1e-6):
        raise ValueError("expected u finite and in [-1, 1]; clip the controller's proposals")
    if is_first and not np.allclose(u[0], world.default_u, atol=1e-5):
        raise ValueError(
            "expected the first setting to be the default one, so that the search can be compared with it and fall "
            "back to it; propose info['default_u'] first"
        )
