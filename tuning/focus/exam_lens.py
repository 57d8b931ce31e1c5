"""Focus in few looks, on real depth: how far off, how soon, and whether what was found is left again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ciliary.agents import ControllerBase, make_controller, run_episode
from ciliary.agents.eye.lens import LensController, LensState
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, bootstrap_of

N_LOOKS = 6
WITHIN_DPT = 0.25
_HUNTING_DPT = 0.5
_MOST_LOOKS = 45
_GAZE_REACH = 0.7  # gazes are drawn so far from the centre, in halves of the field

#: Rows of the table: who moves the lens, and how. What needs the truth is told apart.
CONTROLLERS: Mapping[str, Callable[[], ControllerBase]] = {
    "at rest (1 dpt)": lambda: make_controller("fixed"),
    "sweep of 30": lambda: make_controller("lens-sweep"),
    "hill": lambda: make_controller("lens-hill"),
    "tpe, 30 looks": lambda: make_controller("tpe", population=1),
    "reflex": lambda: make_controller("lens-reflex"),
    "reflex, then hill": lambda: make_controller("lens-reflex-hill"),
    "gradient (reads the simulator)": lambda: make_controller("lens-gradient"),
}
ORACLE = "oracle (told the distance)"
_BUDGET = {"tpe, 30 looks": 30}


@dataclass(frozen=True)
class Place:
    """One episode to play: a scene, where to look at it, and the seed of its photons."""

    scene: EyeScene
    gaze: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class LensRow:
    """One controller at one nearness; intervals by scene."""

    nearness: str
    controller: str
    n: int
    looks: float
    error_dpt: Interval
    within_0_25: Interval
    six_looks_dpt: Interval
    six_looks_within: Interval
    hunting: Interval


@dataclass(frozen=True)
class OracleController(LensController):
    """Goes where it is told that the thing looked at is: the ceiling.

    Attributes:
        object_dpt: its nearness.
    """

    object_dpt: float = 1.0

    name = "lens-oracle"

    def _next(self, state: LensState) -> tuple[float, LensState]:
        return self.object_dpt, state

    def learn(self, state: LensState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> LensState:
        """Done when it has arrived."""
        state = super().learn(state, u, obs, info)
        return replace(state, is_done=len(state.looks) > 1 and not state.is_on_its_way)


def places_of(scenes: Sequence[EyeScene], *, n_gazes: int, n_seeds: int, seed: int) -> list[list[Place]]:
    """For each scene its episodes: gazes drawn evenly about the centre, each with so many seeds of photons."""
    rng = np.random.default_rng(seed)
    table = []
    for scene in scenes:
        gazes = rng.uniform(-_GAZE_REACH, _GAZE_REACH, (n_gazes, 2))
        seeds = rng.integers(2**31, size=(n_gazes, n_seeds))
        table.append(
            [Place(scene, (float(y), float(x)), int(s)) for (y, x), row in zip(gazes, seeds, strict=True) for s in row]
        )
    return table


def lens_env(*, has_noise: bool = True) -> EyeEnv:
    """The environment of the exam: it never ends an episode itself, since that is the controller's to say."""
    return EyeEnv(
        EyeConfig(muscles=("focus_dpt",), scenes="synthetic", photon_noise=has_noise, patience=0, mosaic_coarse=8)
    )


def play_lens(
    env: EyeEnv, controller: ControllerBase, place: Place, *, n_trials: int = _MOST_LOOKS
) -> dict[str, float]:
    """One episode: looks, error at the end and of the best of the first six looks, whether it hunted.

    Of the first six looks the eye takes the one with the lowest focus term, as it would if there were no more.
    """
    options = {"scene": place.scene, "gaze": place.gaze, "noise_seed": place.seed}
    if isinstance(controller, OracleController):
        _, info = env.reset(seed=place.seed, options=options)
        controller = replace(controller, object_dpt=info["hidden"]["object_dpt"])
    trace = run_episode(env, controller, place.seed, options, n_trials)
    error = np.abs(trace.theta["focus_dpt"] - env.world.info(0)["hidden"]["object_dpt"])
    six = int(np.argmin(trace.terms["focus"][:N_LOOKS]))
    found = np.flatnonzero(error <= WITHIN_DPT)
    return {
        "looks": len(error),
        "error": float(error[trace.i_chosen]),
        "six": float(error[six]),
        "hunting": float(len(found) > 0 and bool((error[found[0] :] > _HUNTING_DPT).any())),
    }


def lens_row(
    name: str,
    controller: ControllerBase,
    table: Sequence[Sequence[Place]],
    env: EyeEnv,
    *,
    nearness: str,
    n_trials: int = _MOST_LOOKS,
    on_episode: Callable[[], object] = lambda: None,
) -> LensRow:
    """All episodes of one controller."""
    found = []
    for places in table:
        rows = []
        for place in places:
            rows.append(play_lens(env, controller, place, n_trials=n_trials))
            on_episode()
        found.append(rows)
    columns = {key: np.array([[row[key] for row in rows] for rows in found]) for key in found[0][0]}
    return LensRow(
        nearness,
        name,
        columns["looks"].size,
        float(np.median(columns["looks"])),
        bootstrap_of(_median, columns["error"]),
        bootstrap_mean(columns["error"] <= WITHIN_DPT),
        bootstrap_of(_median, columns["six"]),
        bootstrap_mean(columns["six"] <= WITHIN_DPT),
        bootstrap_mean(columns["hunting"]),
    )


def rows_of(only: str = "") -> Mapping[str, Callable[[], ControllerBase]]:
    """The rows, or the floor and the one asked for by a controller's name."""
    if not only:
        return CONTROLLERS
    floor = next(iter(CONTROLLERS))
    return {floor: CONTROLLERS[floor], only: lambda: make_controller(only)}


def examine_lens(
    scenes: Mapping[str, Sequence[EyeScene]],
    *,
    seed: int,
    n_gazes: int = 3,
    n_seeds: int = 2,
    only: str = "",
    on_episode: Callable[[], object] = lambda: None,
) -> list[LensRow]:
    """Every controller at every nearness, or the ``only`` one, between the floor and the oracle: rows."""
    env, rows = lens_env(), []
    for nearness, some in scenes.items():
        table = places_of(some, n_gazes=n_gazes, n_seeds=n_seeds, seed=seed)
        for name, make in rows_of(only).items():
            n_trials = 1 if name.startswith("at rest") else _BUDGET.get(name, _MOST_LOOKS)
            rows.append(lens_row(name, make(), table, env, nearness=nearness, n_trials=n_trials, on_episode=on_episode))
        rows.append(lens_row(ORACLE, OracleController(), table, env, nearness=nearness, on_episode=on_episode))
    return rows


def _median(values: np.ndarray) -> float:
    return float(np.median(values))
