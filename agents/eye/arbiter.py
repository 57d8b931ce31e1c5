"""What a learned policy has to say: not where every muscle goes, but which reflex has its way, and how far.

It corrects what the rule would command, so that a policy that says nothing is the rule. Six numbers a look: whether
gaze goes to a new place or to the best of those it knows, how near the new one shall be, whose word counts for what a
place will show (the rule's guess or a learned one), what is gained by being in focus already, how much of its way the
lens goes to where the chromatic reflex would have it, and the pupil. All is drawn from what the eye has seen in the
episode: the same observations and the same memory that the hand-written rule has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ciliary.agents.eye.gaze import MUSCLES as GAZE
from ciliary.agents.eye.gaze import PriorityController
from ciliary.agents.eye.lens import LENS
from ciliary.agents.eye.promise import PlacePromise
from ciliary.agents.eye.pupil import MUSCLE as PUPIL
from ciliary.agents.eye.pupil import PupilFixedController
from ciliary.agents.eye.reflex import LensReflexController
from ciliary.agents.eye.settle import SettleController, SettleState, shown
from ciliary.agents.eye.together import Place, TogetherController, TogetherState, place_of
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.envs.eye.terms import STATISTICS

#: The numbers of a command, each in [-1, 1].
COMMANDS = ("explore", "reach", "trust", "focused", "lens", "pupil")
N_COMMANDS = len(COMMANDS)
_RESOLVED = STATISTICS.index("resolved")
_FIRM = 0.5  # a command of the rule, as far from its opposite
#: How far a policy's corrections reach: an eye that learns is not to be out of focus all the time for trying.
_MOST_CORRECTED = np.array([1.0, 0.5, 0.5, 0.5, 0.2, 0.2])
_REACH_FACTOR = 4.0  # from the rule's nearness, either way
_FOCUSED_WORTH = 0.1

#: Names of the entries of what the policy is told beside the environment's observation.
MEMORY = (
    *("lens_to_go", "looks_here", "promise_here", "promise_best", "learned_here", "learned_best", "shown_here"),
    *("is_best_here", "is_learned_best_here", "resolved_gain", "resolved_gain_before"),
    *("is_focused_at_best", "best_to_go", "degrees_best"),
    *(f"{what}_{name}" for name in ("near", "far") for what in ("degrees", "priority")),
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
    """The memory of an episode.

    Attributes:
        together: of the rule.
        resolved: acuity gained, of what the fovea could, after each look.
        learned: what each look promised of its place, as it was learned.
        half_deg: half of the field, (y, x).
    """

    together: TogetherState
    resolved: tuple[float, ...] = ()
    learned: tuple[float, ...] = ()
    half_deg: Place = (1.0, 1.0)

    @property
    def gaze(self) -> SettleState:
        """Where it was looked, and what each place promised."""
        memory = self.together.parts["gaze"]
        assert isinstance(memory, SettleState)
        return memory

    def places(self) -> dict[Place, int]:
        """Places looked at -> number of the latest look there."""
        return {(round(y, 3), round(x, 3)): i for i, (y, x) in enumerate(self.gaze.path)}


@dataclass(frozen=True)
class Arbiter:
    """From a command to a setting of the eye, and from the memory of an episode to numbers.

    Attributes:
        rule: whose controllers propose and remember; its own course is what a policy begins from.
        promise: what a look promises of its place, learned; the rule's guess when None.
    """

    rule: TogetherController = field(default_factory=settling_rule)
    promise: PlacePromise | None = None

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ArbiterState:
        """Nothing seen yet."""
        y, x = (float(info["parameters"][name].high) for name in GAZE)
        return ArbiterState(self.rule.init(obs, info, seed), half_deg=(y, x))

    def learn(self, state: ArbiterState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> ArbiterState:
        """Remember a look."""
        resolved = (*state.resolved, float(obs["statistics"][_RESOLVED]))
        found = replace(state, together=self.rule.learn(state.together, u, obs, info), resolved=resolved)
        told = found.gaze.worth[-1] if self.promise is None else self.promise(obs, info)
        return replace(found, learned=(*state.learned, told))

    def new_place(self, state: ArbiterState, obs: Any, reach: float | None) -> Place:
        """The most promising place not looked at; ``reach`` from -1 (near) to 1 (far), None: wherever it is."""
        settle = self.rule.gaze
        assert isinstance(settle, SettleController)
        near = settle.explore
        assert isinstance(near, PriorityController)
        assert near.nearness is not None
        nearness = None if reach is None else near.nearness * _REACH_FACTOR**reach
        return replace(near, nearness=nearness).next_place(state.gaze.path[-1], obs)

    def known_place(self, state: ArbiterState, *, trust: float = 0.0, focused: float = 0.0) -> Place:
        """The best of the places looked at.

        Args:
            state: of the episode.
            trust: share of the learned promise, beside the rule's, in [0, 1].
            focused: added, times a tenth, to places that the lens is known to be in focus at.
        """
        places = state.places()

        def worth(place: Place) -> float:
            told = (1 - trust) * state.gaze.worth[places[place]] + trust * state.learned[places[place]]
            return told + _FOCUSED_WORTH * focused * self._is_focused(state, place)

        best = max(places, key=worth)
        return state.gaze.path[places[best]]

    def setting(self, state: ArbiterState, command: np.ndarray, obs: Any, info: Mapping[str, Any]) -> np.ndarray:
        """The setting (P,) in [-1, 1] that a command (6,) asks for; larger values are clipped."""
        explore, reach, trust, focused, lens, pupil = np.clip(np.asarray(command, dtype=np.float64), -1, 1)
        u, names = np.array(info["u"], dtype=np.float64), tuple(info["parameter_names"])
        known = {"trust": (1 + trust) / 2, "focused": focused}
        u[[names.index(name) for name in GAZE]] = (
            self.new_place(state, obs, reach) if explore > 0 else self.known_place(state, **known)
        )
        column = names.index(LENS.name)
        reflex = self.rule.lens_towards(state.together, u, obs, info)
        u[column] += (1 + lens) * (reflex - u[column])
        u[names.index(PUPIL)] = pupil
        return np.clip(u, -1, 1)

    def corrected(self, state: ArbiterState, correction: np.ndarray) -> np.ndarray:
        """The command (6,) of the rule and a policy's correction (6,): 0 leaves the rule its way."""
        return np.asarray(np.clip(self.rule_command(state) + _MOST_CORRECTED * correction, -1, 1))

    def rule_command(self, state: ArbiterState) -> np.ndarray:
        """The command (6,) that does what the rule does, by the learned promise where there is one."""
        settle = self.rule.gaze
        assert isinstance(settle, SettleController)
        is_exploring = len(state.gaze.path) <= settle.n_saccades
        explore, trust = (_FIRM if is_exploring else -_FIRM), (-1.0 if self.promise is None else 1.0)
        return np.array([explore, 0.0, trust, 0.0, 0.0, 1.0], dtype=np.float32)

    def memory(self, state: ArbiterState, obs: Any, info: Mapping[str, Any]) -> np.ndarray:
        """The entries of :data:`MEMORY`, float32, about -1 to 1."""
        gaze, together, places = state.gaze, state.together, state.places()
        u, names = np.asarray(info["u"], dtype=np.float64), tuple(info["parameter_names"])
        here = gaze.path[-1]
        at = {
            "best": self.known_place(state),
            "learned": self.known_place(state, trust=1.0),
            "near": self.new_place(state, obs, 0.0),
            "far": self.new_place(state, obs, None),
        }
        moved = {name: _towards(u, place, names) for name, place in at.items()}
        here_deg = np.array(place_of(u, info))
        degrees = {
            name: np.hypot(*(np.array(place_of(to, info)) - here_deg)) / (WIDTH_DEG / 2) for name, to in moved.items()
        }
        lens = u[names.index(LENS.name)]
        best = places[(round(at["best"][0], 3), round(at["best"][1], 3))]
        gains = [0.0, 0.0, *(20 * np.diff(state.resolved))]
        told = {
            "lens_to_go": self.rule.lens_towards(together, u, obs, info) - lens,
            "looks_here": len(together.parts["lens"].looks) / 4,
            "promise_here": gaze.worth[-1],
            "promise_best": gaze.worth[best],
            "learned_here": state.learned[-1],
            "learned_best": max(state.learned[i] for i in places.values()),
            "shown_here": shown(obs),
            "is_best_here": float(at["best"] == here),
            "is_learned_best_here": float(at["learned"] == here),
            "resolved_gain": gains[-1],
            "resolved_gain_before": gains[-2],
            "is_focused_at_best": self._is_focused(state, at["learned"]),
            "best_to_go": self.rule.lens_towards(together, moved["learned"], obs, info) - lens,
            "degrees_best": degrees["learned"],
        }
        for name in ("near", "far"):
            told |= {f"degrees_{name}": degrees[name], f"priority_{name}": _priority_at(at[name], obs)}
        return np.array([told[name] for name in MEMORY], dtype=np.float32)

    def _is_focused(self, state: ArbiterState, place: Place) -> float:
        """Whether the lens has come to rest at a place, as 0 or 1."""
        y, x = (side * value for side, value in zip(state.half_deg, place, strict=True))
        looks = state.together.lens_at((float(y), float(x)))
        return 0.0 if looks is None else float(looks.is_done)


def _towards(u: np.ndarray, place: tuple[float, float], names: tuple[str, ...]) -> np.ndarray:
    moved: np.ndarray = u.copy()
    moved[[names.index(name) for name in GAZE]] = place
    return moved


def _priority_at(place: tuple[float, float], obs: Any) -> float:
    told = obs["priority"][0]
    row, column = (min(int((value + 1) / 2 * n), n - 1) for value, n in zip(place, told.shape, strict=True))
    return float(told[row, column]) / 255
