"""Gaze, lens and pupil in one action: any three controllers, each with its own muscles, on one eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase, State
from ciliary.agents.eye.gaze import MUSCLES as GAZE
from ciliary.agents.eye.gaze import PriorityController
from ciliary.agents.eye.lens import LENS
from ciliary.agents.eye.pupil import MUSCLE as PUPIL
from ciliary.agents.eye.pupil import PupilReflexController
from ciliary.agents.eye.reflex import LensReflexController

#: What lies farther apart is another place: about the radius by which contrast is measured.
SAME_PLACE_DEG = 0.5

Place = tuple[float, float]


@dataclass(frozen=True)
class TogetherState:
    """What an eye remembers.

    Attributes:
        parts: memories of gaze, lens (at the present place) and pupil; who is left out has none.
        gaze_deg: of the latest look.
        places: the memories of the lens of places left, the latest last.
        seed: of the controllers.
    """

    parts: Mapping[str, State]
    gaze_deg: Place | None = None
    places: tuple[tuple[Place, State], ...] = ()
    seed: int = 0

    def lens_at(self, place: Place) -> State | None:
        """What the lens remembers of a place; None where it has not been looked."""
        if self.gaze_deg is not None and _is_same(place, self.gaze_deg):
            return self.parts.get("lens")
        return next((memory for known, memory in reversed(self.places) if _is_same(place, known)), None)


@dataclass(frozen=True)
class TogetherController(ControllerBase):
    """Three controllers as one; each moves its own muscles, all at once, a look after another.

    Another place may be nearer or farther, so the lens has a memory for each: where gaze goes to a place that was
    looked at before, the lens goes where it would have gone there, in the same step; at a new place it begins anew, and
    arrives set for the place before.

    Attributes:
        gaze, lens, pupil: controllers of these muscles that go by steps; None leaves a muscle still.
        label: its name in results.
    """

    gaze: ControllerBase | None = field(default_factory=PriorityController)
    lens: ControllerBase | None = field(default_factory=LensReflexController)
    pupil: ControllerBase | None = field(default_factory=PupilReflexController)
    label: str = "eye-reflex"

    use_steps = True

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> TogetherState:
        """Fresh memories.

        Raises:
            ValueError: a muscle that is to be moved is not free.
        """
        parts = {"gaze": self.gaze, "lens": self.lens, "pupil": self.pupil}
        return TogetherState(
            {name: one.init(obs, info, seed) for name, one in parts.items() if one is not None}, seed=seed
        )

    def act(self, state: TogetherState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, TogetherState]:
        """The next setting, (1, P): of each controller its own columns."""
        u, memories = np.array(info["default_u"], dtype=np.float64), dict(state.parts)
        if self.gaze is not None:
            wanted, memories["gaze"] = self.gaze.act(memories["gaze"], obs, info)
            _put(u, wanted, GAZE, info)
        if self.lens is not None:
            u[_columns((LENS.name,), info)] = self.lens_towards(state, u, obs, info)
        if self.pupil is not None:
            wanted, memories["pupil"] = self.pupil.act(memories["pupil"], obs, info)
            _put(u, wanted, (PUPIL,), info)
        return u[None], replace(state, parts=memories)

    def lens_towards(self, state: TogetherState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> float:
        """The lens, in [-1, 1], for a look whose gaze is that of the setting u (P,)."""
        assert self.lens is not None
        memory = state.parts["lens"]
        if state.gaze_deg is not None and self.gaze is not None:
            known = state.lens_at(place_of(u, info))
            memory = memory if known is None else known
        wanted, _ = self.lens.act(memory, obs, info)
        return float(wanted[0, _columns((LENS.name,), info)[0]])

    def learn(self, state: TogetherState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> TogetherState:
        """Let all remember the look, the lens as one of the place that was looked at."""
        eye, memories, places = info["eye"], dict(state.parts), state.places
        place = (float(eye["gaze_y_deg"]), float(eye["gaze_x_deg"]))
        if self.lens is not None and state.gaze_deg is not None and not _is_same(place, state.gaze_deg):
            known = state.lens_at(place)
            places = (*places, (state.gaze_deg, memories["lens"]))
            memories["lens"] = self.lens.init(obs, info, state.seed) if known is None else known
        for name, one in (("gaze", self.gaze), ("lens", self.lens), ("pupil", self.pupil)):
            if one is not None:
                memories[name] = one.learn(memories[name], u, obs, info)
        return replace(state, parts=memories, gaze_deg=place, places=places)


def place_of(u: np.ndarray, info: Mapping[str, Any]) -> Place:
    """Gaze of a setting u (P,) in degrees, (y, x)."""
    values = info["parameters"].to_physical(np.asarray(u, dtype=np.float64)[None])[0]
    y, x = (float(values[column]) for column in _columns(GAZE, info))
    return y, x


def _columns(muscles: tuple[str, ...], info: Mapping[str, Any]) -> list[int]:
    names = tuple(info["parameter_names"])
    return [names.index(muscle) for muscle in muscles]


def _put(u: np.ndarray, wanted: np.ndarray, muscles: tuple[str, ...], info: Mapping[str, Any]) -> None:
    columns = _columns(muscles, info)
    u[columns] = np.asarray(wanted)[0, columns]


def _is_same(a: Place, b: Place) -> bool:
    return float(np.hypot(a[0] - b[0], a[1] - b[1])) <= SAME_PLACE_DEG
