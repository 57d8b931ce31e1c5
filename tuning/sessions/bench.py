"""What makes an episode of accommodation, in this process or in a worker: the environment, the controller, studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from optuna.storages import BaseStorage

from ciliary.agents.base import ControllerBase
from ciliary.agents.episode import Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device
from ciliary.tuning.fluency.measure import Meter
from ciliary.tuning.fluency.settings import recognising
from ciliary.tuning.fluency.typicality import reference_of
from ciliary.tuning.sessions.episode import make
from ciliary.tuning.sessions.experience import with_memory
from ciliary.tuning.sessions.job import Workbench
from ciliary.tuning.sessions.made import Keep, Made
from ciliary.tuning.sessions.playing import Played, play
from ciliary.tuning.sessions.redraw import redraw
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import open_study
from ciliary.tuning.sessions.task import Task


class Bench(Workbench):
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
        self._meter: Meter | None = None
        self.table = env.get_wrapper_attr("parameters")  # the cortex's or the perceiver's columns

    def make(self, task: Task, on_batch: Callable[[Progress], object], keep: Keep) -> Made:
        """See :class:`~ciliary.tuning.sessions.job.Workbench`; what is only drawn is kept already."""
        if not task.is_played:
            return redraw(task, self.settings, env=self.env, controller=self.controller, folder=self.folder)
        made = self._play(task, on_batch, keep)
        self.controller = with_memory(self.controller, made.record, self.table)
        return made

    def _play(self, task: Task, on_batch: Callable[[Progress], object], keep: Keep) -> Made:
        settings = self.settings
        played = play(
            self.env,
            self.controller,
            task.shown,
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
            task.shown,
            task.key,
            settings,
            env=self.env,
            controller=self.controller,
            folder=self.folder,
            stem=task.stem,
            is_drawn=task.is_drawn,
            keep=keep,
            fluency=self._fluency(played),
        )

    def _fluency(self, played: Played) -> dict[str, Mapping[str, float]] | None:
        """How easily the image is seen before and, where one setting is the answer, after; None if nobody asked."""
        if not self.settings.has_fluency:
            return None
        self._meter = self._meter or session_meter(self.settings)
        meter, names = self._meter, self.table.names
        before = meter.measure(played.image, meter.setting(names, played.u_before)).numbers
        if played.trace.is_integrated:
            return {"before": before}
        if not played.is_changed:
            return {"before": before, "after": before}
        return {
            "before": before,
            "after": meter.measure(played.image, meter.setting(names, played.trace.u_chosen)).numbers,
        }


def session_meter(settings: SessionSettings) -> Meter:
    """What measures the fluency of a session's images: its cortex, with M5, and its objective."""
    cortex = Cortex(**recognising(settings.cortex)).eval().requires_grad_(False).to(choose_device(settings.device))
    objective = "agreement" if settings.is_integrated else settings.objective
    return Meter(cortex, reference_of(cortex.name), objective=objective, seed=settings.seed)
