"""Many eyes played at once: the loop of an exam, where every look of an episode counts and not only the best.

:func:`ciliary.agents.run_episode` searches: it tries the default first and applies the best. Here what is told is what
the environment pays: the reset's look is the controller's first, every action after it is a step, and the episode is
over when the environment says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase, State
from ciliary.cortex.eye.parameters import eye_table
from ciliary.cortex.table import ParameterTable
from ciliary.envs.eye.terms import STATISTICS
from ciliary.envs.eye.vector import EyeVectorEnv


@dataclass(frozen=True, eq=False)
class Played:
    """What N episodes came to.

    Attributes:
        gain: (N,) sum of rewards.
        n_steps: (N,) until the episode was over.
        before, after: term -> (N,) at the reset's look and at the last one.
        degrees: (N,) of all saccades.
        defocus_dpt: (N,) how far the lens was off at the last look: hidden truth.
    """

    gain: np.ndarray
    n_steps: np.ndarray
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    degrees: np.ndarray
    defocus_dpt: np.ndarray


class Rows:
    """What the loop tells a controller of each row of an :class:`EyeVectorEnv`, as :func:`run_episode` would."""

    def __init__(self, envs: EyeVectorEnv, n_looks: int) -> None:
        self.envs, self.n_looks = envs, n_looks
        self._default: dict[int, np.ndarray] = {}
        self._told: dict[str, Any] = {}

    def begin(self, i: int) -> None:
        """A row's episode has begun: where it stands is its default."""
        world = self.envs.world
        height, width = (2 * half for half in world.half_field_deg)
        rows = tuple(row for row in eye_table((height, width)) if row.name in world.config.muscles)
        self._told = {
            "parameters": ParameterTable(rows),
            "parameter_names": world.config.muscles,
            "frozen": (),
            "n_trials": self.n_looks,
            "starts": None,
            "objective": None,
            "observed": {"statistics": STATISTICS},
        }
        self._default[i] = world.u[i, world.is_free]

    def info(self, i: int) -> dict[str, Any]:
        """Of one row at its latest look."""
        world = self.envs.world
        own = world.info(i)
        own["terms"] = {name: np.array([value]) for name, value in own["terms"].items()}
        n_remaining = self.n_looks - int(world.n_looks[i]) - 1
        return {**own, **self._told, "default_u": self._default[i].copy(), "n_remaining": n_remaining}


class Pilots:
    """One controller on every row of an :class:`EyeVectorEnv`, each with a memory of its own.

    Args:
        envs: begun or not.
        controller: goes by steps.
        n_looks: of an episode, with the reset's; what the controller is told as its budget.
    """

    def __init__(self, envs: EyeVectorEnv, controller: ControllerBase, n_looks: int) -> None:
        self.envs, self.controller, self.rows = envs, controller, Rows(envs, n_looks)
        self.states: list[State] = [None] * envs.num_envs

    def begin(self, obs: dict[str, np.ndarray], rows: Sequence[int], seed: int) -> None:
        """Fresh memories in some rows, which have seen the reset's look."""
        for i in rows:
            self.rows.begin(i)
            own, info = row_of(obs, i), self.rows.info(i)
            state = self.controller.init(own, info, seed + i)
            u, state = self.controller.act(state, own, info)
            self.states[i] = self.controller.learn(state, np.asarray(u), own, info)

    def actions(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        """The action of every row, (E, n_free)."""
        wanted = np.zeros((self.envs.num_envs, len(self.envs.config.muscles)))
        for i in range(self.envs.num_envs):
            u, self.states[i] = self.controller.act(self.states[i], row_of(obs, i), self.rows.info(i))
            wanted[i] = np.asarray(u, dtype=np.float64)[0]
        return self.envs.world.action_towards(wanted)

    def learn(self, obs: dict[str, np.ndarray], rows: Sequence[int]) -> None:
        """Let the controller remember what the step brought in some rows."""
        world = self.envs.world
        for i in rows:
            here = world.u[i, world.is_free]
            self.states[i] = self.controller.learn(self.states[i], here[None], row_of(obs, i), self.rows.info(i))


#: Where episodes of an exam start, (y, x) in halves of the field: the least difference leads an eye elsewhere, and what
#: a course earns is luck to a tenth. Beside the centre, about as far as the fovea reaches.
STARTS: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.08, -0.06), (-0.08, 0.06), (0.08, 0.06), (-0.08, -0.06))


