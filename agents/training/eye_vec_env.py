"""Eyes in the form stable-baselines3 trains on: corrections of commands in, observations with the eye's memory out."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from ciliary.agents.eye.arbiter import MEMORY, N_COMMANDS, Arbiter, ArbiterState
from ciliary.agents.eye.playing import Rows, row_of
from ciliary.agents.training.vec_env import AccommodationVecEnv, Batch
from ciliary.envs.eye.terms import TERMS
from ciliary.envs.eye.vector import EyeVectorEnv

#: Entries of the observation that a policy is given: vectors, then maps.
VECTORS = ("eye", "statistics", "time")
MAPS = ("glance", "priority")
#: What only the critic is told: the terms of the look, label-free, which the reward is made of, and what the rule would
#: still have earned of its whole gain at this scene.
CRITIC = "terms"


class EyeVecEnv(AccommodationVecEnv):
    """E episodes of :class:`ciliary.envs.eye.vector.EyeVectorEnv` as a ``VecEnv`` of stable-baselines3.

    Same-step autoreset, by a masked reset, as its parent.

    Args:
        envs: the episodes.
        arbiter: corrects the rule's commands by the actions and carries them out, and adds ``memory`` to the
            observation; None: actions are the environment's own.
            ``terms`` are always added, for the critic alone.
        has_maps: whether ``glance`` and ``priority`` are handed on.
        n_looks: of an episode, with the reset's.

    Attributes:
        rule_gains: what the rule earns in an episode, by the scene's name; 0 where it is not known. Scenes differ far
            more in what can be earned than courses at one scene do: the critic need not guess it.
    """

    envs: EyeVectorEnv  # type: ignore[assignment]

    def __init__(
        self, envs: EyeVectorEnv, arbiter: Arbiter | None, *, has_maps: bool = False, n_looks: int = 17
    ) -> None:
        super().__init__(envs, keys=(*VECTORS, *(MAPS if has_maps else ())))  # type: ignore[arg-type]
        self.arbiter, self._rows = arbiter, Rows(envs, n_looks)
        self.states: list[ArbiterState | None] = [None] * self.num_envs
        self._obs: Batch = {}
        self._memory = np.zeros((self.num_envs, len(MEMORY)), dtype=np.float32)
        self._n_begun = 0
        self.rule_gains: dict[str, float] = {}
        self._paid = np.zeros(self.num_envs)
        known = dict(self.observation_space.spaces)  # type: ignore[attr-defined]
        known[CRITIC] = spaces.Box(-np.inf, np.inf, (len(TERMS) + 1,), np.float32)
        self.observation_space = spaces.Dict(known)
        if arbiter is not None:
            known["memory"] = spaces.Box(-np.inf, np.inf, (len(MEMORY),), np.float32)
            self.observation_space = spaces.Dict(known)
            self.action_space = spaces.Box(-1.0, 1.0, (N_COMMANDS,), np.float32)

    def reset(self) -> Batch:
        """Begin an episode in every copy."""
        obs, info = self.envs.reset(seed=list(self._seeds))
        self._reset_seeds()
        self._begin(obs, list(range(self.num_envs)))
        self.reset_infos = self._each(info)
        return self._seen(obs)

    def step_wait(self) -> tuple[Batch, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards (E,) float32, dones (E,) bool, and one info for each copy."""
        if self._actions is None:
            raise ValueError("expected step_async(actions) before step_wait()")
        obs, rewards, terminated, truncated, info = self.envs.step(self._carried_out(self._actions))
        self._actions = None
        self._paid += rewards
        rows = list(range(self.num_envs))
        self._learn(obs, rows)
        dones, infos, seen = terminated | truncated, self._each(info), self._seen(obs)
        for i in rows:
            infos[i]["TimeLimit.truncated"] = False  # ``time`` is seen: nothing is to be hoped for beyond the last look
        if dones.any():
            over = [int(i) for i in np.flatnonzero(dones)]
            for i in over:
                infos[i]["terminal_observation"] = {name: values[i].copy() for name, values in seen.items()}
            obs, info = self.envs.reset(options={"reset_mask": dones})
            self._begin(obs, over)
            seen = self._seen(obs)
        return seen, rewards.astype(np.float32), dones, infos

    def _carried_out(self, commands: np.ndarray) -> np.ndarray:
        if self.arbiter is None:
            return commands
        wanted = np.zeros((self.num_envs, len(self.envs.config.muscles)))
        for i, state in enumerate(self.states):
            assert state is not None
            command = self.arbiter.corrected(state, commands[i])
            wanted[i] = self.arbiter.setting(state, command, row_of(self._obs, i), self._rows.info(i))
        return self.envs.world.action_towards(wanted)

    def _begin(self, obs: Batch, rows: list[int]) -> None:
        self._obs = obs
        self._paid[rows] = 0.0
        if self.arbiter is None:
            return
        for i in rows:
            self._rows.begin(i)
            self.states[i] = self.arbiter.init(row_of(obs, i), self._rows.info(i), self._n_begun)
            self._n_begun += 1
        self._learn(obs, rows)

    def _learn(self, obs: Batch, rows: list[int]) -> None:
        self._obs = obs
        if self.arbiter is None:
            return
        world = self.envs.world
        for i in rows:
            own, info, state = row_of(obs, i), self._rows.info(i), self.states[i]
            assert state is not None
            state = self.arbiter.learn(state, world.u[i, world.is_free][None], own, info)
            self.states[i], self._memory[i] = state, self.arbiter.memory(state, own, info)

    def _seen(self, obs: Batch) -> Batch:
        world = self.envs.world
        gains = np.array([self.rule_gains.get(world.scene(i).name, 0.0) for i in range(self.num_envs)])
        told = np.stack([*(world.terms[name] for name in TERMS), gains - self._paid], 1)
        seen = {**super()._seen(obs), CRITIC: told.astype(np.float32)}
        return seen if self.arbiter is None else {**seen, "memory": self._memory.copy()}

    def _each(self, info: dict[str, Any]) -> list[dict[str, Any]]:
        del info
        terms = self.envs.world.terms
        return [{"terms": {name: float(values[i]) for name, values in terms.items()}} for i in range(self.num_envs)]
