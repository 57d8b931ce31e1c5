"""The exam that every controller sits: subclass it as ``Test...`` and give the fixture ``controller``.

In ``walker.py``, a controller that takes a step at random from the best setting so far:

    from dataclasses import dataclass
    import numpy as np
    from ciliary.agents import ControllerBase

    @dataclass(frozen=True)
    class Walker(ControllerBase):
        step: float = 0.2

        def init(self, obs, info, seed):
            return np.random.default_rng(seed), None, np.inf

        def act(self, state, obs, info):
            rng, best, _ = state
            if best is None:  # the first setting is the default one
                return info["default_u"][None], state
            return np.clip(best + self.step * rng.normal(size=best.shape), -1, 1)[None], state

        def learn(self, state, u, obs, info):
            rng, best, total = state
            new = info["terms"]["total"][0]
            new = new if np.isfinite(new) else np.inf
            return (rng, u[0], new) if best is None or new < total else state

and in ``test_walker.py``, which needs pytest and nothing else:

    import pytest
    from ciliary.testing.controller import ControllerContract
    from walker import Walker

    class TestWalker(ControllerContract):
        @pytest.fixture
        def controller(self):
            return Walker()

All of it happens on the toy world, whose best setting is known, in a second or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from ciliary.agents import Ending, EpisodeInterrupted, Guard, Progress, run_episode
from ciliary.agents.base import Controller, as_controller
from ciliary.agents.trace import Trace
from ciliary.cortex.parameters import ParameterTable
from ciliary.envs.batch import Evaluation
from ciliary.envs.toy import ToyEnv

P = 4


class CountingToy(ToyEnv):
    """The toy world in four parameters; it notes what it is asked for, and can spoil chosen evaluations."""

    def __init__(self, spoilt: Iterable[int] = (), value: float = np.nan, **settings: Any) -> None:
        chosen: dict[str, Any] = {"n_parameters": P, "action_mode": "absolute"} | settings
        super().__init__(**chosen)
        self.spoilt, self.value = frozenset(spoilt), value
        self.n_searched = self.n_fresh = self.n_steps = self.n_since_reset = 0

    def _begin(self, options: dict[str, Any]) -> None:
        self.n_since_reset = 0
        super()._begin(options)

    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """As the toy world, and counted."""
        evaluation = super().evaluate(u, views_seed)
        if views_seed is not None:
            self.n_fresh += len(u)
            return evaluation
        i_trial = self.n_since_reset + np.arange(len(u))
        self.n_since_reset += len(u)
        self.n_searched += len(u)
        is_spoilt = np.isin(i_trial, list(self.spoilt))
        terms = {name: np.where(is_spoilt, self.value, values) for name, values in evaluation.terms.items()}
        return replace(evaluation, terms=terms)

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """As the toy world, and counted."""
        n_searched = self.n_searched
        result = super().step(action)
        self.n_searched = n_searched  # the toy measures a step by evaluating it
        self.n_steps += 1
        return result


def assert_same_trace(one: Trace, other: Trace) -> None:
    """Everything but the clock is equal to the last digit."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name != "seconds":
            np.testing.assert_equal(a, b, err_msg=field.name)


