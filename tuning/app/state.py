"""What one tab of the page is at: an image, values of the parameters, an episode. Each change is a new state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.table import ParameterTable
from ciliary.tuning.app.eye import Episode, Eye, Scene

MOST_STEPS = 100  # that can be undone
ROUNDING = 1e-5  # of u and back again, in float32


@dataclass(frozen=True, eq=False)
class Step:
    """Values by name, and whether what all looks come to is shown in place of what is seen at them."""

    values: Mapping[str, float]
    is_together: bool = False


@dataclass(frozen=True, eq=False)
class State:
    """One tab. ``past`` are the steps that can be undone, the last one last."""

    scene: Scene
    now: Step
    past: tuple[Step, ...] = ()
    episode: Episode | None = None

    @property
    def values(self) -> Mapping[str, float]:
        """Physical values by name."""
        return self.now.values

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back to."""
        return bool(self.past)


def opened(eye: Eye, scene: Scene) -> State:
    """An image, at the defaults."""
    return State(scene, Step(eye.defaults))


def previewed(state: State, table: ParameterTable, name: str, value: float) -> State:
    """One parameter on its way: no step of its own. ``KeyError``, ``ValueError`` on what it cannot be."""
    values = {**state.values, name: table.check_value(name, value)}
    return replace(state, now=Step(values))


def committed(state: State, before: Step) -> State:
    """What was previewed since ``before`` has become a step, if it changed anything."""
    is_same = before.values == state.values and before.is_together == state.now.is_together
    return state if is_same else replace(state, past=(*state.past, before)[-MOST_STEPS:])


def moved(state: State, table: ParameterTable, values: Mapping[str, float]) -> State:
    """Some parameters set, in one step. ``KeyError``, ``ValueError`` on what they cannot be."""
    after = state
    for name, value in values.items():
        after = previewed(after, table, name, value)
    return committed(after, state.now)


def reset(state: State, eye: Eye) -> State:
    """All parameters at their defaults, in one step."""
    return committed(replace(state, now=Step(eye.defaults)), state.now)


def undone(state: State) -> State:
    """The step before; the same state where there is none."""
    return replace(state, now=state.past[-1], past=state.past[:-1]) if state.past else state


def accommodated(state: State, eye: Eye, episode: Episode) -> State:
    """What an episode came to: its setting, and what all looks come to where that is the answer."""
    step = Step(tidy(eye, episode.trace.theta_chosen), is_together=episode.trace.is_integrated)
    return committed(replace(state, now=step, episode=episode), state.now)


def tidy(eye: Eye, values: Mapping[str, float]) -> dict[str, float]:
    """The values to six digits, and exactly the defaults where they differ by rounding alone."""
    found = {}
    for row in eye.table:
        value, default = float(f"{values[row.name]:.6g}"), eye.defaults[row.name]
        is_same = abs(value - default) <= ROUNDING * (row.high - row.low)
        found[row.name] = default if is_same else min(max(value, row.low), row.high)
    return found


def compared(state: State, *, is_together: bool) -> State:
    """The looks together, or the setting alone, in one step; without looks nothing changes."""
    if state.episode is None or state.episode.together is None:
        return state
    return committed(replace(state, now=replace(state.now, is_together=is_together)), state.now)


def seen(state: State, eye: Eye) -> AbstractPercept:
    """The percept that the state shows, a batch of one."""
    if state.now.is_together and state.episode is not None and state.episode.together is not None:
        return state.episode.together
    return eye.perceive(state.scene, state.values)
