"""A session of focusing: each scene an episode, tracked, recorded and drawn as those of ``accommodate`` are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.focus.episode import Retina, Watched, name_of, watch
from ciliary.tuning.focus.figure import draw_focus
from ciliary.tuning.focus.film import write_film
from ciliary.tuning.focus.inputs import FocusInput, muscle_of
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import write_page
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import FOCUSING
from ciliary.tuning.sessions.episode import Drawing, Made, drawn
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.one_each import Play, run_one_each
from ciliary.tuning.sessions.outcome import Outcome

_PLACES = ("out", "session", "is_resumed", "is_animated", "device")  # they shape no number


class _Focusing(Play[FocusInput, EyeScene]):
    """Focusing as a session knows it."""

    experiment, unit, what = FOCUSING, "scenes", "focus"

    def __init__(self, settings: FocusSettings) -> None:
        self.settings, self.numbers = settings, _numbers(settings)

    def load(self, item: FocusInput) -> EyeScene:
        """The scene."""
        return item.load()

    def key(self, item: FocusInput, scene: EyeScene) -> EpisodeKey:
        """See :func:`key_of`."""
        return key_of(item, scene, self.settings)

    def make(
        self, item: FocusInput, scene: EyeScene, key: EpisodeKey, *, folder: Path, check: Callable[[], object]
    ) -> Made:
        """See :func:`make`."""
        return make(watch(scene, self.settings, on_look=check), item, key, self.settings, folder=folder)


def run_focus_session(
    settings: FocusSettings, inputs: Sequence[FocusInput], *, say: Callable[[str], object]
) -> Outcome:
    """Every scene in turn, as :func:`~ciliary.tuning.sessions.one_each.run_one_each` does it.

    Raises:
        ValueError: the session's name is none.
        NotWritable, StoreError: nothing can be kept.
    """
    return run_one_each(settings, inputs, _Focusing(settings), say=say)


def make(watched: Watched, item: FocusInput, key: EpisodeKey, settings: FocusSettings, *, folder: Path) -> Made:
    """Record, figure, film and JSON of an episode; a page that cannot be drawn costs no result."""
    picture = linear_to_srgb(watched.scene.light).clamp(0, 1)
    shown = Photograph(item.name, picture, watched.scene.size_px, item.path, notes=watched.scene.notes)
    record = records.build(key, watched.trace, shown)
    record["focus"] = records.plain(facts(watched))
    pages, page = folder / "figures", folder / f"{item.name}.json"
    summary = {name: record[name] for name in ("image", "path", "controller", "seed", "n_trials", "ending", "versions")}
    write_page(page, {**summary, **record["focus"]})
    retina = cache(lambda: Retina(watched))  # its layers are cut once for both, and where that fails neither is drawn
    drawings: list[Drawing] = [
        (
            "figure",
            pages / f"{item.name}.png",
            lambda path: write_figure(draw_focus(watched, retina(), name=item.name), path),
        ),
        ("animation", pages / f"{item.name}.gif", lambda path: write_film(watched, retina(), path, name=item.name)),
    ]
    figures, problems = drawn(drawings if settings.is_animated else drawings[:1])
    record["files"] = {role: records.printable(str(path)) for role, path in figures.items()} | {"json": str(page)}
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


def key_of(item: FocusInput, scene: EyeScene, settings: FocusSettings) -> EpisodeKey:
    """By what an episode is known again: the scene's light and depth, and the settings that shape its numbers."""
    light = scene.light if scene.frames is None else scene.frames.light
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in (light, scene.distance_dpt))
    shape = digest(json.dumps(_numbers(settings), sort_keys=True).encode())
    controller = name_of(scene, muscle_of(scene), settings.controller)
    return EpisodeKey(item.name, digest(content), "none", controller, settings.seed, shape)


def _numbers(settings: FocusSettings) -> dict[str, str]:
    return {name: text for name, text in settings.as_params().items() if name not in (*_PLACES, "seed")}
