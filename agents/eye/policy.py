"""A learned eye as a controller: weights in one safetensors file, played without the library that trained them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_save

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.policy import SHIPPED
from ciliary.agents.eye.arbiter import Arbiter, ArbiterState, settling_rule
from ciliary.agents.eye.network import EyeNetwork, EyeNetworkShape
from ciliary.agents.eye.promise import PlacePromise
from ciliary.envs.eye.config import MAX_FOCUS_STEP_DPT, MAX_PUPIL_FACTOR

#: Weights that come with the project.
SHIPPED_EYE = SHIPPED / "eye.safetensors"
_PROMISE = "promise"


@dataclass(frozen=True, eq=False)
class EyePolicy:
    """A trained network and where it comes from.

    Attributes:
        network: from observations to commands (:mod:`ciliary.agents.eye.arbiter`).
        promise: what looks promise of their places, learned; None without.
        about: provenance, JSON types; ``n_saccades`` is that of the rule whose controllers it commands.
    """

    network: EyeNetwork
    about: Mapping[str, Any] = field(default_factory=dict)
    promise: PlacePromise | None = None

    @property
    def arbiter(self) -> Arbiter:
        """What carries its commands out."""
        return Arbiter(settling_rule(int(self.about.get("n_saccades", 12))), self.promise)

    @property
    def is_arbiter(self) -> bool:
        """Whether it commands reflexes; else its commands are the environment's actions."""
        return "memory" in self.network.shape.vectors

    def command(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The command that follows one observation with its ``memory``.

        Raises:
            ValueError: the observation is not one the network knows.
        """
        shape = self.network.shape
        got = {name: np.size(obs[name]) if name in obs else None for name in shape.vectors}
        if got != dict(shape.vectors):
            raise ValueError(
                f"the policy was trained on observations with {dict(shape.vectors)}, got {got}: it belongs to another "
                "environment or another version of Ciliary; train one with ciliary train eye"
            )
        names = (*shape.vectors, *(("glance", "priority") if shape.has_maps else ()))
        with torch.no_grad():
            batch = {name: torch.as_tensor(np.asarray(obs[name]))[None] for name in names}
            return np.asarray(self.network(batch)[0].numpy())

    def to_bytes(self) -> bytes:
        """Weights, shape and provenance as one safetensors file."""
        tensors = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        if self.promise is not None:
            tensors |= {f"{_PROMISE}.{name}": value for name, value in self.promise.tensors().items()}
        shape = {**asdict(self.network.shape), "vectors": dict(self.network.shape.vectors)}
        return safetensors_save(tensors, {"eye_shape": json.dumps(shape), "about": json.dumps(dict(self.about))})


def load_eye_policy(path: Path | str | None = None) -> EyePolicy:
    """Read a policy; without a path, the one that comes with the project.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds something else.
    """
    path = SHIPPED_EYE if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no policy of an eye at {path}; train one with ciliary train eye")
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            network = EyeNetwork(EyeNetworkShape(**json.loads(metadata["eye_shape"])))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no iterator
            of_promise = [name for name in tensors if name.startswith(f"{_PROMISE}.")]
            promised = {name.removeprefix(f"{_PROMISE}."): tensors.pop(name) for name in of_promise}
            promise = PlacePromise.of(promised) if promised else None
            network.load_state_dict(tensors)
            about = json.loads(metadata["about"])
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} is not a policy of an eye ({error}); train one with ciliary train eye") from error
    return EyePolicy(network.eval().requires_grad_(False), about, promise)


def after_action(action: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    """The setting (4,) in [-1, 1] that an action (4,) of ``Ciliary/Eye-v0`` leads to."""
    values = info["parameters"].to_physical(np.asarray(info["u"], dtype=np.float64)[None])
    values[0, 2] += MAX_FOCUS_STEP_DPT * action[2]
    values[0, 3] *= MAX_PUPIL_FACTOR ** action[3]
    u = np.asarray(info["parameters"].to_u(values))[0]
    u[:2] = action[:2]
    return np.asarray(np.clip(u, -1, 1), dtype=np.float64)


@dataclass(frozen=True)
class EyePolicyState:
    """The policy read, what carries its commands out, and the memory of the episode."""

    policy: EyePolicy
    arbiter: Arbiter
    memory: ArbiterState


@dataclass(frozen=True)
class EyePolicyController(ControllerBase):
    """Moves gaze, lens and pupil as a trained network commands.

    Attributes:
        policy: a policy, its file, or None: the one that comes with the project.
    """

    policy: EyePolicy | Path | str | None = None

    name = "eye-policy"
    use_steps = True
    is_seedless = True

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> EyePolicyState:
        """Read the weights.

        Raises:
            FileNotFoundError, ValueError: as :func:`load_eye_policy`; a muscle is not free.
        """
        policy = self.policy if isinstance(self.policy, EyePolicy) else load_eye_policy(self.policy)
        arbiter = policy.arbiter
        return EyePolicyState(policy, arbiter, arbiter.init(obs, info, seed))

    def act(self, state: EyePolicyState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, EyePolicyState]:
        """The next setting, (1, P)."""
        if not state.memory.resolved:
            return np.array(info["default_u"], dtype=np.float64)[None], state
        if not state.policy.is_arbiter:
            return after_action(state.policy.command(obs), info)[None], state
        told = {**obs, "memory": state.arbiter.memory(state.memory, obs, info)}
        command = state.arbiter.corrected(state.memory, state.policy.command(told))
        return state.arbiter.setting(state.memory, command, obs, info)[None], state

    def learn(self, state: EyePolicyState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> EyePolicyState:
        """Remember the look."""
        return EyePolicyState(state.policy, state.arbiter, state.arbiter.learn(state.memory, u, obs, info))
