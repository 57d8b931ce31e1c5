"""A session: many images under many disturbances, one controller, each episode tracked, recorded, drawn and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ciliary.agents.base import env_options_of, uses_steps
from ciliary.agents.episode import EpisodeInterrupted, Progress
from ciliary.agents.guard import Guard
from ciliary.envs.data.sources import UnreadableImage
from ciliary.tuning.cli.stopping import EXIT_CODE, Stopped, Stopper
from ciliary.tuning.inspect.overview import draw_stages
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import plan_stems, save_episode, summary_of
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.sessions.animation import animate_episode
from ciliary.tuning.sessions.experience import with_memories, with_memory
from ciliary.tuning.sessions.figures import draw_episode, title, write_figure
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.playing import Played, play
from ciliary.tuning.sessions.resume import Session, open_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.studies import open_memory, open_storage


class Display(Protocol):
    """What a session tells while it runs."""

    def begin(self, session: Session, n_episodes: int) -> None:
        """The session is open."""

    def episode(self, title: str) -> None:
        """An episode begins."""

    def batch(self, progress: Progress) -> None:
        """A batch of trials was made."""

    def done(self, *, was_done_before: bool) -> None:
        """The episode is over, well or badly."""

    def note(self, text: str) -> None:
        """One line about what had to be done to an image to show it."""

    def problem(self, text: str) -> None:
        """One line about an input or an episode that failed."""


@dataclass
class Outcome:
    """What came of a session.

    Attributes:
        name, folder: of the session; ``folder`` holds its records and figures.
        command: shows its runs.
        records: of the episodes which ended well, in the order of the images; those of an earlier start included.
        problems: one line for each input or episode that failed.
        n_before: episodes which an earlier start had done.
        is_stopped: whether a signal ended it.
    """

    name: str
    folder: Path
    command: str
    records: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    n_before: int = 0
    is_stopped: bool = False

    @property
    def exit_code(self) -> int:
        """0 all well, 1 nothing could be done, 3 some inputs failed, 130 stopped by a signal."""
        if self.is_stopped:
            return EXIT_CODE
        if not self.records:
            return 1
        return 3 if self.problems else 0


def run_session(
    settings: SessionSettings, inputs: Sequence[Input], *, make_env: Callable[[SessionSettings], Any], display: Display
) -> Outcome:
    """Run a session to its end, or to the signal which stops it. Every run it opens is closed.

    Args:
        settings: what to do.
        inputs: the images, with unique names.
        make_env: makes the environment, once.
        display: is told of progress and problems.

    Raises:
        ValueError: if the controller or the session's name is none.
        StoreError, StorageError: if tracking store or study storage cannot be opened.
    """
    controller = make_controller(settings)
    storage = None if settings.storage is None else open_storage(settings.storage)
    with Stopper() as stopper:
        store = open_store(settings.out)
        session = open_session(store, settings)
        outcome = Outcome(session.name, session.folder, store.command)
        status = "KILLED"  # until it is known better
        try:
            display.begin(session, len(inputs) * len(settings.disturbances))
            controller = with_memories(controller, settings, store)
            run = _Run(settings, session, outcome, display, stopper, make_env(settings), controller, storage)
            run.all(inputs)
            status = "FINISHED" if outcome.records else "FAILED"
        except Stopped:
            outcome.is_stopped = True
        except Exception:
            status = "FAILED"
            raise
        finally:
            session.close(status, metrics=_means(outcome), files=(session.folder / records.FILE,))
    return outcome


class _Run:
    """The loop over images and disturbances, with what it needs at hand."""

    def __init__(self, settings, session, outcome, display, stopper, env, controller, storage):
        self.settings: SessionSettings = settings
        self.session: Session = session
        self.outcome: Outcome = outcome
        self.display: Display = display
        self.stopper: Stopper = stopper
        self.env, self.controller, self.storage = env, controller, storage
        self.file = session.folder / records.FILE
        self.known = {r["key"]: r for r in records.read(self.file) if r.get("status") == "FINISHED"}

    def all(self, inputs: Sequence[Input]) -> None:
        stems = plan_stems([i.name for i in inputs], self.settings.disturbances)
        for item, row in zip(inputs, stems, strict=True):
            self.stopper.check()
            try:
                photograph = item.load()
            except (ValueError, OSError) as error:
                is_named = isinstance(error, UnreadableImage)  # its message begins with the path
                self._problem(str(error) if is_named else f"{item.label}: {error}")
                for _ in row:
                    self.display.done(was_done_before=False)
                continue
            for note in getattr(photograph, "notes", ()):
                self.display.note(f"{item.label}: {note}")
            pixels = digest(np.ascontiguousarray(photograph.image).tobytes())
            for disturbance, stem in row.items():
                self.stopper.check()
                key = EpisodeKey.of(self.settings, item.name, pixels, disturbance)
                self._one(item, photograph, key, stem)

    def _one(self, item: Input, photograph: Any, key: EpisodeKey, stem: str) -> None:
        words = f"{item.name}, {key.disturbance}"
        earlier = self._done_before(key, stem)
        self.display.episode(words)
        if earlier is not None:
            self.outcome.records.append(earlier)
            self.outcome.n_before += 1
            self.display.done(was_done_before=True)
            return
        name = f"{item.name} {key.disturbance} {self.settings.controller}"
        run = self.session.episode(name=name, tags={"kind": "episode", "key": key, **asdict(key)})
        try:
            made, figures = self._play(photograph, key, stem)
            records.append(self.file, made)
            self.controller = with_memory(self.controller, made)
            run.finish(made, figures, self.settings.as_params())
            self.outcome.records.append(made)
        except EpisodeInterrupted as stop:
            run.kill(records.build(key, stop.trace, photograph, status="KILLED"))
            raise Stopped from stop
        except Exception as error:
            self._problem(f"{item.label} ({key.disturbance}): {type(error).__name__}: {error}")
            records.append(self.file, records.build_failed(key, error, photograph))
            run.fail(error)
        finally:
            with suppress(Exception):  # whatever brought us here is the news, not that the store is gone as well
                run.kill()
        self.display.done(was_done_before=False)

    def _play(self, photograph: Any, key: EpisodeKey, stem: str) -> tuple[dict[str, Any], dict[str, Path]]:
        played = play(
            self.env,
            self.controller,
            photograph,
            key.disturbance,
            seed=self.settings.seed,
            n_trials=self.settings.n_trials,
            guard=Guard() if self.settings.use_guard else None,
            memory=open_memory(self.storage, self.settings, self.controller, key),
            on_batch=self._on_batch,
        )
        made = records.build(key, played.trace, photograph, objective=self.settings.mark)
        folder = self.session.folder / "figures"
        figures = {"figure": self._draw(made, played, folder / f"{stem}.png")}
        if (animation := self._animate(made, played, folder / f"{stem}.gif")) is not None:
            figures["animation"] = animation
        figures["stages"] = self._draw_stages(made, played, self.session.folder / "stages" / f"{stem}.stages.png")
        made["files"] = {role: str(path) for role, path in figures.items()}
        if self.settings.save is not None:
            size = tuple(photograph.original_size)
            made["files"] |= save_episode(
                self.settings.save, stem, percept=played.after, size=size, summary=summary_of(made)
            )
        return made, figures

    def _draw(self, made: dict[str, Any], played: Played, path: Path) -> Path:
        figure = draw_episode(
            made,
            image=played.image,
            before=played.before,
            after=played.after,
            u_before=played.u_before,
            u_after=played.trace.u_chosen,
            names=played.trace.parameter_names,
        )
        return write_figure(figure, path)

    def _draw_stages(self, made: dict[str, Any], played: Played, path: Path) -> Path:
        note = "what each stage makes of it at the setting applied"
        return write_figure(draw_stages(played.image, played.after, title=title(made), note=note), path)

    def _animate(self, made: dict[str, Any], played: Played, path: Path) -> Path | None:
        # the environment no longer stands at the image of a controller that changed it
        if not self.settings.is_animated or env_options_of(self.controller):
            return None
        return animate_episode(
            self.env,
            played.trace,
            path,
            title=title(made),
            by_steps=uses_steps(self.controller),
            known={0: played.before, played.trace.i_chosen: played.after},
        )

    def _on_batch(self, progress: Progress) -> None:
        self.display.batch(progress)
        self.stopper.check()

    def _done_before(self, key: EpisodeKey, stem: str) -> dict[str, Any] | None:
        """The record of an episode that ended well in an earlier start, if all that is asked for is still there."""
        run_id = self.session.done.get(str(key))
        if run_id is None:
            return None
        record = self.known.get(str(key)) or self.session.record_of(run_id)
        if record is not None and self.settings.save is not None:
            page = self.settings.save / f"{stem}.json"
            if record.get("files", {}).get("json") != str(page) or not page.exists():
                return None
        return record

    def _problem(self, text: str) -> None:
        line = " ".join(text.split())
        self.outcome.problems.append(line)
        self.display.problem(line)


def _means(outcome: Outcome) -> dict[str, float]:
    """The summary of a session: means of the totals before and after over its episodes, and counts."""
    means: dict[str, float] = {"n_episodes": len(outcome.records), "n_problems": len(outcome.problems)}
    for side in ("before", "after"):
        totals = [r[side]["total"] for r in outcome.records if r[side]["total"] is not None]
        if totals:
            means[f"mean/{side}"] = float(np.mean(totals))
    return means