def play_from(
    envs: EyeVectorEnv,
    controller: ControllerBase,
    scenes: Sequence[Any],
    *,
    n_starts: int,
    seed: int = 0,
    n_steps: int = 16,
) -> Played:
    """:func:`play_eyes` from the first ``n_starts`` of :data:`STARTS`; what is told of a scene is the mean of them.

    Raises:
        ValueError: fewer than one start, or more than there are.
    """
    if not 1 <= n_starts <= len(STARTS):
        raise ValueError(f"expected 1 to {len(STARTS)} starts, got {n_starts}")
    plays = [
        play_eyes(envs, controller, scenes, seed=seed + 1000 * k, n_steps=n_steps, gaze=STARTS[k])
        for k in range(n_starts)
    ]
    return averaged(plays)


def play_eyes(
    envs: EyeVectorEnv,
    controller: ControllerBase,
    scenes: Sequence[Any],
    *,
    seed: int = 0,
    n_steps: int = 16,
    gaze: tuple[float, float] = (0.0, 0.0),
) -> Played:
    """Play one episode on each scene.

    Args:
        envs: E copies; so many scenes are looked at together. Photons of scene i are those of seed + i, whoever plays.
        controller: goes by steps.
        scenes: N names, numbers or scenes, as the reset option ``scene`` takes them.
        seed: of photons and controllers.
        n_steps: at most, >= 1.
        gaze: where episodes start, (y, x) in halves of the field.

    Returns:
        What came of it, in the order of the scenes.
    """
    parts = []
    for start in range(0, len(scenes), envs.num_envs):
        wanted = list(scenes[start : start + envs.num_envs])
        n = len(wanted)
        wanted += [wanted[-1]] * (envs.num_envs - n)
        parts.append(_play(envs, controller, wanted, seed + start, n_steps, n, gaze))
    return joined(parts)


def _play(
    envs: EyeVectorEnv,
    controller: ControllerBase,
    scenes: list[Any],
    seed: int,
    n_steps: int,
    n: int,
    gaze: tuple[float, float],
) -> Played:
    rows = list(range(envs.num_envs))
    obs, _ = envs.reset(seed=seed, options={"scene": scenes, "gaze": gaze})
    pilots = Pilots(envs, controller, n_steps + 1)
    pilots.begin(obs, rows, seed)
    world = envs.world
    before = {name: values.copy() for name, values in world.terms.items()}
    after = {name: values.copy() for name, values in before.items()}
    gain, steps, degrees = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
    defocus = np.array([abs(world.info(i)["hidden"]["focus_error_dpt"]) for i in rows])
    is_over = np.zeros(len(rows), dtype=bool)
    for _ in range(n_steps):
        action, from_deg = pilots.actions(obs), world.eye[:, :2].copy()
        obs, paid, terminated, truncated, _ = envs.step(action)
        going = [i for i in rows if not is_over[i]]
        gain[going] += paid[going]
        steps[going] += 1
        degrees[going] += np.hypot(*(world.eye[going, :2] - from_deg[going]).T)
        for name, values in world.terms.items():
            after[name][going] = values[going]
        for i in going:
            defocus[i] = abs(world.info(i)["hidden"]["focus_error_dpt"])
        pilots.learn(obs, going)
        is_over |= terminated | truncated
        if is_over.all():
            break
    return Played(
        gain[:n],
        steps[:n],
        {name: values[:n] for name, values in before.items()},
        {name: values[:n] for name, values in after.items()},
        degrees[:n],
        defocus[:n],
    )


def joined(parts: Sequence[Played]) -> Played:
    """Several plays as one."""
    return Played(
        np.concatenate([one.gain for one in parts]),
        np.concatenate([one.n_steps for one in parts]),
        {name: np.concatenate([one.before[name] for one in parts]) for name in parts[0].before},
        {name: np.concatenate([one.after[name] for one in parts]) for name in parts[0].after},
        np.concatenate([one.degrees for one in parts]),
        np.concatenate([one.defocus_dpt for one in parts]),
    )


def averaged(plays: Sequence[Played]) -> Played:
    """Several plays at the same scenes, scene by scene."""

    def mean(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(np.mean(np.stack(list(values)), 0))

    return Played(
        mean([one.gain for one in plays]),
        mean([one.n_steps for one in plays]),
        {name: mean([one.before[name] for one in plays]) for name in plays[0].before},
        {name: mean([one.after[name] for one in plays]) for name in plays[0].after},
        mean([one.degrees for one in plays]),
        mean([one.defocus_dpt for one in plays]),
    )


def row_of(obs: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    """The observation of one row."""
    return {name: values[i] for name, values in obs.items()}
