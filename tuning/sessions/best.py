"""Drawing those that gained most, when all are done: nothing is searched again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Run
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.crew import Crew
from ciliary.tuning.sessions.gains import by_gain
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.outcome import first_line
from ciliary.tuning.sessions.task import Task

if TYPE_CHECKING:
    from ciliary.tuning.sessions.loop import Loop


def draw_best(loop: Loop[Any, Any], n: int, crew: Crew) -> None:
    """Draw the n episodes that gained most, of those that are done, whoever did them."""
    done = loop.outcome.records
    best = [record["key"] for record in by_gain(done)[:n]]
    whole = {record["key"]: record for record in done if "history" in record}
    if not whole.keys() >= set(best):
        whole |= {record["key"]: record for record in records.stream(loop.file) if record["key"] in set(best)}
    wanted = [whole[key] for key in best if "history" in whole.get(key, {})]
    for task, result in crew.run(_drawings(loop, wanted), is_stoppable=False):
        if isinstance(result, Made):
            _drawn(loop, task, result)
        elif isinstance(result, Exception):
            loop.problem(f"{loop.called(task)}: not drawn: {first_line(result)}")


def _drawings(loop: Loop[Any, Any], wanted: Sequence[Mapping[str, Any]]) -> Iterator[Task]:
    for record in wanted:
        place = loop.places[record["key"]]
        key = EpisodeKey(**{name: record[name] for name in EpisodeKey.__dataclass_fields__})
        loop.display.episode(f"drawing {loop.title(place.item, key)}")
        try:
            shown, _ = loop.job.load(place.item)
        except (ValueError, OSError) as error:
            loop.problem(f"{place.item.label}: not drawn: {error}")
            continue
        yield Task(place.item.label, shown, key, place.stem, known=record, is_played=False)


def _drawn(loop: Loop[Any, Any], task: Task, made: Made) -> None:
    called, key = loop.called(task), str(task.key)
    for problem in made.problems:
        loop.problem(f"{called}: {problem}")
    record = next(r for r in loop.outcome.records if r["key"] == key)
    record["files"] = made.record["files"]
    run_id = loop.outcome.run_ids.get(key)
    try:
        if run_id is not None:
            with loop.outage.watched():
                tracking.track_figures(Run.of(loop.session.store, run_id), made)
    except Exception as error:  # noqa: BLE001 -- of a store that is gone; the figures are there
        loop.problem(f"{called}: figures not tracked: {first_line(error)}")
