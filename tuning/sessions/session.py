"""The session of ``accommodate``: many images under many disturbances, one controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
from optuna.storages import BaseStorage

from ciliary.envs.data.reading import Photograph
from ciliary.tuning.runs.files import plan_stems
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import SESSIONS
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.bench import Bench
from ciliary.tuning.sessions.best import draw_best
from ciliary.tuning.sessions.conduct import conduct
from ciliary.tuning.sessions.crew import Crew
from ciliary.tuning.sessions.experience import with_memories
from ciliary.tuning.sessions.inputs import Input, mark_of
from ciliary.tuning.sessions.job import Equipment, Job
from ciliary.tuning.sessions.loop import Loop
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.outcome import Display, Outcome
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import open_storage

MakeEnv = Callable[..., gym.Env[Any, Any]]


def run_session(settings: SessionSettings, inputs: Sequence[Input], *, make_env: MakeEnv, display: Display) -> Outcome:
    """Accommodate to every image under every disturbance, as :func:`~ciliary.tuning.sessions.conduct.conduct` does it.

    Args:
        settings: what to do.
        inputs: the images, with unique names.
        make_env: makes the environment of the settings, once; told ``searches_all=True`` for a session of version 0.1.
        display: is told of progress and problems.

    Raises:
        ValueError: if the controller or the session's name is none.
        NotWritable: results cannot be written where they are to go.
        StoreError, StorageError: if tracking store or study storage cannot be opened.
        EngineError: whoever was to do the episodes cannot, and none is done.
    """
    return conduct(Accommodating(settings, make_env), inputs, display)


def make_bench(
    settings: SessionSettings,
    folder: Path,
    *,
    make_env: MakeEnv,
    searches_all: bool = False,
    storage: BaseStorage | None = None,
) -> Bench:
    """A bench of one's own; without a storage it opens that of the settings, if they name one."""
    more = {"searches_all": True} if searches_all else {}
    if storage is None and settings.storage is not None:
        storage = open_storage(settings.storage)
    return Bench(settings, make_env(settings, **more), make_controller(settings), storage, folder)


class Accommodating(Job[Input, Photograph]):
    """Accommodation, as a session knows it.

    Raises:
        ValueError: there is no such controller.
    """

    experiment, command, is_disturbed = SESSIONS, "accommodate", True
    settings: SessionSettings

    def __init__(self, settings: SessionSettings, make_env: MakeEnv) -> None:
        super().__init__(settings)
        make_controller(settings)  # says now what is wrong with it
        self._make_env = make_env
        self._storage: BaseStorage | None = None
        self._fingerprint = settings.fingerprint()
        self.disturbances, self.draws_all = settings.shown_as, settings.draws_all

    def prepare(self) -> None:
        """Open the study storage; ``StorageError`` where it cannot be."""
        storage = self.settings.storage
        self._storage = None if storage is None else open_storage(storage)

    def rows(self, inputs: Sequence[Input], say: Callable[[str], object]) -> list[tuple[Input, Mapping[str, str]]]:
        """Names of pages and maps by which nothing of anybody else's is written over."""
        names, save = [i.name for i in inputs], self.settings.save
        stems = plan_stems(names, self.disturbances, save)
        planned = list(zip(inputs, plan_stems(names, self.disturbances), stems, strict=True))
        own = self.settings.own_part(planned)
        for _, wanted, got in own:
            for disturbance in (d for d in wanted if wanted[d] != got[d]):
                page = f"{save}/{wanted[disturbance]}.json"
                say(f"{page} or a map beside it is not ours: saved as {got[disturbance]}.* instead")
        return [(item, got) for item, _, got in own]

    def load(self, item: Input) -> tuple[Photograph, EpisodeKey]:
        """The photograph, known again by its pixels."""
        photograph = item.load()
        return photograph, self.settings.key(item.name, mark_of(photograph), "none", settings=self._fingerprint)

    def has_all(self, record: Mapping[str, Any], stem: str) -> bool:
        """Whether the maps that are asked for lie where they are asked for."""
        if self.settings.save is None:
            return True
        wanted = {"json": f"{stem}.json", **({"coco": f"{stem}.coco.json"} if self.settings.is_coco else {})}
        pages = {role: self.settings.save / name for role, name in wanted.items()}
        files = record.get("files", {})
        return all(files.get(role) == str(page) and page.exists() for role, page in pages.items())

    def run_name(self, key: EpisodeKey) -> str:
        """Image, disturbance, controller."""
        return tracking.run_name(key)

    def params(self, key: EpisodeKey) -> dict[str, str]:
        """See :func:`~ciliary.tuning.sessions.tracking.episode_params`."""
        return tracking.episode_params(self.settings, key)

    def equip(self, session: Session) -> Equipment[SessionSettings]:
        """Environment, controller, studies."""
        return Equipment(self.settings, session.folder, self._maker(session))

    def bench(self, session: Session) -> Bench:
        """The bench of this process, whose controller remembers what lies in the session's output folder."""
        bench = self._maker(session)(self.settings, session.folder, storage=self._storage)
        bench.controller = with_memories(bench.controller, self.settings, session.store, bench.table)
        return bench

    def _maker(self, session: Session) -> partial[Bench]:
        return partial(make_bench, make_env=self._make_env, searches_all=session.searches_all)

    def after(self, loop: Loop[Input, Photograph], crew: Crew) -> None:
        """Draw those that gained most, if that is asked for; also of what was done till a signal came."""
        if self.settings.n_best:
            draw_best(loop, self.settings.n_best, crew)
