"""What an eye could earn that had the simulator and the true distances at hand: a ceiling that no eye can reach.

At every look some saccades are tried on copies of the environment, the lens set for where they lead, and the one is
made that gains most of the gaze term for its cost; what places would show is remembered, also of those not gone to.
When no saccade pays any more, or just enough looks are left, it goes to the best place and focuses.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.config import MAX_FOCUS_STEP_DPT, EyeConfig
from ciliary.envs.eye.single import EyeEnv

Place = tuple[float, float]

_WIDE_MM = 8.0
_APART = 0.2  # peaks of the map, in halves of the field
_AT_A_PLACE = ("focus", "pupil")  # terms of the latest look alone


@dataclass(frozen=True)
class Greedy:
    """How the ceiling is played.

    Attributes:
        n_tried: saccades tried at every look: peaks of the map of priority, and as many places at random.
        n_steps: of an episode.
    """

    n_tried: int = 5
    n_steps: int = 16

    def gain(self, scene: EyeScene, config: EyeConfig, seed: int) -> float:
        """Sum of rewards of one episode."""
        env, rng = EyeEnv(config), np.random.default_rng(seed)
        obs, info = env.reset(seed=seed, options={"scene": scene})
        paid, known = 0.0, {(0.0, 0.0): _shown(info["terms"])}
        is_over = is_settled = False
        for step in range(self.n_steps):
            best = min(known, key=lambda place: known[place])
            n_needed = 1 + int(abs(_distance(scene, best) - info["eye"]["focus_dpt"]) / MAX_FOCUS_STEP_DPT)
            tried = []
            if not is_settled and step + n_needed < self.n_steps:
                for place in self._places(obs, rng):
                    one = copy.deepcopy(env)
                    told = one.step(_action(one, scene, place))
                    is_focused = abs(told[4]["hidden"]["focus_error_dpt"]) < 0.1
                    value = _shown(told[4]["terms"])
                    known[place] = min(value, known.get(place, np.inf)) if is_focused else known.get(place, value)
                    costs = info["terms"]["total"] - told[4]["terms"]["total"] - told[1]
                    tried.append((info["terms"]["gaze"] - told[4]["terms"]["gaze"] - costs, place, one, told))
            paying = [row for row in tried if row[0] > 0]
            if paying:
                _, place, env, told = max(paying, key=lambda row: row[0])
            else:
                is_settled, place, told = True, best, env.step(_action(env, scene, best))
            obs, reward, is_over, _, info = told
            paid += float(reward)
            if is_over:
                break
        return paid

    def _places(self, obs: dict[str, np.ndarray], rng: np.random.Generator) -> list[Place]:
        """The best places of the map of priority, none near another, and as many drawn anywhere."""
        told = np.array(obs["priority"][0], dtype=np.float64)
        y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in told.shape)
        places = []
        for _ in range(self.n_tried):
            i, j = np.unravel_index(told.argmax(), told.shape)
            places.append((float(y[i]), float(x[j])))
            told[np.hypot(y[:, None] - y[i], x - x[j]) < _APART] = -1
        drawn = [(float(y), float(x)) for y, x in rng.uniform(-0.9, 0.9, (self.n_tried, 2))]
        return places + drawn


def _shown(terms: dict[str, float]) -> float:
    return sum(terms[name] for name in _AT_A_PLACE)


def _distance(scene: EyeScene, place: Place) -> float:
    row, column = (min(int((value + 1) / 2 * n), n - 1) for value, n in zip(place, scene.size_px, strict=True))
    return float(scene.distance_dpt[0, row, column])


def _action(env: EyeEnv, scene: EyeScene, place: Place) -> np.ndarray:
    values = np.array([[0.0, 0.0, _distance(scene, place), _WIDE_MM]])
    u = env.parameters.to_u(values)[0]
    u[:2] = place
    return env.action_towards(u)
