"""A learned policy as a controller: it looks once (or a few times) and proposes; no search.

Weights are one safetensors file: tensors and, in its metadata, the network's shape and the provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_save

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.columns import Names, align, columns_of_file
from ciliary.agents.controllers.network import NetworkShape, PolicyNetwork

#: Weights that come with the project, by the objective they were trained for.
SHIPPED = Path(__file__).parents[1] / "weights"


@runtime_checkable
class Proposer(Protocol):
    """What is asked of a policy."""

    def propose(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The setting (P,) float32 in [-1, 1] that follows one observation."""
        ...


@dataclass(frozen=True)
class Recommendation:
    """Proposes what it departs from: the setting that the objective recommends for the image.

    Under the calibrated objective no network trained so far beat that on images it had not seen.
    """

    def propose(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The ``u`` of the observation, see :func:`depart`."""
        return np.asarray(obs["u"], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Policy:
    """A trained network and where it comes from.

    Attributes:
        network: from observations to settings.
        about: provenance: data, objective, date, seed, scores, and the names of the columns; JSON types.
    """

    network: PolicyNetwork
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> Names:
        """Names of what it sets and sees, see :func:`ciliary.agents.controllers.columns.columns_of_file`."""
        return columns_of_file(self.about, self._sizes)

    @property
    def usual(self) -> Mapping[str, np.ndarray]:
        """Means of ``statistics`` and ``terms`` over its training data."""
        return {"statistics": self.network.statistics_mean.numpy(), "terms": self.network.terms_mean.numpy()}

    @property
    def _sizes(self) -> dict[str, int]:
        shape = self.network.shape
        return {"statistics": shape.n_statistics, "terms": shape.n_terms, "u": shape.n_parameters}

    def propose(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The setting (P,) float32 in [-1, 1] that follows one observation, both in the columns of its training.

        Raises:
            ValueError: the observation is not one the network knows.
        """
        shape, sizes = self.network.shape, self._sizes
        got = {name: np.size(obs[name]) if name in obs else None for name in sizes}
        if got != sizes or (shape.has_image and "image" not in obs):
            wanted = sizes | ({"image": "(3, 48, 48)"} if shape.has_image else {})
            raise ValueError(
                f"the policy was trained on observations with {wanted}, got {got}: it belongs to another environment "
                "or another version of Ciliary; train one with scripts/train_policy.py"
            )
        batch = {name: torch.as_tensor(np.asarray(obs[name]))[None] for name in (*sizes, *self._image())}
        with torch.no_grad():
            proposed: np.ndarray = self.network(batch)[0].numpy().astype(np.float32)
        return proposed

    def to_bytes(self) -> bytes:
        """Weights, shape and provenance as one safetensors file."""
        tensors = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        metadata = {"shape": json.dumps(asdict(self.network.shape)), "about": json.dumps(dict(self.about))}
        return safetensors_save(tensors, metadata)

    def _image(self) -> tuple[str, ...]:
        return ("image",) if self.network.shape.has_image else ()


def load_policy(path: Path | str | None = None, objective: str | None = None) -> Policy:
    """Read a policy; without a path, the one that comes with the project for this objective (``raw`` if None).

    Raises:
        FileNotFoundError: no such file, or no policy is shipped for that objective.
        ValueError: the file holds something else.
    """
    if path is None:
        path = SHIPPED / f"policy_{objective or 'raw'}.safetensors"
        if not path.is_file():
            raise FileNotFoundError(
                f"no policy comes with Ciliary for the objective {objective!r}; train one with scripts/train_policy.py"
                " and give it with --policy FILE"
            )
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no policy at {path}; train one with scripts/train_policy.py")
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            network = PolicyNetwork(NetworkShape(**json.loads(metadata["shape"])))
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 -- no iterator
            about = json.loads(metadata["about"])
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} is not a policy of Ciliary ({error}); train one anew") from error
    return Policy(network.eval().requires_grad_(False), about)


def depart(obs: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """What is seen at the defaults, with ``u`` replaced by the first setting that the objective recommends, if any.

    That is what a first proposal departs from: an untrained policy proposes the recommendation.
    """
    starts = info.get("starts")
    return {**obs, "u": starts[0]} if starts is not None and len(starts) else dict(obs)


def proposer_for(policy: Proposer | Path | str | None, info: Mapping[str, Any]) -> Proposer:
    """What proposes in an episode: the policy given, that of a file, the shipped one, or the recommendation itself.

    A policy trained with other columns is brought to those of the environment, and then has ``notes``.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_policy`; no policy is shipped for an objective that recommends
            nothing either.
    """
    if isinstance(policy, Policy):
        return align(policy, info)
    if isinstance(policy, Proposer):
        return policy
    try:
        return align(load_policy(policy, info.get("objective")), info)
    except FileNotFoundError:
        if policy is None and info.get("starts") is not None:
            return Recommendation()
        raise


@dataclass(frozen=True)
class PolicyState:
    """The policy read, and how often it has proposed (-1: not even the defaults were tried)."""

    policy: Proposer
    n_proposed: int = -1


@dataclass(frozen=True)
class PolicyController(ControllerBase):
    """The defaults, then ``n_steps`` proposals, each from what was seen at the one before.

    Attributes:
        policy: a policy, its file, or None: what :func:`proposer_for` finds for the environment's objective.
        n_steps: proposals, >= 1. One needs no more than the look at the defaults.
    """

    policy: Proposer | Path | str | None = None
    n_steps: int = 1

    name = "policy"
    use_steps = True  # it needs the observation of each setting
    is_seedless = True  # it draws nothing

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ValueError(f"expected n_steps >= 1, got {self.n_steps}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> PolicyState:
        """Read the weights.

        Raises:
            FileNotFoundError, ValueError: as :func:`proposer_for`.
        """
        del obs, seed
        return PolicyState(proposer_for(self.policy, info))

    def act(self, state: PolicyState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, PolicyState]:
        """The defaults first, then what the policy proposes, (1, P)."""
        if state.n_proposed < 0:
            u = np.asarray(info["default_u"])
        else:
            u = state.policy.propose(depart(obs, info) if state.n_proposed == 0 else obs)
        return u[None], PolicyState(state.policy, state.n_proposed + 1)

    def learn(self, state: PolicyState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> PolicyState:
        """Nothing: it has learned before."""
        del u, obs, info
        return state

    def is_done(self, state: PolicyState) -> bool:
        """Whether all proposals were made."""
        return state.n_proposed >= self.n_steps