class ControllerContract:
    """Seeds, bounds, budget, broken losses, and what stands at the end."""

    #: True for a controller whose proposals do not depend on the seed.
    is_seedless: ClassVar[bool] = False
    #: True for a controller which never leaves the defaults.
    is_control: ClassVar[bool] = False
    #: More than one population, and not a multiple of it.
    n_trials: ClassVar[int] = 21

    @pytest.fixture
    def controller(self) -> Controller:
        """What is examined."""
        raise NotImplementedError("give the contract a fixture `controller`")

    def run(self, controller: Controller, seed: int = 0, env: CountingToy | None = None, **more: Any) -> Trace:
        """An episode of :attr:`n_trials` on the toy world."""
        return run_episode(env or CountingToy(), controller, seed, **({"n_trials": self.n_trials} | more))

    def by_hand(self, controller: Controller, losses: Sequence[float]) -> np.ndarray:
        """Drive the controller without the loop: each setting is worth the next of ``losses``; returns all u."""
        player = as_controller(controller)
        table = ParameterTable.generic("abcd")
        info = {
            "parameters": table,
            "parameter_names": table.names,
            "default_u": np.zeros(P, np.float32),
            "n_trials": len(losses),
        }
        state, seen = player.init({}, info, 0), list[np.ndarray]()
        while len(seen) < len(losses) and not player.is_done(state):
            u, state = player.act(state, {}, {**info, "n_remaining": len(losses) - len(seen)})
            u = np.asarray(u)[: len(losses) - len(seen)]
            values = np.array(losses[len(seen) : len(seen) + len(u)])
            state = player.learn(state, u, {}, {**info, "terms": {"total": values}})
            seen += list(u)
        return np.array(seen)

    def test_honours_the_interface_with_frozen_settings(self, controller: Controller) -> None:
        assert as_controller(controller).name
        assert is_dataclass(controller)
        assert type(controller).__dataclass_params__.frozen

    def test_same_seed_same_trace(self, controller: Controller) -> None:
        assert_same_trace(self.run(controller, 3), self.run(controller, 3))

    def test_another_seed_other_proposals(self, controller: Controller) -> None:
        options = {"optimum": [0.5, -0.5, 0.25, -0.25]}
        one, other = (self.run(controller, seed, options=options).u for seed in (1, 2))
        assert np.array_equal(one, other) == self.is_seedless

    def test_memory_is_in_the_state_not_in_the_controller(self, controller: Controller) -> None:
        first = self.run(controller, 5)
        self.run(controller, 6)
        assert_same_trace(first, self.run(controller, 5))

    def test_trial_0_is_the_default_and_all_stay_in_bounds(self, controller: Controller) -> None:
        trace = self.run(controller)
        np.testing.assert_array_equal(trace.u[0], CountingToy().default_u)
        assert np.abs(trace.u).max() <= 1

    def test_corners_attract_no_proposal_out_of_bounds(self, controller: Controller) -> None:
        trace = self.run(controller, options={"optimum": [1.0, -1.0, 1.0, -1.0]})
        assert np.abs(trace.u).max() <= 1

    @pytest.mark.parametrize("n_trials", [1, 2, 16, 17])
    def test_budget_is_kept_to_the_trial(self, controller: Controller, n_trials: int) -> None:
        env = CountingToy()
        trace = self.run(controller, env=env, n_trials=n_trials)
        expected = 1 if self.is_control else n_trials
        assert trace.n_trials == len(trace.best_so_far) == expected
        n_raw = 1 if as_controller(controller).env_options else 0  # `before` on the image as it came
        assert trace.n_evaluations == env.n_searched + env.n_fresh + env.n_steps
        if not as_controller(controller).use_steps:
            assert env.n_searched == expected + n_raw

    @pytest.mark.parametrize("action_mode", ["absolute", "delta"])
    @pytest.mark.parametrize("guard", [None, Guard()])
    def test_best_setting_seen_is_applied_at_the_end(
        self, controller: Controller, guard: Guard | None, action_mode: str
    ) -> None:
        env = CountingToy(action_mode=action_mode)
        trace = self.run(controller, env=env, guard=guard)
        np.testing.assert_allclose(env.u, trace.u_chosen, atol=1e-5)
        np.testing.assert_array_equal(trace.u[trace.i_chosen], trace.u_chosen)
        assert trace.total[trace.i_chosen] == trace.total.min() == trace.best_so_far[-1]  # no noise: the guard agrees
        assert trace.after == {name: values[trace.i_chosen] for name, values in trace.terms.items()}
        assert env.evaluate(trace.u_chosen[None]).terms["total"][0] == trace.after["total"]

    def test_before_is_the_default_on_the_same_views(self, controller: Controller) -> None:
        env = CountingToy(noise_std=0.1)
        trace = self.run(controller, env=env)
        assert env.evaluate(env.default_u[None]).terms["total"][0] == trace.before["total"] == trace.total[0]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_broken_losses_are_survived_and_never_chosen(self, controller: Controller, value: float) -> None:
        trace = self.run(controller, env=CountingToy(spoilt=range(1, 1000, 2), value=value))
        assert trace.n_trials == (1 if self.is_control else self.n_trials)
        assert np.isfinite(trace.after["total"])
        assert trace.after["total"] <= trace.before["total"]
        assert (np.diff(trace.best_so_far) <= 0).all()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_when_all_losses_are_broken_the_default_is_kept(self, controller: Controller, value: float) -> None:
        env = CountingToy(spoilt=range(1000), value=value)
        trace = self.run(controller, env=env)
        assert trace.ending is Ending.NON_FINITE
        assert trace.i_chosen == 0
        np.testing.assert_array_equal(env.u, env.default_u)

    def test_by_hand_with_good_broken_and_good_losses(self, controller: Controller) -> None:
        u = self.by_hand(controller, [1.0, np.inf, 0.5, np.nan, -np.inf] * 5)
        np.testing.assert_array_equal(u[0], np.zeros(P))
        assert np.isfinite(u).all()
        assert np.abs(u).max() <= 1

    def test_guard_accepts_a_clear_gain(self, controller: Controller) -> None:
        if self.is_control:
            pytest.skip("a control finds no gain")
        trace = self.run(controller, 0, CountingToy(noise_std=1e-4), options={"optimum": [0.7, -0.7, 0.7, -0.7]})
        assert trace.guard is not None
        assert trace.guard.is_accepted
        assert trace.guard.gain > 1.64 * trace.guard.standard_error > 0
        assert trace.after["total"] < trace.before["total"]

    def test_guard_falls_back_when_the_gain_is_noise(self, controller: Controller) -> None:
        options = {"optimum": [0.0] * P}  # the default is the best: whatever is found is luck
        traces = [self.run(controller, seed, CountingToy(noise_std=0.2), options=options) for seed in range(4)]
        for trace in traces:
            assert (trace.guard is None) == self.is_control
            assert (trace.i_chosen == 0) == (trace.guard is None or not trace.guard.is_accepted)
        if not self.is_control:
            assert all(trace.best_so_far[-1] < trace.before["total"] - 0.05 for trace in traces)  # the search is fooled
        assert sum(trace.i_chosen > 0 for trace in traces) <= 1  # about one in ten passes a test at this level

    def test_interrupt_keeps_the_trials_made(self, controller: Controller) -> None:
        def stop(progress: Progress) -> None:
            if progress.n_done >= min(2, 1 if self.is_control else 2):
                raise KeyboardInterrupt

        with pytest.raises(EpisodeInterrupted) as caught:
            self.run(controller, on_batch=stop)
        assert caught.value.trace.ending is Ending.INTERRUPTED
        assert caught.value.trace.n_trials >= 1
        assert caught.value.state is not None
