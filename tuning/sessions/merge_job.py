"""Sessions of shards in, one session out, tracked like any other. An exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex.options import INHERITED
from ciliary.cortex.parameters import table_for
from ciliary.tuning.cli.command_line import command_of
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import NotWritable, check_writable
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.shortened import Shortened
from ciliary.tuning.runs.store import StoreError, open_store
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.conduct import end
from ciliary.tuning.sessions.display import print_outcome
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.merge import Gathered, experiment_of, gather
from ciliary.tuning.sessions.merge_settings import MergeSettings
from ciliary.tuning.sessions.outcome import exit_code, first_line
from ciliary.tuning.sessions.resume import Session, check_name, open_session


def run(settings: MergeSettings) -> int:
    """Merge and report on the terminal.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 something is missing.
    """
    if not settings.folders:
        complain("merge", "expected a folder of sessions or more; such as: ciliary merge runs/accommodate")
        return USAGE
    try:
        gathered = gather([Path(folder) for folder in settings.folders], settings.session)
        outcome = merge(gathered, settings, out=settings.out or Path(settings.folders[0]))
    except ValueError as error:
        complain("merge", error)
        return USAGE
    except (StoreError, NotWritable, OSError) as error:
        complain("merge", error)
        return NOTHING
    for line in outcome.problems:
        complain("merge", line)
    if not settings.is_quiet:
        if gathered.n_twice:
            complain("merge", f"{gathered.n_twice} episodes stood in several shards; each counts once")
        print_outcome(outcome, save=None)
    return exit_code(outcome)


@dataclass
class Merged:
    """What came of a merge, as :class:`~ciliary.tuning.sessions.outcome.Outcome` is of a session."""

    name: str
    folder: Path
    command: str
    problems: list[str]
    records: Shortened = field(default_factory=Shortened)
    run_ids: dict[str, str] = field(default_factory=dict)
    n_before: int = 0
    is_stopped: bool = False


@dataclass(frozen=True)
class _Named:
    """What names the merged session."""

    session_base: str
    out: Path
    params: Mapping[str, str]
    is_resumed: bool = True  # opened again, to add what was missing
    mark_of_asked: str = ""

    def as_params(self) -> dict[str, str]:
        return dict(self.params)


def merge(gathered: Gathered, settings: MergeSettings, *, out: Path) -> Merged:
    """Keep and track what was gathered as one session; what an earlier merge did is not done again.

    One record is in memory at a time.
    """
    named = _Named(check_name(f"{gathered.base}-merged"), out, settings.as_params())
    check_writable(out)
    store = open_store(out, experiment=experiment_of([Path(folder) for folder in settings.folders], gathered.base))
    session = open_session(store, named)
    outcome = Merged(session.name, session.folder, store.command, [*gathered.missing])
    status = "FAILED"
    try:
        file = session.folder / records.FILE
        known = {record["key"] for record in records.stream(file)}
        with Bar(len(gathered.records), unit="episodes", is_quiet=settings.is_quiet) as bar:
            for record in gathered.records:
                if record["key"] not in known:
                    records.append(file, record)
                outcome.records.add(record)
                try:
                    outcome.run_ids[record["key"]] = session.done.get(record["key"]) or _track(session, record)
                except Exception as error:  # noqa: BLE001 -- of the store; the record is kept
                    outcome.problems.append(f"{record['image']}: not tracked: {first_line(error)}")
                bar.advance()
        status = "FINISHED" if outcome.records else "FAILED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        end(session, outcome, status, command=command_of("merge", settings, settings.folders, is_quiet=None))
    return outcome


def _track(session: Session, record: Mapping[str, Any]) -> str:
    key = EpisodeKey(**{name: record[name] for name in EpisodeKey.__dataclass_fields__})
    params = {name: str(record[name]) for name in ("image", "disturbance", "controller", "seed", "n_trials")}
    name = tracking.run_name(key)
    with session.episode(name=name, tags={"key": key, **asdict(key)}, params=params) as run:
        tracking.track_episode(run, Made(dict(record), _theta(record), dict(_figures(record)), {}, ()))
    return run.run_id


def _figures(record: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for role in ("figure", "animation", "stages"):
        path = Path(record.get("files", {}).get(role, ""))
        if path.is_file():
            yield role, path


def _theta(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Physical values of the trials, of the parameters that moved; nothing for those of somebody's own perceiver."""
    names = tuple(record["parameters"])
    for inherited in INHERITED:
        table = table_for(inherited)
        if table.names == names:
            values = table.by_name(np.array(record["history"]["u"], np.float32))
            return {name: column for name, column in values.items() if name not in record["frozen"]}
    return {}
