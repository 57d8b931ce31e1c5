"""What makes one episode of a session, in this process or in a worker: play, keep the record, draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from optuna.storages import BaseStorage

from ciliary.agents.base import ControllerBase
from ciliary.agents.episode import EpisodeInterrupted, Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.sessions.episode import Made, make
from ciliary.tuning.sessions.experience import with_memory
from ciliary.tuning.sessions.playing import play
from ciliary.tuning.sessions.redraw import redraw
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import open_study


@dataclass(frozen=True, eq=False)
class Task:
    """An episode to come.

    Attributes:
        label: what the user called the image.
        photograph: the image.
        key: of the episode.
        stem: names its files.
        is_drawn: whether it is drawn as soon as it was played.
        known: its record if it was kept before: it is not kept again unless its files are others.
        is_played: False if only what the known record tells is drawn.
    """

    label: str
    photograph: Photograph
    key: EpisodeKey
    stem: str
    is_drawn: bool = True
    known: Mapping[str, Any] | None = None
    is_played: bool = True


@dataclass(frozen=True, eq=False)
class Cut:
    """What is left of an episode that somebody stopped: the trials made so far, if there were any."""

    record: Mapping[str, Any] | None = None
    theta: Mapping[str, Any] | None = None


Result = Made | Cut | Exception
"""What comes of a task."""


def is_news(task: Task, record: Mapping[str, Any]) -> bool:
    """Whether a record says what the one that was kept before does not: there is none, or its files are others."""
    known = task.known
    return known is None or bool(known.get("files", {}).get("json") != record["files"].get("json"))


class Bench:
    """All that an episode is made with; one a process.

    Attributes:
        controller: who plays; it remembers each episode if it is one that does.
    """

    def __init__(
        self,
        settings: SessionSettings,
        env: gym.Env[Any, Any],
        controller: ControllerBase,
        storage: BaseStorage | None,
        folder: Path,
    ) -> None:
        self.settings, self.env, self.controller = settings, env, controller
        self.storage, self.folder = storage, folder
        self.table = env.get_wrapper_attr("parameters")  # the cortex's or the perceiver's columns

    def do(
        self, task: Task, *, on_batch: Callable[[Progress], object], keep: Callable[[Mapping[str, Any]], object]
    ) -> Result:
        """Play, keep, draw. Of an interrupted episode what there is; an error is returned, not raised.

        Args:
            task: what to do.
            on_batch: told of every batch; may raise ``KeyboardInterrupt`` to stop.
            keep: writes a record down, before anything is drawn.
        """
        try:
            if not task.is_played:
                return redraw(task, self.settings, env=self.env, controller=self.controller, folder=self.folder)
            made = self._play(task, on_batch, keep)
        except EpisodeInterrupted as stop:
            so_far = records.build(task.key, stop.trace, task.photograph, status="KILLED")
            return Cut(so_far, stop.trace.theta_moved)
        except Exception as error:  # noqa: BLE001 -- one image's failure is recorded, the others are played
            return error
        self.controller = with_memory(self.controller, made.record, self.table)
        return made

    def _play(
        self, task: Task, on_batch: Callable[[Progress], object], keep: Callable[[Mapping[str, Any]], object]
    ) -> Made:
        settings = self.settings

        def keep_new(record: Mapping[str, Any]) -> None:
            if is_news(task, record):
                keep(record)

        played = play(
            self.env,
            self.controller,
            task.photograph,
            task.key.disturbance,
            seed=settings.seed,
            n_trials=settings.n_trials,
            guard=Guard() if settings.use_guard else None,
            looking=Looking() if settings.is_integrated else None,
            with_holding=True,
            with_before=task.is_drawn,
            study=open_study(self.storage, settings, self.controller, task.key, self.table),
            on_batch=on_batch,
        )
        return make(
            played,
            task.photograph,
            task.key,
            settings,
            env=self.env,
            controller=self.controller,
            folder=self.folder,
            stem=task.stem,
            is_drawn=task.is_drawn,
            keep=keep_new,
        )
