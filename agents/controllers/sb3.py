"""A policy trained with stable-baselines3, played as a controller: any zip of PPO, A2C, SAC, TD3 or DDPG.

Load only files you trust: such a zip holds pickled Python objects beside its weights, and reading them can run any
code. Policies of Ciliary's own (:mod:`ciliary.agents.controllers.policy`) are plain tensors.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.columns import Aligned, Names, align, columns_of_file
from ciliary.envs.dynamics import Rules, move

#: An entry that only the saved models of this algorithm have, asked in this order (DDPG is a case of TD3).
_MARKS = {"PPO": "clip_range", "SAC": "target_entropy", "TD3": "target_policy_noise", "A2C": "normalize_advantage"}

#: Left out when a zip is read: only training needs them, and they are what breaks between versions.
_UNNEEDED: Mapping[str, Any] = {
    "learning_rate": 0.0,
    "lr_schedule": lambda _: 0.0,
    "clip_range": lambda _: 0.0,
    "clip_range_vf": None,
    "replay_buffer_class": None,
    "replay_buffer_kwargs": {},
    "_last_obs": None,
    "_last_original_obs": None,
    "_last_episode_starts": None,
    "ep_info_buffer": None,
    "ep_success_buffer": None,
    "buffer_size": 1,
    "seed": None,  # it would seed all generators of the process
}


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


def load_sb3(path: Path | str) -> Sb3Policy:
    """Read a zip that ``model.save`` of stable-baselines3 wrote. It unpickles: load only what you trust.

    A zip of Ciliary's training says what its actions mean; any other is taken to be trained in the environment's
    default mode (``delta``, 0.25).

    Raises:
        FileNotFoundError: no such file.
        ImportError: stable-baselines3 is not installed.
        ValueError: not such a zip, or of an algorithm or a space that cannot be played here.
    """
    path = Path(path)
    data = _read_data(path)
    try:
        import stable_baselines3
    except ImportError as error:
        raise ImportError(
            f"a policy of stable-baselines3 needs that library ({error}); install it with: pip install 'ciliary[rl]'"
        ) from error
    algorithm = next((name for name, mark in _MARKS.items() if mark in data), None)
    if algorithm is None:
        raise ValueError(f"{path} is of an algorithm that cannot be played here; expected one of {', '.join(_MARKS)}")
    unneeded = {name: value for name, value in _UNNEEDED.items() if name in data}
    try:
        with torch.random.fork_rng(devices=[]):  # networks are initialised before their weights are read
            model = getattr(stable_baselines3, algorithm).load(path, device="cpu", custom_objects=unneeded)
        model.observation_space.spaces  # noqa: B018 -- no observations by name: no policy of ours
    except Exception as error:  # unpickling meets broken and foreign bytes with almost any exception
        raise ValueError(f"{path} cannot be read as a {algorithm} policy on observations by name ({error})") from error
    about = data.get("ciliary") or {}
    known = {name: about[name] for name in ("action_mode", "max_step") if name in about}
    return Sb3Policy(model, Rules(**known), about)


def _read_data(path: Path) -> dict[str, Any]:
    """The zip's own description, read without unpickling anything."""
    if not path.is_file():
        raise FileNotFoundError(f"no policy at {path}; train one with scripts/train_policy.py --algo ppo")
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no model saved by stable-baselines3 ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is no model saved by stable-baselines3 (its data is a {type(data).__name__})")
    return data


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
        policy: a policy, or the zip that stable-baselines3 saved (load only what you trust).
        n_steps: proposals, >= 1; as many as an episode of its training had.
        is_deterministic: the mean action rather than a sampled one.
    """

    policy: Sb3Policy | Path | str | None = None
    n_steps: int = 4
    is_deterministic: bool = True

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
        policy = self.policy if isinstance(self.policy, Sb3Policy) else load_sb3(self.policy)
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
