"""The panel without the panel: who sees, a slice opened, and the layers' data. Neither napari nor Qt."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.episode import Progress
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.tuning.app import export, state
from ciliary.tuning.app.eye import Episode, Eye, Scene
from ciliary.tuning.app.pictures import enlarge, words_of
from ciliary.tuning.app.state import State
from ciliary.tuning.napari_plugin.asked import Asked
from ciliary.tuning.napari_plugin.pixels import read
from ciliary.tuning.napari_plugin.slices import Source
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.inputs import Input

#: What making or showing somebody something may raise, and is told.
TOLD = (ValueError, KeyError, TypeError, OSError, RuntimeError, MemoryError, ProviderUnavailable)


@dataclass(frozen=True, eq=False)
class Maps:
    """What layers show.

    Attributes:
        labels: (h, w) int32, segments from 1 on: 0 is what napari shows through.
        boundary: (h, w) float32 in [0, 1].
        disagreement: (h, w) float32 in [0, 1], where the looks disagree; None where there are none.
        words: below the sliders.
        page: what they were seen with, as :func:`ciliary.tuning.app.export.settings_page` has it.
    """

    labels: np.ndarray
    boundary: np.ndarray
    disagreement: np.ndarray | None
    words: str
    page: Mapping[str, Any]


class Seer(Eye):
    """An eye whose episodes leave no film: layers show them."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.session())
        self.asked = asked

    def starting_from(self, start: Start) -> Seer:
        """The same who sees, whose episodes begin otherwise."""
        other = copy.copy(self)
        asked = start.asked
        other.settings = replace(self.settings, changes=start.changes, n_trials=asked.n_trials, seed=asked.seed)
        return other

    def _film(self, env: Any, played: Any, *, by_steps: bool) -> None:
        del env, played, by_steps


@dataclass(frozen=True, eq=False)
class Start:
    """What an episode begins with: what was asked, and which defaults were changed before."""

    asked: Asked
    changes: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Desk:
    """A slice before whoever sees it. Each change is a new one; ``state`` has the steps that can be undone.

    Attributes:
        seer: who sees.
        source: the slice.
        state: values, steps before, and the episode.
        played: what that episode began with.
    """

    seer: Seer
    source: Source
    state: State
    played: Start | None = None

    def become(self, new: State) -> Desk:
        """The same at another state."""
        return replace(self, state=new)

    @property
    def values(self) -> dict[str, float]:
        """Physical values by name."""
        return dict(self.state.values)

    @property
    def idle(self) -> frozenset[str]:
        """Parameters that do nothing at these values."""
        return self.seer.idle(self.state.values)

    def start(self, asked: Asked, *, from_here: bool = False) -> Start:
        """The beginning of an episode: the defaults, or where the sliders stand."""
        return Start(asked, self.seer.changed(self.state.values if from_here else self.seer.defaults))

    def accommodate(self, start: Start, on_batch: Callable[[Progress], object]) -> Episode:
        """Play an episode. ``on_batch`` is told after each batch of trials, and may raise to stop it."""
        return self.seer.starting_from(start).accommodate(self.state.scene, on_batch)

    def accommodated(self, episode: Episode, start: Start) -> Desk:
        """At what an episode came to."""
        return replace(self, state=state.accommodated(self.state, self.seer, episode), played=start)

    def maps(self) -> Maps:
        """What is seen at the state, and what layers show of it."""
        start = time.perf_counter()
        percept, size = state.seen(self.state, self.seer), self.source.place.map_size
        labels = percept.labels(size)[0].numpy().astype(np.int32) + 1
        episode = self.state.episode
        doubt = getattr(None if episode is None else episode.together, "uncertainty", None)
        height, width = self.state.scene.photograph.image.shape[-2:]
        return Maps(
            labels,
            enlarge(percept.boundary, size),
            None if doubt is None else enlarge(doubt, size),
            f"{words_of(percept)} · seen at {width} × {height} px · {time.perf_counter() - start:.2f} s",
            export.settings_page(self.state, self.seer),
        )

    def command(self, start: Start) -> tuple[str, str]:
        """The words that play an episode at a terminal, and what has to be known of them, if anything.

        Raises:
            ValueError: the segmenter lives in this session alone.
        """
        source, notes = self.source, []
        image = str(source.path or f"{_file_name(source.name)}.png")
        if source.path is None:
            notes.append(f"{source.name} is no file, or a part of one: save what is seen as {image} first")
        if source.limits is not None:
            notes.append("the command reads values as they are in the file, not between the contrast limits")
        return start.asked.command(image, **start.changes), "; ".join(notes)

    def save(self, path: str | Path) -> None:
        """The settings as ``ciliary open`` exports them, for ``--set``."""
        write_atomically(Path(path), export.settings_json(self.state, self.seer))

    def load(self, path: str | Path) -> Desk:
        """At the settings of such a file. ``OSError``, ``ValueError``, ``KeyError`` on what is none, or of another."""
        values = export.taken_up(Path(path).read_text(encoding="utf-8"), Path(path).name, self.seer)
        return self.become(state.moved(self.state, self.seer.table, values))

    @property
    def settings_name(self) -> str:
        """A name for a file of settings."""
        return f"{_file_name(self.source.name)}.settings.json"


def opened(source: Source, asked: Asked, before: Desk | None = None, *, reads_anew: bool = False) -> Desk:
    """A slice before who was asked for, at the defaults, or where the desk before stood, if the perceiver is the same.

    Args:
        source: the slice.
        asked: who is to see.
        before: the desk before; who saw there sees here too, if nothing else was asked for.
        reads_anew: who sees is made anew all the same: one's own file may have changed.

    Raises:
        UnreadableImage, ValueError, KeyError, TypeError, OSError, RuntimeError, ProviderUnavailable: as the reader of
            images and the makers of perceivers.
    """
    photograph = read(source, asked.size_px)  # first: it is what fails soonest
    is_same = before is not None and not reads_anew and before.seer.asked.seen_by_same(asked)
    seer = before.seer if before is not None and is_same else Seer(asked)
    scene: Scene = seer.open(Input(source.name, source.name, lambda: photograph))
    made = Desk(seer, source, state.opened(seer, scene))
    if before is None or before.seer.asked.perceiver != asked.perceiver:
        return made
    kept = {row.name: before.values[row.name] for row in seer.table if row.name in before.values}
    fit = {name: value for name, value in kept.items() if seer.table[name].low <= value <= seer.table[name].high}
    return made.become(state.moved(made.state, seer.table, fit))


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip("._") or "image"
