"""A policy trained with stable-baselines3, played as a controller: any zip of PPO, A2C, SAC, TD3 or DDPG.

Such a zip holds pickled Python objects beside its weights. They are not read, so that a stranger's zip cannot run code
(:mod:`ciliary.agents.controllers.sb3_file`), unless the caller says that the zip is to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.columns import Aligned, Names, align, columns_of_file
from ciliary.agents.controllers.sb3_file import read_model
from ciliary.envs.dynamics import Rules, move


@dataclass(frozen=True, eq=False)
class Sb3Policy:
    """A model of stable-baselines3 and the convention its actions follow.

    Attributes:
        model: has ``predict`` and ``observation_space``.
        rules: what an action does to u: ``delta`` with a largest step, or ``absolute``.
        about: what Ciliary's training wrote into the zip; empty for a foreign one.
    """

    model: Any
    rules: Rules = field(default_factory=Rules)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> Names:
        """Names of what it sets and sees, see :func:`ciliary.agents.controllers.columns.columns_of_file`."""
        spaces = {name: tuple(space.shape) for name, space in self.model.observation_space.spaces.items()}
        shapes = {**spaces, "u": tuple(self.model.action_space.shape)}
        return columns_of_file(self.about, {name: shape[0] for name, shape in shapes.items() if len(shape) == 1})

    @property
    def usual(self) -> Mapping[str, np.ndarray]:
        """Not known: what it is not told is told as 0."""
        return {}

    def propose(self, obs: Mapping[str, np.ndarray], *, sample_seed: int | None = None) -> np.ndarray:
        """The setting (P,) float32 in [-1, 1] that follows one observation, both in the columns of its training.

        Args:
            obs: the environment's observation.
            sample_seed: sample the action with this seed; None takes the policy's mean.

        Raises:
            ValueError: the observation is not one the model was trained on.
        """
        spaces = self.model.observation_space.spaces
        wanted = {name: tuple(space.shape) for name, space in spaces.items()}
        got = {name: np.shape(obs[name]) if name in obs else None for name in wanted}
        n_parameters = np.size(obs["u"]) if "u" in obs else None
        if got != wanted or self.model.action_space.shape != (n_parameters,):
            raise ValueError(
                f"the policy was trained on observations {wanted} and actions {self.model.action_space.shape}, but the "
                f"environment gives {got} and has {n_parameters} parameters: it belongs to another environment or "
                "another version of Ciliary; train one with scripts/train_policy.py"
            )
        batch = {name: np.asarray(obs[name])[None] for name in wanted}
        with torch.random.fork_rng(devices=[], enabled=sample_seed is not None):
            if sample_seed is not None:
                torch.manual_seed(sample_seed)
            action, _ = self.model.predict(batch, deterministic=sample_seed is None)
        action = np.nan_to_num(np.asarray(action, dtype=np.float32), nan=0.0)
        moved: np.ndarray = move(np.asarray(obs["u"], dtype=np.float32)[None], action, rules=self.rules)[0]
        return moved


def load_sb3(path: Path | str, *, trust: bool = False) -> Sb3Policy:
    """Read a zip that ``model.save`` of stable-baselines3 wrote.

    A zip of Ciliary's training says what its actions mean; any other is taken to be trained in the environment's
    default mode (``delta``, 0.25).

    Args:
        path: of the zip.
        trust: unpickle what it holds: needed for networks with parts of their maker's own, and able to run any code.

    Raises:
        FileNotFoundError: no such file.
        ImportError: stable-baselines3 is not installed.
        ValueError: not such a zip, or of an algorithm or a space that cannot be played here, or one that needs trust.
    """
    model, about = read_model(Path(path), trust=trust)
    known = {name: about[name] for name in ("action_mode", "max_step") if name in about}
    return Sb3Policy(model, Rules(**known), about)


@dataclass(frozen=True)
class Sb3State:
    """The policy read, the seed, and how often it has proposed (-1: not even the defaults were tried)."""

    policy: Sb3Policy | Aligned
    seed: int
    n_proposed: int = -1


@dataclass(frozen=True)
class Sb3Controller(ControllerBase):
    """The defaults, then ``n_steps`` proposals, each from what was seen at the one before.

    Attributes:
        policy: a policy, or the zip that stable-baselines3 saved.
        n_steps: proposals, >= 1; as many as an episode of its training had.
        is_deterministic: the mean action rather than a sampled one.
        trust: whether what is pickled in the zip may be read, which can run any code (see :func:`load_sb3`).
    """

    policy: Sb3Policy | Path | str | None = None
    n_steps: int = 4
    is_deterministic: bool = True
    trust: bool = False

    name = "sb3"
    use_steps = True  # it needs the observation of each setting

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ValueError(f"expected n_steps >= 1, got {self.n_steps}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> Sb3State:
        """Read the zip.

        Raises:
            ValueError: no policy was given; else as :func:`load_sb3`.
        """
        del obs
        if self.policy is None:
            raise ValueError(
                "the controller sb3 plays a policy trained with stable-baselines3; give its zip with --policy FILE"
            )
        policy = self.policy if isinstance(self.policy, Sb3Policy) else load_sb3(self.policy, trust=self.trust)
        return Sb3State(align(policy, info), seed)

    def act(self, state: Sb3State, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, Sb3State]:
        """The defaults first, then what the policy proposes, (1, P)."""
        n_proposed = state.n_proposed + 1
        if n_proposed == 0:
            u = np.asarray(info["default_u"])
        else:
            sample_seed = None if self.is_deterministic else 1000 * state.seed + n_proposed
            u = state.policy.propose(obs, sample_seed=sample_seed)
        return u[None], replace(state, n_proposed=n_proposed)

    def learn(self, state: Sb3State, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> Sb3State:
        """Nothing: it has learned before."""
        del u, obs, info
        return state

    def is_done(self, state: Sb3State) -> bool:
        """Whether all proposals were made."""
        return state.n_proposed >= self.n_steps
