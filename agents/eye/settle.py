"""Look about, then settle: the gaze goes back to the best place it met, where the lens has time to come to focus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ciliary.agents.eye.gaze import GazeController, GazeState, PriorityController
from ciliary.agents.eye.reflex import ContrastLook, likeliest_dpt, log_transfer, object_likelihood
from ciliary.cortex.eye.contrast import SURE
from ciliary.envs.eye.terms import LEAST_ENERGY, read_noise, read_statistics, read_worth

_GREEN = 1


@dataclass(frozen=True)
class SettleState(GazeState):
    """The gazes, what each place promised, and the memory of the controller that looks about."""

    worth: tuple[float, ...] = ()
    inner: GazeState = field(default_factory=GazeState)
    px_per_deg: float = 1.0

    @property
    def best(self) -> tuple[float, float]:
        """The place that promises most; of looks at one place the latest counts, which was in better focus."""
        places = {
            (round(y, 3), round(x, 3)): (worth, (y, x)) for (y, x), worth in zip(self.path, self.worth, strict=True)
        }
        return max(places.values())[1]


@dataclass(frozen=True)
class SettleController(GazeController):
    """Follows another controller of gaze for some looks, then goes to the best place of all.

    It stays there unless, in focus, it turns out to show less than another place promises.

    Attributes:
        explore: that other one.
        n_saccades: looks that follow it, >= 1.
        is_deblurred: judge a place by what it would show in focus (the reflex's guess of how far it is), not by what it
            showed.
    """

    explore: GazeController = field(default_factory=PriorityController)
    n_saccades: int = 12
    is_deblurred: bool = True

    name = "gaze-settle"
    is_seedless = True

    def __post_init__(self) -> None:
        if self.n_saccades < 1:
            raise ValueError(f"expected n_saccades >= 1, got {self.n_saccades}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> SettleState:
        """Nothing seen yet."""
        state = super().init(obs, info, seed)
        inner = self.explore.init(obs, info, seed)
        return SettleState(state.path, state.seed, state.n_trials, inner=inner, px_per_deg=float(info["px_per_deg"]))

    def _next(self, state: GazeState, obs: Any) -> tuple[float, float]:
        assert isinstance(state, SettleState)
        if len(state.path) <= self.n_saccades:
            return self.explore._next(state.inner, obs)  # noqa: SLF001 -- of its own kind
        return state.best

    def learn(self, state: GazeState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> SettleState:
        """Remember where it was looked and what was there."""
        assert isinstance(state, SettleState)
        inner = self.explore.learn(state.inner, u, obs, info)
        seen = super().learn(state, u, obs, info)
        assert isinstance(seen, SettleState)
        worth = promise(obs["statistics"], info["eye"], state.px_per_deg) if self.is_deblurred else shown(obs)
        return replace(seen, inner=inner, worth=(*state.worth, worth))


def shown(obs: Mapping[str, Any]) -> float:
    """What a look shows, higher is better: minus its terms of lens and pupil, as the observation tells them."""
    energy, _ = _energy_and_noise(obs["statistics"])
    bits, coarse = read_worth(obs["statistics"])
    return _worth(energy, coarse, bits)


def promise(told: np.ndarray, eye: Mapping[str, float], px_per_deg: float) -> float:
    """What the place would show in focus: contrasts over what passes of them at the distance they speak for.

    Bits grow by what contrast over the photons' noise then has more of them.
    """
    energy, error = read_statistics(told)
    look = ContrastLook(float(eye["focus_dpt"]), float(eye["pupil_mm"]), energy, error)
    distance = likeliest_dpt(object_likelihood([look], px_per_deg))
    blurred = np.exp(log_transfer(look, px_per_deg, np.array([distance])))[0].reshape(energy.shape)
    sharp = np.exp(log_transfer(replace(look, focus_dpt=distance), px_per_deg, np.array([distance])))[0]
    seen, noise = _energy_and_noise(told)
    gain = np.clip(sharp.reshape(energy.shape) / blurred, 1.0, 30.0)
    bits, coarse = read_worth(told)
    more = 0.5 * np.log2((1 + seen * gain / noise) / (1 + seen / noise)).mean()
    return _worth(seen * gain, coarse, bits + float(more))


def _energy_and_noise(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    energy, error = read_statistics(told)
    return np.where(energy > SURE * error, energy, 0.0), np.maximum(read_noise(told), 1e-12)


def _worth(energy: np.ndarray, coarse: float, bits: float) -> float:
    bands = np.log(energy[_GREEN] + LEAST_ENERGY).mean() - np.log(coarse + LEAST_ENERGY)
    return float(0.1 * (bands + bits))
