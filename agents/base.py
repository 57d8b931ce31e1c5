"""The controller interface: three methods, frozen settings, explicit state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

State = Any
"""A controller's memory: whatever ``init`` returns. The loop only carries it."""

History = tuple[np.ndarray, dict[str, np.ndarray]]
"""Settings u (T, P) and their terms, each (T,)."""


@runtime_checkable
class Controller(Protocol):
    """What the loop asks of a controller. Settings live in a frozen dataclass, memory in the state.

    ``info`` given to all three is the environment's info plus ``parameter_names`` (P names), ``default_u`` (P,),
    ``n_trials`` (the budget), ``starts`` ((M, P) settings the objective recommends to try first, or None) and
    ``objective`` (its name, ``raw`` or ``calibrated``; None where the environment names none). ``info`` given to
    ``act`` also has ``n_remaining``, the trials left: a population larger than that is cut. ``info`` given to ``learn``
    also has ``terms``, each (N,), which may be nan or inf.

    Rules (all in ``tests/contracts/controller.py``): the first setting ever proposed is ``default_u``; u stays in
    [-1, 1]; same seed, same proposals; non-finite losses are survived.

    A controller may also have:

    - ``env_options: Mapping``: merged into the reset options (`normalise` asks for the percentile stretch);
    - ``use_steps: bool``: True if it needs the observation after each single setting; the loop then steps the
      environment instead of evaluating populations, and N must be 1;
    - ``use_gradients: bool``: True if it descends: ``info`` given to ``learn`` then has ``gradient``, (N, P), the
      derivative of each total by its setting. It may be non-finite, and is missing where the loop is not ours;
    - ``is_seedless: bool``: True if it draws nothing; where the objective has no views, one episode then is all;
    - ``is_done(state) -> bool``: True ends the episode before the budget is spent;
    - ``recall(state) -> (u, terms)``: trials made in an earlier session; they open the trace, count toward the budget
      and are not evaluated again. Their first setting must be the default too.
    """

    @property
    def name(self) -> str:
        """Short name, as in the registry."""
        ...

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> State:
        """A fresh memory for one episode."""
        ...

    def act(self, state: State, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, State]:
        """The next settings to try, (N, P) in [-1, 1] with N >= 1."""
        ...

    def learn(self, state: State, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> State:
        """The memory after the settings ``u`` (N, P) were found to be worth ``info["terms"]``."""
        ...


def env_options_of(controller: Controller) -> dict[str, Any]:
    """Reset options the controller asks for."""
    return dict(getattr(controller, "env_options", {}))


def uses_steps(controller: Controller) -> bool:
    """Whether the controller wants single steps with observations rather than populations."""
    return bool(getattr(controller, "use_steps", False))


def uses_gradients(controller: Controller) -> bool:
    """Whether the controller wants the derivative of each total by its setting."""
    return bool(getattr(controller, "use_gradients", False))


def is_done(controller: Controller, state: State) -> bool:
    """Whether the controller has stopped by itself."""
    method = getattr(controller, "is_done", None)
    return bool(method(state)) if method is not None else False


def recall_of(controller: Controller, state: State) -> History | None:
    """Trials remembered from an earlier session, or None."""
    method = getattr(controller, "recall", None)
    history = method(state) if method is not None else None
    return history if history is not None and len(history[0]) else None
