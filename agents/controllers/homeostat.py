"""Reflex: a homeostat. A few statistics of the percept are held near set points, each by one parameter; no search.

Homeostatic plasticity scales a gain until activity returns to its target (Turrigiano 2008); here activity, contour
density, affinity and the entropies of slots and masks are fed back to light adaptation, cue weights, barriers,
temperatures and the merging threshold. The law is integral feedback: each step adds gain x error to the parameter, so
that a loop alone leaves the share 1 + gain x response of its error after every step
(``ciliary.agents.training.homeostat_fit`` measures set points, spreads and gains on training images).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.columns import columns_of_world
from ciliary.agents.trace import statistics_of
from ciliary.cortex.neurons.homeostasis import correction

SHIPPED = Path(__file__).parents[1] / "weights" / "reflex.json"


@dataclass(frozen=True)
class Loop:
    """One feedback loop.

    Attributes:
        statistic: name in :data:`ciliary.envs.observation.STATISTICS`; ``s0``, ``s1``, ... in a world that
            does not name its own.
        parameter: name of the parameter that is moved.
        set_point: value of the statistic that is held.
        spread: how far the statistic usually lies from it, > 0; the unit of the error.
        gain: change of u per spread of error.

    Raises:
        ValueError: if a number is not finite, or the spread is not above 0.
    """

    statistic: str
    parameter: str
    set_point: float
    spread: float
    gain: float

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, (self.set_point, self.spread, self.gain))) and self.spread > 0):
            raise ValueError(f"expected a finite set point and gain and a spread > 0, got {self}")


@cache
def load_loops(path: Path = SHIPPED) -> tuple[Loop, ...]:
    """The table of loops in a JSON file, as ``ciliary.agents.training.homeostat_fit`` writes it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["loops"]
        return tuple(Loop(**{field.name: row[field.name] for field in fields(Loop)}) for row in rows)
    except (KeyError, TypeError, ValueError) as error:  # also of JSON and of UTF-8
        raise ValueError(f"{path}: not a table of reflex loops ({error}); make one with measure_reflexes") from error


@dataclass(frozen=True, eq=False)
class ReflexState:
    """Where the homeostat stands.

    Attributes:
        u: (P,) the next setting to try.
        default: (P,) where it began.
        loops: the loops that this world has, with the positions of their statistic and parameter.
        n_left: settings left to try.
    """

    u: np.ndarray
    default: np.ndarray
    loops: tuple[tuple[Loop, int, int], ...]
    n_left: int


@dataclass(frozen=True)
class ReflexController(ControllerBase):
    """The defaults, then a few steps of feedback.

    Loops that name a statistic or a parameter which the world does not have are at rest; if none is left, only the
    defaults are tried. Without statistics in the observation it stays where it is.

    Attributes:
        loops: the table; None takes that of ``policy``.
        n_steps: steps after the defaults, >= 1.
        dead_zone: errors up to so many spreads are left alone (and larger ones reduced by it), >= 0.
        max_step: largest change of one entry of u in one step, > 0.
        max_shift: largest distance of one entry of u from its default, > 0.
        policy: JSON file of a table, as ``scripts/train_policy.py`` measures it; None: the one that comes with the
            project.
    """

    loops: tuple[Loop, ...] | None = None
    n_steps: int = 4
    dead_zone: float = 0.0
    max_step: float = 0.25
    max_shift: float = 0.5
    policy: Path | None = None

    name = "reflex"
    use_steps = True
    is_seedless = True  # it draws nothing

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.dead_zone < 0 or not (self.max_step > 0 and self.max_shift > 0):
            raise ValueError(f"expected n_steps >= 1, dead_zone >= 0, max_step > 0 and max_shift > 0, got {self}")
        if self.loops is not None and self.policy is not None:
            raise ValueError("expected loops or the file of a table (policy), got both; give one")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ReflexState:
        """At the defaults, with the loops that fit this world."""
        del seed
        default, statistics = np.asarray(info["default_u"], dtype=np.float32), statistics_of(obs)
        loops = load_loops(Path(self.policy or SHIPPED)) if self.loops is None else self.loops
        fitting: tuple[tuple[Loop, int, int], ...] = ()
        if statistics is not None:
            told = columns_of_world(info).get("statistics")
            names = told or tuple(f"s{i}" for i in range(len(statistics)))
            fitting = fit(loops, names, tuple(info["parameter_names"]))
        return ReflexState(default, default, fitting, 1 + self.n_steps if fitting else 1)

    def act(self, state: ReflexState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, ReflexState]:
        """The next setting, (1, P)."""
        del obs, info
        return state.u[None], ReflexState(state.u, state.default, state.loops, state.n_left - 1)

    def learn(self, state: ReflexState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> ReflexState:
        """Feed the statistics seen at the setting reached, ``u`` (1, P), back to it."""
        del info
        here, statistics = np.asarray(u, dtype=np.float64)[0], statistics_of(obs)
        if statistics is None:
            return state
        step = np.clip(self.feedback(state.loops, statistics, len(here)), -self.max_step, self.max_step)
        low, high = np.maximum(state.default - self.max_shift, -1), np.minimum(state.default + self.max_shift, 1)
        moved = np.clip(here + step, low, high).astype(np.float32)
        return ReflexState(moved, state.default, state.loops, state.n_left)

    def is_done(self, state: ReflexState) -> bool:
        """Whether all steps are made."""
        return state.n_left == 0

    def feedback(self, loops: Sequence[tuple[Loop, int, int]], statistics: np.ndarray, n_parameters: int) -> np.ndarray:
        """Change of u (P,) that the loops ask for, before it is clipped; statistics that are not finite ask nothing."""
        step = np.zeros(n_parameters)
        if loops:
            table, i_statistic, i_parameter = zip(*loops, strict=True)
            held = {name: np.array([getattr(one, name) for one in table]) for name in ("set_point", "spread", "gain")}
            asked = correction(
                statistics[list(i_statistic)].astype(np.float64),
                held["set_point"],
                gain=held["gain"],
                spread=held["spread"],
                dead_zone=self.dead_zone,
            )
            np.add.at(step, list(i_parameter), np.where(np.isfinite(asked), asked, 0.0))
        return step


def fit(
    loops: Sequence[Loop], statistic_names: Sequence[str], parameter_names: Sequence[str]
) -> tuple[tuple[Loop, int, int], ...]:
    """The loops that a world with these statistics and parameters has, with their positions."""
    statistics = {s: i for i, s in enumerate(statistic_names)}
    parameters = {p: i for i, p in enumerate(parameter_names)}
    return tuple(
        (loop, statistics[loop.statistic], parameters[loop.parameter])
        for loop in loops
        if loop.statistic in statistics and loop.parameter in parameters
    )
