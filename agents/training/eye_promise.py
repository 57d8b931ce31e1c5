"""An eye teaches itself what places promise: it looks anywhere, focuses by reflex, and sees what that came to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ciliary.agents.eye.lens import LensState
from ciliary.agents.eye.playing import Rows, row_of
from ciliary.agents.eye.promise import PlacePromise, fit_promise, look_features
from ciliary.agents.eye.reflex import LensReflexController
from ciliary.envs.eye.config import MUSCLES
from ciliary.envs.eye.vector import EyeVectorEnv

N_LOOKS = 5  # at a place
_PLACES = 3  # of an episode
_REACH = 0.9  # of halves of the field
_AT_A_PLACE = ("focus", "pupil")  # terms of the latest look alone
_LENS, _PUPIL = MUSCLES.index("focus_dpt"), MUSCLES.index("pupil_mm")


def learn_promise(
    envs: EyeVectorEnv, n_places: int, *, seed: int, on_places: Callable[[int], None] = lambda n: None
) -> PlacePromise:
    """A promise of places, from so many looked at, or a few more; the pupil is wide, as at the end.

    Args:
        envs: whose episodes last at least N_LOOKS x 3 looks.
        n_places: three of an episode.
        seed: of scenes, photons, places and first weights.
        on_places: told how many there are by now.
    """
    rng, lens = np.random.default_rng(seed), LensReflexController(aside_dpt=0.0, doubt=0.0)
    features: list[np.ndarray] = []
    values: list[float] = []
    while len(values) < n_places * N_LOOKS:
        envs.reset(seed=int(rng.integers(2**31)))
        rows = Rows(envs, N_LOOKS * _PLACES)
        for i in range(envs.num_envs):
            rows.begin(i)
        for _ in range(_PLACES):
            wanted = envs.world.u.astype(np.float64)
            wanted[:, :2] = rng.uniform(-_REACH, _REACH, (envs.num_envs, 2))
            wanted[:, _LENS] += rng.normal(size=envs.num_envs) * 0.2
            wanted[:, _PUPIL] = 1.0
            told, reached = _focus(envs, rows, lens, wanted, seed)
            features += told
            values += list(np.tile(reached, N_LOOKS))
        on_places(len(values) // N_LOOKS)
    return fit_promise(features, values, seed=seed)


def _focus(
    envs: EyeVectorEnv, rows: Rows, lens: LensReflexController, wanted: np.ndarray, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """The looks at E places, one after another, told in numbers, and the best (E,) that each place came to show."""
    states: list[LensState] = []
    told, best = [], np.full(envs.num_envs, -np.inf)
    for look in range(N_LOOKS):
        obs, *_ = envs.step(envs.world.action_towards(wanted.clip(-1, 1)))
        best = np.maximum(best, -np.sum([envs.world.terms[name] for name in _AT_A_PLACE], axis=0))
        for i in range(envs.num_envs):
            own, info = row_of(obs, i), rows.info(i)
            told.append(look_features(own, info))
            if look == 0:
                states.append(lens.init(own, info, seed))
            states[i] = lens.learn(states[i], envs.world.u[i][None], own, info)
            at, _ = lens.act(states[i], own, info)
            wanted[i, _LENS] = at[0, _LENS]
    return told, best
