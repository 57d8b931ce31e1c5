"""What a learned policy has to say: not where every muscle goes, but which reflex has its way, and how far.

Four numbers a look. Two choose where gaze goes, of the four places that hand-written controllers propose; one says how
much of its way the lens goes to where the chromatic reflex would have it; one is the pupil. All is drawn from what the
eye has seen in the episode: the same observations and the same memory that the hand-written rule has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ciliary.agents.eye.gaze import MUSCLES as GAZE
from ciliary.agents.eye.gaze import PriorityController
from ciliary.agents.eye.lens import LENS
from ciliary.agents.eye.pupil import MUSCLE as PUPIL
from ciliary.agents.eye.pupil import PupilFixedController
from ciliary.agents.eye.reflex import LensReflexController
from ciliary.agents.eye.settle import SettleController, SettleState, shown
from ciliary.agents.eye.together import TogetherController, TogetherState, place_of
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.envs.eye.terms import STATISTICS

#: Where gaze can go, by the signs of the first two numbers of a command.
TARGETS = {"stay": (-1, -1), "return": (-1, 1), "near": (1, -1), "far": (1, 1)}
N_COMMANDS = 4
_RESOLVED = STATISTICS.index("resolved")
_FIRM = 0.7  # a command of the rule, as far from its opposite

#: Names of the entries of what the policy is told beside the environment's observation.
MEMORY = (
    *("lens_to_go", "looks_here", "promise_here", "promise_best", "shown_here", "is_best_here", "resolved_gain"),
    *("resolved_gain_before", "is_focused_at_best", "best_to_go"),
    *(f"{what}_{name}" for name in ("near", "far") for what in ("degrees", "priority")),
    "degrees_best",
)


def settling_rule(n_saccades: int = 12) -> TogetherController:
    """The best hand-written rule found: look about, nearby first; go back to the best place; open the pupil wide.

    Chosen on photographs of the learning half: of 6 to 13 saccades, of nearness .3 to .9 and none, of a lens that looks
    from beside and one that does not, of pupils of 6 and 8 mm.
    """
    gaze = SettleController(PriorityController(nearness=0.4), n_saccades)
    lens = LensReflexController(aside_dpt=0.0, doubt=0.0)
    return TogetherController(gaze, lens=lens, pupil=PupilFixedController(pupil_mm=8.0), label="eye-settle")


@dataclass(frozen=True)
class ArbiterState:
    """The memory of the rule, and the acuity gained (of what the fovea could) after each look."""

    together: TogetherState
    resolved: tuple[float, ...] = ()

    @property
    def gaze(self) -> SettleState:
        """Where it was looked, and what each place promised."""
        memory = self.together.parts["gaze"]
        assert isinstance(memory, SettleState)
        return memory


@dataclass(frozen=True)
class Arbiter:
    """From a command to a setting of the eye, and from the memory of an episode to numbers.

    Attributes:
        rule: whose controllers propose and remember; its own course is what a policy begins from.
    """

    rule: TogetherController = field(default_factory=settling_rule)

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ArbiterState:
        """Nothing seen yet."""
        return ArbiterState(self.rule.init(obs, info, seed))

    def learn(self, state: ArbiterState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> ArbiterState:
        """Remember a look."""
        resolved = (*state.resolved, float(obs["statistics"][_RESOLVED]))
        return ArbiterState(self.rule.learn(state.together, u, obs, info), resolved)

    def targets(self, state: ArbiterState, obs: Any) -> dict[str, tuple[float, float]]:
        """Places (y, x) in [-1, 1] by name, as :data:`TARGETS`."""
        memory, settle = state.gaze, self.rule.gaze
        assert isinstance(settle, SettleController)
        near = settle.explore
        assert isinstance(near, PriorityController)
        return {
            "stay": memory.path[-1],
            "return": memory.best,
            "near": near.next_place(memory.path[-1], obs),
            "far": replace(near, nearness=None).next_place(memory.path[-1], obs),
        }

    def setting(self, state: ArbiterState, command: np.ndarray, obs: Any, info: Mapping[str, Any]) -> np.ndarray:
        """The setting (P,) in [-1, 1] that a command (4,) asks for; larger values are clipped."""
        gaze_a, gaze_b, lens, pupil = np.clip(np.asarray(command, dtype=np.float64), -1, 1)
        signs = (1 if gaze_a > 0 else -1, 1 if gaze_b > 0 else -1)
        wanted = next(name for name, own in TARGETS.items() if own == signs)
        u, names = np.array(info["u"], dtype=np.float64), tuple(info["parameter_names"])
        u[[names.index(name) for name in GAZE]] = self.targets(state, obs)[wanted]
        column = names.index(LENS.name)
        reflex = self.rule.lens_towards(state.together, u, obs, info)
        u[column] += (1 + lens) * (reflex - u[column])
        u[names.index(PUPIL)] = pupil
        return np.clip(u, -1, 1)

    def rule_command(self, state: ArbiterState) -> np.ndarray:
        """The command (4,) that does what the rule does."""
        settle = self.rule.gaze
        assert isinstance(settle, SettleController)
        name = "near" if len(state.gaze.path) <= settle.n_saccades else "return"
        return np.array([*(_FIRM * sign for sign in TARGETS[name]), 0.0, 1.0], dtype=np.float32)

    def memory(self, state: ArbiterState, obs: Any, info: Mapping[str, Any]) -> np.ndarray:
        """The entries of :data:`MEMORY`, float32, about -1 to 1."""
        gaze, together = state.gaze, state.together
        u, names = np.asarray(info["u"], dtype=np.float64), tuple(info["parameter_names"])
        targets, worth = self.targets(state, obs), gaze.worth
        promised = [value for place, value in zip(gaze.path, worth, strict=True) if place == gaze.best]
        at = {name: _towards(u, place, names) for name, place in targets.items()}
        here_deg = np.array(place_of(u, info))
        degrees = {
            name: np.hypot(*(np.array(place_of(to, info)) - here_deg)) / (WIDTH_DEG / 2) for name, to in at.items()
        }
        lens = u[names.index(LENS.name)]
        looks_best = together.lens_at(place_of(at["return"], info))
        gains = [0.0, 0.0, *(20 * np.diff(state.resolved))]
        told = {
            "lens_to_go": self.rule.lens_towards(together, u, obs, info) - lens,
            "looks_here": len(together.parts["lens"].looks) / 4,
            "promise_here": worth[-1],
            "promise_best": promised[-1],
            "shown_here": shown(obs),
            "is_best_here": float(degrees["return"] < 0.02),
            "resolved_gain": gains[-1],
            "resolved_gain_before": gains[-2],
            "is_focused_at_best": 0.0 if looks_best is None else float(looks_best.is_done),
            "best_to_go": self.rule.lens_towards(together, at["return"], obs, info) - lens,
            "degrees_best": degrees["return"],
        }
        for name in ("near", "far"):
            told |= {f"degrees_{name}": degrees[name], f"priority_{name}": _priority_at(targets[name], obs)}
        return np.array([told[name] for name in MEMORY], dtype=np.float32)


def _towards(u: np.ndarray, place: tuple[float, float], names: tuple[str, ...]) -> np.ndarray:
    moved: np.ndarray = u.copy()
    moved[[names.index(name) for name in GAZE]] = place
    return moved


def _priority_at(place: tuple[float, float], obs: Any) -> float:
    told = obs["priority"][0]
    row, column = (min(int((value + 1) / 2 * n), n - 1) for value, n in zip(place, told.shape, strict=True))
    return float(told[row, column]) / 255
