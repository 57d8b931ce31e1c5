"""The exams that environments sit: subclass one as ``Test...`` and give the id and quick settings.

    class TestMine(EnvironmentContract):
        env_id = "Mine/World-v0"  # registered, an AbstractPerceptionEnv inside
        settings = {"size_px": 48}

:class:`GymnasiumContract` is the part for environments that are in one state at a time, such as an eye: their settings
are nothing that a population of could be evaluated.

Stable-baselines3's checker is asked too where that library is installed.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import ciliary.envs  # noqa: F401  (registers the ids)


class GymnasiumContract:
    """Reset, step, spaces, seeds and rewards of one registered environment."""

    env_id: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    reset_option: ClassVar[str] = "image"  # one of the legal ones
    module: ClassVar[str] = "ciliary.envs"  # importing it registers the id
    n_steps: ClassVar[int] = 4

    def make(self, **settings: Any) -> Any:
        return gym.make(self.env_id, **(self.settings | settings))

    @pytest.fixture
    def env(self) -> Iterator[Any]:
        env = self.make(patience=0)
        yield env
        env.close()

    def rollout(self, env: Any, seed: int, n_steps: int | None = None) -> list[Any]:
        rng = np.random.default_rng(0)
        obs, info = env.reset(seed=seed)
        steps = [(obs, 0.0, info)]
        for _ in range(n_steps or self.n_steps):
            obs, gain, _, _, info = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
            steps.append((obs, gain, info))
        return steps

    def test_gymnasium_check_env_is_silent(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(self.make().unwrapped)

    def test_sb3_check_env_is_silent(self) -> None:
        sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sb3.check_env(self.make(), warn=True)

    def test_same_seed_same_trajectory(self, env: Any) -> None:
        first, again = self.rollout(env, 7), self.rollout(self.make(patience=0), 7)
        for (obs_a, gain_a, info_a), (obs_b, gain_b, info_b) in zip(first, again, strict=True):
            assert gain_a == gain_b
            assert info_a["terms"] == info_b["terms"]
            for key in obs_a:
                np.testing.assert_array_equal(obs_a[key], obs_b[key])

    def test_another_seed_another_trajectory(self, env: Any) -> None:
        totals = {tuple(step[2]["terms"]["total"] for step in self.rollout(env, seed, 1)) for seed in range(6)}
        assert len(totals) > 1

    def test_observations_are_in_their_space_and_share_no_memory(self, env: Any) -> None:
        steps = self.rollout(env, 0)
        for obs, _, _ in steps:
            assert env.observation_space.contains(obs)
        held = [value for obs, _, _ in steps for value in obs.values()] + [info["u"] for _, _, info in steps]
        for i, one in enumerate(held):
            assert not any(np.shares_memory(one, other) for other in held[i + 1 :])

    def test_caller_cannot_reach_the_state_through_what_it_was_given(self, env: Any) -> None:
        obs, info = env.reset(seed=0)
        for value in obs.values():
            value[...] = 1
        info["u"][:] = 9
        info["terms"]["total"] = 9.0
        env.unwrapped.u[:] = 9
        assert np.abs(env.unwrapped.u).max() <= 1
        _, gain, *_ = env.step(np.zeros(env.action_space.shape, np.float32))
        assert abs(gain) < 3

    def test_reward_telescopes(self, env: Any) -> None:
        steps = self.rollout(env, 3)
        first, last = steps[0][2]["terms"]["total"], steps[-1][2]["terms"]["total"]
        assert sum(step[1] for step in steps) == pytest.approx(first - last - self.cost(env, steps), abs=1e-9)

    def cost(self, env: Any, steps: list[Any]) -> float:
        """What the steps of a rollout cost, the reset being the first."""
        return float(env.unwrapped.rules.step_cost * (len(steps) - 1))

    def test_standing_still_converges(self) -> None:
        env = self.make(patience=2)
        env.reset(seed=0)
        still = np.zeros(env.action_space.shape, np.float32)
        endings = [env.step(still)[2:4] for _ in range(2)]
        assert endings == [(False, False), (True, False)]

    def test_the_clock_belongs_to_the_time_limit(self) -> None:
        env = gym.make(self.env_id, max_episode_steps=2, **(self.settings | {"patience": 0}))
        env.reset(seed=0)
        still = np.zeros_like(env.action_space.sample(), np.float32)
        assert [env.step(still)[2:4] for _ in range(2)] == [(False, False), (False, True)]
        assert gym.spec(self.env_id).max_episode_steps is not None

    def test_spec_pickles_and_makes_the_same_world(self, env: Any) -> None:
        spec = pickle.loads(pickle.dumps(env.spec))
        again = gym.make(spec)
        ours, theirs = self.rollout(env, 1, 1), self.rollout(again, 1, 1)
        assert [step[2]["terms"] for step in ours] == [step[2]["terms"] for step in theirs]

    def test_id_with_its_module_registers_itself(self) -> None:
        """What a fresh process, such as a spawned worker, should ask for."""
        spec = gym.make(f"{self.module}:{self.env_id}", **self.settings).spec
        assert spec is not None
        assert spec.id == self.env_id

    def test_step_before_reset_says_what_to_do(self) -> None:
        env = self.make().unwrapped
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            env.step(np.zeros(env.action_space.shape, np.float32))

    def test_actions_that_cannot_be_are_named(self, env: Any) -> None:
        env.reset(seed=0)
        with pytest.raises(ValueError, match="finite action"):
            env.unwrapped.step(np.full(env.action_space.shape, np.nan, np.float32))
        with pytest.raises(ValueError, match="shape"):
            env.unwrapped.step(np.zeros(2, np.float32))

    def test_unknown_reset_option_lists_the_legal_ones(self, env: Any) -> None:
        with pytest.raises(ValueError, match=self.reset_option):
            env.unwrapped.reset(seed=0, options={"imagge": 1})


class EnvironmentContract(GymnasiumContract):
    """The same, and settings u with the population evaluation of an ``AbstractPerceptionEnv``."""

    @pytest.mark.parametrize("action_mode", ["delta", "absolute"])
    def test_sb3_check_env_is_silent_in_both_modes(self, action_mode: str) -> None:
        sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sb3.check_env(self.make(action_mode=action_mode), warn=True)

    def test_starts_at_the_default(self, env: Any) -> None:
        obs, info = env.reset(seed=0)
        np.testing.assert_array_equal(obs["u"], env.unwrapped.default_u)
        np.testing.assert_array_equal(info["u"], env.unwrapped.default_u)
        assert list(info["theta"]) == list(env.unwrapped.parameter_names)

    def test_absolute_action_is_u_and_delta_moves_by_max_step(self) -> None:
        for mode in ("absolute", "delta"):
            env = self.make(action_mode=mode, max_step=0.1)
            env.reset(seed=0)
            obs, *_ = env.step(np.full(env.action_space.shape, 0.3, np.float32))
            inner = env.unwrapped
            expected = np.full(inner.n_parameters, 0.3) if mode == "absolute" else inner.default_u + 0.03
            expected = np.where(np.isin(inner.parameter_names, inner.frozen), inner.default_u, expected.clip(-1, 1))
            np.testing.assert_allclose(obs["u"], expected, atol=1e-6)

    def test_evaluate_agrees_with_step_and_changes_nothing_but_the_count(self, env: Any) -> None:
        _, info = env.reset(seed=5)
        inner = env.unwrapped
        rng = np.random.default_rng(1)
        u = np.concatenate([inner.default_u[None], rng.uniform(-1, 1, (2, inner.n_parameters))]).astype(np.float32)
        first, again = inner.evaluate(u), inner.evaluate(u)
        for name, values in first.terms.items():
            assert values.shape == (3,)
            np.testing.assert_array_equal(values, again.terms[name])
            assert values[0] == pytest.approx(info["terms"][name], abs=1e-5)
        assert inner.n_evaluations == 6
        np.testing.assert_array_equal(inner.u, inner.default_u)
        absolute = self.make(action_mode="absolute")
        absolute.reset(seed=5)
        *_, info = absolute.step(u[1])
        assert info["terms"]["total"] == pytest.approx(first.terms["total"][1], abs=1e-5)

    def test_population_is_the_same_as_one_by_one(self, env: Any) -> None:
        env.reset(seed=2)
        inner = env.unwrapped
        u = np.random.default_rng(0).uniform(-1, 1, (3, inner.n_parameters)).astype(np.float32)
        singles = [inner.evaluate(row[None]).terms["total"][0] for row in u]
        np.testing.assert_allclose(inner.evaluate(u).terms["total"], singles, atol=1e-5)

    def test_fresh_views_are_seeded(self, env: Any) -> None:
        env.reset(seed=2)
        u = env.unwrapped.default_u[None]
        one = env.unwrapped.evaluate(u, views_seed=11).terms["total"]
        np.testing.assert_array_equal(one, env.unwrapped.evaluate(u, views_seed=11).terms["total"])
