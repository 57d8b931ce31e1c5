"""The pupil as light alone sets it, as receptors answer to it, or as it pays: where a look tells most of contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ciliary.agents.base import ControllerBase
from ciliary.agents.eye.lens import HillController, Muscle
from ciliary.cortex.eye.parameters import PUPIL_MM
from ciliary.cortex.eye.pupil import steady_pupil_mm
from ciliary.envs.eye.terms import STATISTICS

MUSCLE = "pupil_mm"
#: In octaves of the diameter.
PUPIL = Muscle(MUSCLE, "pupil", *(float(np.log2(mm)) for mm in PUPIL_MM))


@dataclass(frozen=True)
class PupilReflexController(ControllerBase):
    """Opens the pupil to its steady size for the light that it sees (Watson & Yellott 2012); the rest stays.

    Attributes:
        white_cd_m2: luminance of light 1.
        field_deg2: area of the adapting field.
        age_years: 20 to 83.
    """

    white_cd_m2: float = 80.0
    field_deg2: float = 25.0 * 100 / 3
    age_years: float = 28.58

    name = "pupil-reflex"
    use_steps = True
    is_seedless = True

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> int:
        """No look yet.

        Raises:
            ValueError: the pupil is not among the free muscles.
        """
        del obs, seed
        if MUSCLE not in info["parameter_names"]:
            names = ", ".join(info["parameter_names"])
            raise ValueError(f"expected an eye whose pupil is free (Ciliary/Eye-v0), got {names}")
        return 0

    def act(self, state: int, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, int]:
        """The next setting, (1, P)."""
        u = np.array(info["default_u"], dtype=np.float64)
        if state:
            i = tuple(info["parameter_names"]).index(MUSCLE)
            u[i] = info["parameters"].to_u(self._values(obs, info, i))[0, i]
        return u[None], state

    def _values(self, obs: Any, info: Mapping[str, Any], i: int) -> np.ndarray:
        light = max(float(obs["statistics"][STATISTICS.index("light")]), 0.0)
        steady = steady_pupil_mm(torch.tensor(light * self.white_cd_m2), self.field_deg2, age_years=self.age_years)
        values = info["parameters"].to_physical(np.asarray(info["default_u"])[None])
        values[0, i] = float(steady)
        return np.asarray(values)

    def learn(self, state: int, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> int:
        """Count."""
        del u, obs, info
        return state + 1


@dataclass(frozen=True)
class PupilFixedController(PupilReflexController):
    """Brings the pupil to one size, whatever the light, and keeps it there.

    Attributes:
        pupil_mm: that size.
    """

    pupil_mm: float = 4.0

    name = "pupil-fixed"

    def _values(self, obs: Any, info: Mapping[str, Any], i: int) -> np.ndarray:
        del obs
        values = info["parameters"].to_physical(np.asarray(info["default_u"])[None])
        values[0, i] = self.pupil_mm
        return np.asarray(values)


@dataclass(frozen=True)
class PupilResponseController(PupilReflexController):
    """Opens the pupil until receptors answer as much as they should, and closes it where many are saturated.

    In three looks it comes to 99 % of the bits of the best size on photographs in uneven light, on which its numbers
    were chosen (``ciliary focus --exam``).

    Attributes:
        response: mean response of the window that it aims at, 0 to 1.
        opening: octaves of the diameter for an octave of response.
        closing: octaves for the root of the share that is saturated.
    """

    response: float = 0.4
    opening: float = 0.7
    closing: float = 1.0

    name = "pupil-response"

    def _values(self, obs: Any, info: Mapping[str, Any], i: int) -> np.ndarray:
        told = obs["statistics"]
        response, saturated = (max(float(told[STATISTICS.index(name)]), 0.0) for name in ("response", "saturated"))
        octaves = self.opening * np.log2(self.response / max(response, 1e-3)) - self.closing * np.sqrt(saturated)
        values = info["parameters"].to_physical(np.asarray(info["default_u"])[None])
        values[0, i] = np.clip(info["eye"][MUSCLE] * 2 ** np.clip(octaves, -1, 1), *PUPIL_MM)
        return np.asarray(values)


@dataclass(frozen=True)
class PupilHillController(HillController):
    """Climbs along the pupil's term as a lens climbs along its own; ``*_dpt`` are octaves of the diameter here."""

    step_dpt: float = 1.0
    least_dpt: float = 0.25

    name = "pupil-hill"
    muscle = PUPIL
