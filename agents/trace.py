"""What one accommodation episode leaves behind: every trial, what was chosen, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from ciliary.cortex.parameters import ParameterTable


class Ending(Enum):
    """Why an episode ended. The value is the advice."""

    BUDGET_SPENT = "All trials were used. If best_so_far was still falling, raise n_trials."
    CONVERGED = "The controller had nothing more to try, or the environment converged, before the budget was spent."
    NON_FINITE = "No trial had a finite total, so the defaults were kept. Look at `trace.terms` and at the image."
    INTERRUPTED = "Stopped by the user. Nothing was applied; the trials made so far are in the trace."


@dataclass(frozen=True)
class GuardDecision:
    """The paired comparison of the chosen setting with the defaults on views the search never saw.

    Attributes:
        is_accepted: whether the setting found is applied; otherwise the defaults are kept.
        gain: mean fall of the total against the defaults over the fresh views (> 0 is better); nan if not measured.
        standard_error: standard error of ``gain`` over the fresh views; nan if not measured.
        reason: one sentence for people.
    """

    is_accepted: bool
    gain: float
    standard_error: float
    reason: str


@dataclass(frozen=True)
class Trace:
    """One episode: one image, one disturbance, one controller, T trials.

    Attributes:
        controller: its name.
        seed: of the environment and of the controller.
        u: (T, P) settings in [-1, 1], in the order in which they were tried; row 0 is the default setting.
        terms: loss terms by name, each (T,), lower is better; contains ``total``; may hold nan or inf.
        best_so_far: (T,) lowest finite total up to each trial; inf while there was none.
        i_chosen: the trial whose setting was applied; 0 when the defaults were kept.
        u_chosen: (P,) its setting.
        before: terms at the defaults on the image as it came.
        after: terms at the applied setting, on the same views as ``before``.
        guard: its decision, or None when there was nothing to decide (one trial, guard switched off, plain
            Gymnasium environment).
        ending: why it ended.
        n_evaluations: settings evaluated in all: trials, guard, and the steps that applied the choice.
        seconds: wall clock of the whole episode.
        parameters: the columns of ``u``.
        frozen: names of those that could do nothing and kept their defaults.
        is_integrated: whether the answer is the percept of all looks; ``after`` is of that then, ``i_chosen`` the look
            that it agrees with most.
        statistics: (D,) what the reset's observation tells of the percept at the defaults; None if it tells nothing.
    """

    controller: str
    seed: int
    u: np.ndarray
    terms: dict[str, np.ndarray]
    best_so_far: np.ndarray
    i_chosen: int
    u_chosen: np.ndarray
    before: dict[str, float]
    after: dict[str, float]
    guard: GuardDecision | None
    ending: Ending
    n_evaluations: int
    seconds: float
    parameters: ParameterTable
    statistics: np.ndarray | None = None
    frozen: tuple[str, ...] = ()
    is_integrated: bool = False

    def _repr_html_(self) -> str:
        from ciliary.agents.notebook import trace_html  # not before a notebook asks

        return trace_html(self)

    @property
    def n_trials(self) -> int:
        """Number of trials T."""
        return len(self.u)

    @property
    def total(self) -> np.ndarray:
        """The total of each trial, (T,)."""
        return self.terms["total"]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """P names."""
        return self.parameters.names

    @property
    def theta(self) -> dict[str, np.ndarray]:
        """Physical values by parameter name, each (T,)."""
        return self.parameters.by_name(self.u)

    @property
    def theta_moved(self) -> dict[str, np.ndarray]:
        """Those of :attr:`theta` that something could be done with: what is worth a line on a page."""
        return {name: values for name, values in self.theta.items() if name not in self.frozen}

    @property
    def theta_chosen(self) -> dict[str, float]:
        """Physical values of the applied setting."""
        return {name: float(value[0]) for name, value in self.parameters.by_name(self.u_chosen[None]).items()}


def statistics_of(obs: Any) -> np.ndarray | None:
    """The entry ``statistics`` of an observation as a fresh (D,) float64; None where the observation has none."""
    found = obs.get("statistics") if isinstance(obs, Mapping) else None
    return None if found is None else np.array(found, dtype=np.float64).ravel()


def running_best(total: np.ndarray) -> np.ndarray:
    """Lowest finite value up to each position: (T,) -> (T,); inf where there was none yet."""
    return np.minimum.accumulate(np.where(np.isfinite(total), total, np.inf))


def best_trial(total: np.ndarray) -> int:
    """Index of the lowest finite total, the earliest of equals; 0 (the default) if none is finite."""
    return int(np.argmin(np.where(np.isfinite(total), total, np.inf)))
