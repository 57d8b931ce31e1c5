"""The controller interface: three methods, frozen settings, explicit state, declared capabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

State = Any
"""A controller's memory: whatever ``init`` returns. The loop only carries it."""

_METHODS = ("init", "act", "learn")


class Controller(Protocol):
    """The least that can be played: three methods. Derive from :class:`ControllerBase`, which has all the rest."""

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> State:
        """A fresh memory for one episode."""
        ...

    def act(self, state: State, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, State]:
        """The next settings to try, (N, P) in [-1, 1] with N >= 1."""
        ...

    def learn(self, state: State, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> State:
        """The memory after the settings ``u`` (N, P) were found to be worth ``info["terms"]``."""
        ...


class ControllerBase(ABC):
    """What the loop asks of a controller. Settings live in a frozen dataclass, memory in the state. For instance::

        @dataclass(frozen=True)
        class Walker(ControllerBase):
            step: float = 0.1

            def init(self, obs, info, seed):
                return np.random.default_rng(seed), info["default_u"], None

            def act(self, state, obs, info):
                rng, best, total = state
                u = best if total is None else np.clip(best + self.step * rng.normal(size=best.shape), -1, 1)
                return u[None], state

            def learn(self, state, u, obs, info):
                rng, best, total = state
                new = info["terms"]["total"][0]
                is_better = np.isfinite(new) and (total is None or new < total)
                return (rng, u[0], new) if is_better else (rng, best, np.inf if total is None else total)

    ``info`` given to all three methods is the environment's info plus ``parameters`` (the
    :class:`~ciliary.cortex.parameters.ParameterTable` of the columns of u), ``parameter_names`` (its P names),
    ``default_u`` (P,), ``frozen`` (names of parameters that can do nothing there: whatever is proposed for them, the
    defaults are tried), ``n_trials`` (the budget), ``starts`` ((M, P) settings the objective recommends to try first,
    or None), ``objective`` (its name, ``raw`` or ``calibrated``; None where the environment names none), ``observed``
    (names of the entries of the observation's ``statistics`` and ``terms``, where the environment tells them). ``info``
    given to ``act`` also has ``n_remaining``, the trials left: a population larger than that is cut. ``info`` given to
    ``learn`` also has ``terms``, each (N,), which may be nan or inf.

    Rules (all in ``ciliary.testing.controller``, the exam): the first setting ever proposed is ``default_u``; u stays
    in [-1, 1]; same seed, same proposals; non-finite losses are survived.

    The class declares these where they differ from here.

    Attributes:
        use_steps: True if it needs the observation after each single setting; the loop then steps the environment
            instead of evaluating populations, and N must be 1.
        use_gradients: True if it descends: ``info`` given to ``learn`` then has ``gradient``, (N, P), the derivative of
            each total by its setting. It may be non-finite, and is missing where the loop is not ours. With
            ``use_steps`` it is that where the environment then stands.
        is_seedless: True if it draws nothing; where the objective has no views, one episode then is all.
        env_options: merged into the reset options (`normalise` asks for the percentile stretch).
    """

    use_steps: bool = False
    use_gradients: bool = False
    is_seedless: bool = False
    env_options: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """Short name for results: as in the registry; of a class of one's own the class's name."""
        return type(self).__name__

    @property
    def option_names(self) -> frozenset[str]:
        """The settings it takes by name: the fields of its dataclass."""
        return frozenset(field.name for field in fields(self)) if is_dataclass(self) else frozenset()

    def with_options(self, **options: Any) -> Self:
        """The same controller with other settings.

        Raises:
            ValueError: it has no such setting, or not with such a value.
        """
        unknown = sorted(set(options) - self.option_names)
        if unknown:
            known = ", ".join(sorted(self.option_names)) or "none"
            raise ValueError(f"the controller {self.name} does not take {', '.join(unknown)}; its settings: {known}")
        return replace(self, **options) if options else self  # type: ignore[type-var]  # without fields no option

    @abstractmethod
    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> State:
        """A fresh memory for one episode."""

    @abstractmethod
    def act(self, state: State, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, State]:
        """The next settings to try, (N, P) in [-1, 1] with N >= 1."""

    @abstractmethod
    def learn(self, state: State, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> State:
        """The memory after the settings ``u`` (N, P) were found to be worth ``info["terms"]``."""

    def is_done(self, state: State) -> bool:
        """True ends the episode before the budget is spent."""
        del state
        return False


def as_controller(one: object) -> ControllerBase:
    """The object as a controller; one with the three methods but of another descent is adopted.

    Raises:
        ValueError: it is a class, or lacks a method: which.
    """
    if isinstance(one, ControllerBase):
        return one
    if isinstance(one, type):
        raise ValueError(f"expected a controller, got the class {one.__name__}; give an instance: {one.__name__}()")
    missing = [name for name in _METHODS if not callable(getattr(one, name, None))]
    if missing:
        raise ValueError(
            f"{type(one).__name__} is no controller: it lacks {', '.join(missing)}; derive it from "
            f"ciliary.agents.ControllerBase and write {', '.join(_METHODS)}"
        )
    return Adopted(one)


@dataclass(frozen=True)
class Adopted(ControllerBase):
    """A controller of another descent: its three methods, and what else of :class:`ControllerBase` it happens to have.

    Attributes:
        own: the object.
    """

    own: Any

    def __post_init__(self) -> None:
        for name in ("use_steps", "use_gradients", "is_seedless", "env_options"):
            object.__setattr__(self, name, getattr(self.own, name, getattr(ControllerBase, name)))

    @property
    def name(self) -> str:
        """Its ``name``, else that of its class."""
        return str(getattr(self.own, "name", type(self.own).__name__))

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> State:
        """Its own."""
        return self.own.init(obs, info, seed)

    def act(self, state: State, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, State]:
        """Its own."""
        u, state = self.own.act(state, obs, info)
        return np.asarray(u), state

    def learn(self, state: State, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> State:
        """Its own."""
        return self.own.learn(state, u, obs, info)

    def is_done(self, state: State) -> bool:
        """Its own, if it has one."""
        return bool(self.own.is_done(state)) if hasattr(self.own, "is_done") else False
