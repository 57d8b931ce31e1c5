"""What there is to look at in a store: a session, its episodes, two controllers on one image. As addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ciliary.tuning.runs.links import compare_link, run_link, runs_link, shared_link
from ciliary.tuning.runs.run import TAG
from ciliary.tuning.runs.store import FOCUSING, GAZING, SESSIONS
from ciliary.tuning.runs.views import TAG as VIEW
from ciliary.tuning.sessions.summary import episodes_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MOST_LOOKED_AT = 1000  # newest episodes among which two of one image are sought
_NEWEST = ["attributes.start_time DESC"]
_SAME = ("image", "fingerprint", "disturbance", "seed")


def links_of(client: MlflowClient, session: str | None = None) -> dict[str, str]:
    """Title -> address of what a session has to show, relative to the server.

    Raises:
        LookupError: the store has no session, or none of this name.
    """
    run = _session(client, session)
    experiment, name = run.info.experiment_id, run.data.tags[f"{TAG}session"]
    condition = episodes_of(name)
    has_view = f"{VIEW}{name}" in client.get_experiment(experiment).tags
    every = shared_link(experiment, name) if has_view else runs_link(experiment, condition)
    links = {f"all episodes of {name}": every, "the session": run_link(experiment, run.info.run_id)}
    pair = pair_of(_episodes(client, experiment, condition)) or pair_of(_episodes(client, experiment))
    if pair is not None:
        title = f"{' and '.join(pair)} on {next(iter(pair.values())).data.tags[f'{TAG}image']}"
        links[title] = compare_link(experiment, [one.info.run_id for one in pair.values()])
    return links


def print_links(links: Mapping[str, str], base: str) -> None:
    """Titles and addresses on stdout; ``base`` is the server's."""
    console = Console(highlight=False, soft_wrap=True)
    for title, link in links.items():
        console.print(f"{title}:\n  {base.rstrip('/')}/{link}", markup=False)


def pair_of(episodes: Iterable[Run]) -> dict[str, Run] | None:
    """The newest two episodes of two controllers on one image under one disturbance, by controller; newest first."""
    seen: dict[tuple[Any, ...], dict[str, Run]] = {}
    for run in episodes:
        tags = run.data.tags
        key = tuple(tags.get(f"{TAG}{name}") for name in _SAME)
        found = seen.setdefault(key, {})
        found.setdefault(tags.get(f"{TAG}controller", ""), run)
        if len(found) == 2:
            return found
    return None


def _session(client: MlflowClient, name: str | None) -> Run:
    known = [client.get_experiment_by_name(experiment) for experiment in (SESSIONS, FOCUSING, GAZING)]
    ids = [one.experiment_id for one in known if one is not None and one.lifecycle_stage == "active"]
    condition = f"tags.`{TAG}kind` = 'session'"
    if name is not None:
        condition += f" and tags.`{TAG}session` = '{name}'"
    runs = client.search_runs(ids, condition, order_by=_NEWEST, max_results=1) if ids else []
    if not runs:
        what = "no session" if name is None else f"no session {name!r}"
        raise LookupError(f"{what} in this store; make one with: ciliary accommodate photo.jpg")
    found: Run = runs[0]
    return found


def _episodes(client: MlflowClient, experiment: str, condition: str = f"tags.`{TAG}kind` = 'episode'") -> list[Run]:
    condition += " and attributes.status = 'FINISHED'"
    return list(client.search_runs([experiment], condition, order_by=_NEWEST, max_results=_MOST_LOOKED_AT))
