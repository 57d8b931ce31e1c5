"""A session of focusing: each scene an episode, tracked, recorded and drawn as those of ``accommodate`` are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.episode import Progress
from ciliary.tuning.focus.episode import Retina, Watched, name_of, watch
from ciliary.tuning.focus.figure import draw_focus
from ciliary.tuning.focus.film import write_film
from ciliary.tuning.focus.inputs import FocusInput, FoundScene, muscle_of
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import write_page
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import FOCUSING
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.job import Equipment, Job, Workbench
from ciliary.tuning.sessions.made import Drawing, Keep, Made, keep_and_draw
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.task import Task


class Focusing(Job[FocusInput, FoundScene]):
    """Focusing, as a session knows it."""

    experiment, command = FOCUSING, "focus"
    n_ahead = 0  # a stack may be hundreds of megabytes
    settings: FocusSettings

    def load(self, item: FocusInput) -> tuple[FoundScene, EpisodeKey]:
        """The scene, known again by its light and depth."""
        scene, settings = item.load(), self.settings
        light = scene.light if scene.frames is None else scene.frames.light
        content = b"".join(np.ascontiguousarray(part).tobytes() for part in (light, scene.distance_dpt))
        controller = name_of(scene, muscle_of(scene), settings.controller)
        key = EpisodeKey(item.name, digest(content), "none", controller, settings.seed, settings.fingerprint())
        return FoundScene(scene, item.path), key

    def run_name(self, key: EpisodeKey) -> str:
        """The scene, and what is done."""
        return f"{key.image} focus"

    def equip(self, session: Session) -> Equipment[FocusSettings]:
        """Nothing but the settings."""
        return Equipment(self.settings, session.folder, FocusBench)


@dataclass(frozen=True)
class FocusBench(Workbench):
    """What makes an episode of focusing."""

    settings: FocusSettings
    folder: Path

    def make(self, task: Task, on_batch: Callable[[Progress], object], keep: Keep) -> Made:
        """JSON, record, figure and film."""
        found: FoundScene = task.shown
        watched = watch(found.scene, self.settings, on_look=on_batch)
        record = records.build(task.key, watched.trace, found)
        record["focus"] = records.plain(facts(watched))
        pages, page = self.folder / "figures", self.folder / f"{task.stem}.json"
        told = ("image", "path", "controller", "seed", "n_trials", "ending", "versions")
        write_page(page, {**{name: record[name] for name in told}, **record["focus"]})
        retina = cache(lambda: Retina(watched))  # its layers are cut once for both; where that fails neither is drawn

        def figure(path: Path) -> Path:
            return write_figure(draw_focus(watched, retina(), name=task.stem), path)

        drawings: list[Drawing] = [("figure", pages / f"{task.stem}.png", figure)]
        if self.settings.is_animated:
            film = pages / f"{task.stem}.gif"
            drawings.append(("animation", film, lambda path: write_film(watched, retina(), path, name=task.stem)))
        figures, problems = keep_and_draw(record, drawings, {"json": records.printable(str(page))}, keep)
        return Made(record, watched.trace.theta_moved, figures, {}, problems)


def facts(watched: Watched) -> dict[str, Any]:
    """What an episode came to, for programs."""
    height, width = watched.scene.size_px
    y, x = watched.gaze
    return {
        "muscle": watched.muscle,
        "gaze": [y, x],
        "gaze_deg": [
            one * side / watched.scene.px_per_deg / 2 for one, side in zip((y, x), (height, width), strict=True)
        ],
        "looks": [{watched.muscle: s, "term": t} for s, t in zip(watched.setting, watched.term, strict=True)],
        "chosen": watched.trace.i_chosen,
        watched.muscle: watched.setting[watched.trace.i_chosen],
        "object_dpt": watched.object_dpt,
        "error_dpt": watched.error_dpt,
        "notes": list(watched.scene.notes),
    }
