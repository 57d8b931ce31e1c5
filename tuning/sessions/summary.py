"""What the run of a session says of its episodes: means and intervals, a table, a view, a sheet of worst and best."""

from __future__ import annotations

from ciliary.tuning.runs.links import shared_link
from ciliary.tuning.runs.views import share
from ciliary.tuning.sessions import tracking
from ciliary.tuning.sessions.contact import draw_contacts
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.gains import gains_of, ranked
from ciliary.tuning.sessions.notes import describe_session
from ciliary.tuning.sessions.outcome import CONTACTS, Told, first_line
from ciliary.tuning.sessions.resume import Session

_MOST_SHOWN = 6  # of the best, and of the worst


def note_of(session: Session, outcome: Told, command: str = "") -> str:
    """The note above the session's run; ``command`` does it again."""
    known = session.store.experiment_id
    links = {"all its episodes side by side": shared_link(known, session.name)} if outcome.records else {}
    return describe_session(outcome.records, outcome.run_ids, outcome.problems, known, command=command, links=links)


def keep_summary(session: Session, outcome: Told) -> None:
    """Keep with the session's run what compares its episodes: a table, a view, best and worst, a contact sheet."""
    store, run = session.store, session.run
    order = ranked(outcome.records)  # places: records may lie in a file
    if not len(order):
        return
    names = list(gains_of(outcome.records[order[0]]))
    metrics = [f"{what}/{name}" for what in ("gain", "after") for name in names]
    condition = episodes_of(session.name)
    share(store, session.name, condition, metrics=metrics, params=("image", "disturbance"), sorted_by="gain/total")
    run.keep_table(tracking.COLUMNS, tracking.session_rows(outcome.records, outcome.run_ids), "episodes.json")
    if len(order) < 2:
        return
    places = order if len(order) <= 2 * _MOST_SHOWN else [*order[:_MOST_SHOWN], *order[-_MOST_SHOWN:]]
    ends = [outcome.records[i] for i in places]
    ids = [outcome.run_ids.get(record["key"], "") for record in (ends[0], ends[-1])]
    run.tag(best_episode=ids[0], worst_episode=ids[1])
    try:
        figure = draw_contacts(store, [(record, outcome.run_ids.get(record["key"])) for record in ends])
        if figure is not None:
            run.keep(write_figure(figure, session.folder / CONTACTS), "figures", name=CONTACTS)
    except (OSError, ValueError) as error:  # a picture beside results
        outcome.problems.append(f"no contact sheet: {first_line(error)}")


def episodes_of(session: str) -> str:
    """The condition, in MLflow's language, that the episodes of a session meet."""
    return f"tags.`ciliary.session` = '{session}' and tags.`ciliary.kind` = 'episode'"
