"""Gaze, lens and pupil in one action: any three controllers, each with its own muscles, on one eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase, State
from ciliary.agents.eye.gaze import MUSCLES as GAZE
from ciliary.agents.eye.gaze import PriorityController
from ciliary.agents.eye.lens import MUSCLE as LENS
from ciliary.agents.eye.pupil import MUSCLE as PUPIL
from ciliary.agents.eye.pupil import PupilReflexController
from ciliary.agents.eye.reflex import LensReflexController

#: A saccade that goes farther begins to look at something else: about the radius by which contrast is measured.
NEW_PLACE_DEG = 0.5


@dataclass(frozen=True)
class TogetherState:
    """The memories of the three, None for who is left out; the gaze in degrees of the latest look, and the seed."""

    parts: Mapping[str, State]
    gaze_deg: tuple[float, float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class TogetherController(ControllerBase):
    """Three controllers as one; each moves its own muscles, all at once, a look after another.

    The lens forgets what it saw when gaze has gone elsewhere: what is there now may be nearer or farther. It begins
    there where it stands.

    Attributes:
        gaze, lens, pupil: controllers of these muscles that go by steps; None leaves a muscle still.
        label: its name in results.
    """

    gaze: ControllerBase | None = field(default_factory=PriorityController)
    lens: ControllerBase | None = field(default_factory=lambda: LensReflexController(remembers=True))
    pupil: ControllerBase | None = field(default_factory=PupilReflexController)
    label: str = "eye-reflex"

    use_steps = True

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    def parts(self) -> dict[str, tuple[ControllerBase, tuple[str, ...]]]:
        """Name -> controller and its muscles, of those that are not left out."""
        known = {"gaze": (self.gaze, GAZE), "lens": (self.lens, (LENS,)), "pupil": (self.pupil, (PUPIL,))}
        return {name: (one, muscles) for name, (one, muscles) in known.items() if one is not None}

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> TogetherState:
        """Fresh memories.

        Raises:
            ValueError: a muscle that is to be moved is not free.
        """
        return TogetherState({name: one.init(obs, info, seed) for name, (one, _) in self.parts().items()}, seed=seed)

    def act(self, state: TogetherState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, TogetherState]:
        """The next setting, (1, P): of each controller its own columns."""
        u = np.array(info["default_u"], dtype=np.float64)
        names, memories = tuple(info["parameter_names"]), dict(state.parts)
        for name, (one, muscles) in self.parts().items():
            wanted, memories[name] = one.act(memories[name], obs, info)
            for column in (names.index(muscle) for muscle in muscles):
                u[column] = wanted[0, column]
        return u[None], replace(state, parts=memories)

    def learn(self, state: TogetherState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> TogetherState:
        """Let all remember the look; the lens only it, where gaze has moved."""
        eye = info["eye"]
        gaze_deg = (float(eye["gaze_y_deg"]), float(eye["gaze_x_deg"]))
        memories = dict(state.parts)
        is_new = state.gaze_deg is not None and np.hypot(*np.subtract(gaze_deg, state.gaze_deg)) > NEW_PLACE_DEG
        for name, (one, _) in self.parts().items():
            if name == "lens" and is_new:
                memories[name] = one.init(obs, info, state.seed)
            memories[name] = one.learn(memories[name], u, obs, info)
        return replace(state, parts=memories, gaze_deg=gaze_deg)
