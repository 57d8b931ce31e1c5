"""The rules every Ciliary environment plays by, as pure functions over N episodes: motion, reward, convergence.

The single environments call them with N = 1, the vector environment with N = num_envs, so both give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

ActionMode = Literal["delta", "absolute"]

#: A loss that is not a number, or larger than this, is felt as this much. The terms live in about [0, 1].
LOSS_CEILING = 2.0


@dataclass(frozen=True)
class Rules:
    """What an action does, what a step costs, and when an episode has converged.

    Attributes:
        action_mode: ``delta``: u <- clip(u + max_step * action); ``absolute``: u <- action.
        max_step: largest change of one entry of u in one step (delta mode), in (0, 2].
        step_cost: subtracted from the reward at every step, >= 0.
        tolerance: a step that changes the total by less than this is a still one, >= 0.
        patience: the episode ends after this many still steps in a row; 0 means never.
    """

    action_mode: ActionMode = "delta"
    max_step: float = 0.25
    step_cost: float = 0.001
    tolerance: float = 1e-5
    patience: int = 5

    def __post_init__(self) -> None:
        if self.action_mode not in get_args(ActionMode):
            raise ValueError(f"expected action_mode to be one of {get_args(ActionMode)}, got {self.action_mode!r}")
        if not 0 < self.max_step <= 2:
            raise ValueError(f"expected max_step in (0, 2] (u spans 2), got {self.max_step}")
        if self.step_cost < 0 or self.tolerance < 0 or self.patience < 0:
            raise ValueError(f"expected step_cost, tolerance and patience >= 0, got {self}")


def move(u: np.ndarray, action: np.ndarray, *, rules: Rules) -> np.ndarray:
    """The next settings (N, P) in [-1, 1] from the present ones and the actions, both (N, P).

    Raises:
        ValueError: if the action has another shape, or is not finite.
    """
    action = np.asarray(action, dtype=np.float32)
    if action.shape != u.shape:
        raise ValueError(f"expected an action of shape {u.shape[1:]} for each episode, got {action.shape[1:]}")
    if not np.isfinite(action).all():
        raise ValueError("expected a finite action, got nan or inf; check the controller's output")
    target = action if rules.action_mode == "absolute" else u + rules.max_step * np.clip(action, -1, 1)
    return np.asarray(np.clip(target, -1, 1), dtype=np.float32)


def felt(values: np.ndarray) -> np.ndarray:
    """Losses as the agent feels them: clipped to +-LOSS_CEILING, and anything that is not a number is the ceiling."""
    values = np.asarray(values, dtype=np.float64)
    return np.clip(np.where(np.isnan(values), LOSS_CEILING, values), -LOSS_CEILING, LOSS_CEILING)


def reward(previous_total: np.ndarray, total: np.ndarray, *, rules: Rules) -> np.ndarray:
    """Fall of the felt total minus the step cost, (N,): it telescopes over an episode."""
    return np.asarray(felt(previous_total) - felt(total) - rules.step_cost)


def count_still(n_still: np.ndarray, previous_total: np.ndarray, total: np.ndarray, *, rules: Rules) -> np.ndarray:
    """Number of still steps in a row after this one, (N,) int."""
    is_still = np.abs(felt(previous_total) - felt(total)) < rules.tolerance
    return np.where(is_still & np.isfinite(total), n_still + 1, 0)


def is_converged(n_still: np.ndarray, *, rules: Rules) -> np.ndarray:
    """Whether the episodes have converged, (N,) bool."""
    return (n_still >= rules.patience) & (rules.patience > 0)
