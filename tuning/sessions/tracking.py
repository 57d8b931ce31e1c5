"""What MLflow is told of a session and of its episodes.

A number of the trials is added in :func:`trial_metrics`, one of the whole episode in :func:`episode_metrics`; a figure
in :mod:`ciliary.tuning.sessions.episode`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.run import Metric, Run, at
from ciliary.tuning.sessions.gains import JUDGED, Summary, gains_of, moved_parameters, ranked
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.notes import describe_episode
from ciliary.tuning.sessions.settings import SessionSettings

Theta = Mapping[str, np.ndarray]
"""Physical values of the trials by parameter name, each (T,)."""


def trial_metrics(record: Mapping[str, Any], theta: Theta) -> Iterator[Metric]:
    """Per trial: ``loss/<term>``, ``best/total``, ``theta/<name>``; of gaze, per fixation: ``gaze/<name>``.

    ``loss`` and ``theta`` of an episode that was ended have one step more, which is what the browser shows as their
    value: the result, where the last trial may be anything.
    """
    history = record["history"]
    series = {f"loss/{name}": values for name, values in history.items() if name not in ("u", "best_so_far")}
    series["best/total"] = history["best_so_far"]
    series |= {f"theta/{name}": values.tolist() for name, values in theta.items()}
    series |= {f"gaze/{name}": values for name, values in record.get("gaze", {}).items()}
    for key, values in series.items():
        result = _result(record, key, values)
        whole = [*values, *([] if result is None else [result])]
        yield from ((key, float(value), step) for step, value in enumerate(whole) if value is not None)


def _result(record: Mapping[str, Any], key: str, values: Sequence[float | None]) -> float | None:
    """What a series comes to: a term as it was measured after, or that of the trial that was applied."""
    kind, _, name = key.partition("/")
    if kind not in ("loss", "theta") or record.get("status") == "KILLED":
        return None
    term: float | None = record["after"].get(name) if kind == "loss" else None
    return values[record["i_chosen"]] if term is None and record["i_chosen"] < len(values) else term


def episode_metrics(record: Mapping[str, Any]) -> Iterator[Metric]:
    """What is measured once in an episode, first what matters, since some pages show metrics as they came.

    ``gain/<term>`` (above 0 it got better), ``after/<term>``, ``before/<term>``, ``final/<name>`` of the parameters
    that moved, ``fluency/<name>`` and ``fluency_before/<name>``, ``seconds``, ``n_evaluations``, ``n_nonfinite``.
    """
    once = {f"gain/{name}": value for name, value in gains_of(record).items()}
    for side in ("after", "before"):
        terms = dict(sorted(record[side].items(), key=lambda item: item[0] not in JUDGED))
        once |= {f"{side}/{name}": value for name, value in terms.items()}
    told = record.get("fluency", {})
    once |= {f"fluency/{name}": value for name, value in told.get("after", {}).items()}
    once |= {f"fluency_before/{name}": value for name, value in told.get("before", {}).items()}
    once |= {f"final/{name}": value for name, value in moved_parameters(record).items()}
    once |= {name: record[name] for name in ("seconds", "n_evaluations")}
    once["n_nonfinite"] = sum(value is None for value in record["history"]["total"])
    return at({name: value for name, value in once.items() if value is not None})


def episode_params(settings: SessionSettings, key: EpisodeKey) -> dict[str, str]:
    """What shaped the numbers of an episode: its own image and disturbance, and the settings that are no places."""
    own = {"image": key.image, "disturbance": key.disturbance, "controller": key.controller, "seed": str(key.seed)}
    return own | {"answer": settings.answer} | settings.numbers()


def run_name(key: EpisodeKey) -> str:
    """What the browser calls an episode: image, disturbance if there is one, controller."""
    return " ".join([key.image, *([] if key.disturbance == "none" else [key.disturbance]), key.controller])


def history_csv(record: Mapping[str, Any], theta: Theta) -> str:
    """The history as a table: trial, terms, best so far, physical parameters; empty cells are not finite."""
    columns = {name: values for name, values in record["history"].items() if name != "u"}
    columns |= {name: values.tolist() for name, values in theta.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *columns])
    writer.writerows([i, *row] for i, row in enumerate(zip(*columns.values(), strict=True)))
    return text.getvalue()


def track_episode(run: Run, made: Made, *, command: str = "") -> None:
    """Write a whole episode to its run and end it.

    Args:
        run: of the episode.
        made: what it left.
        command: does it again.
    """
    record = made.record
    run.write([*episode_metrics(record), *trial_metrics(record, made.theta)])
    run.uses(record["image"], digest=record["fingerprint"], source=record["path"] or record["image"])
    run.keep_text(history_csv(record, made.theta), "history.csv")
    run.keep_text(json.dumps(record, indent=1, ensure_ascii=False), "episode.json")
    names = [name for name in record["after"] if name in record["before"]]
    rows = [[name, record["before"][name], record["after"][name]] for name in names]
    run.keep_table(["term", "before", "after"], rows, "terms.json")
    track_figures(run, made)
    run.describe(describe_episode(record, command))
    run.finish()


def track_figures(run: Run, made: Made) -> None:
    """Keep what was drawn of an episode."""
    for role, path in made.figures.items():  # by their roles: the stem is the user's text
        run.keep(path, "figures", name=f"{role}{path.suffix}", is_linked=True)
    for step, picture in made.pictures.items():
        run.show(picture, "regions", step)


def track_stopped(run: Run, record: Mapping[str, Any], theta: Theta) -> None:
    """Write the trials made so far and end the run KILLED; nothing was applied, so nothing is final."""
    run.write(trial_metrics(record, theta))
    run.kill()


def session_metrics(records: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> dict[str, float]:
    """The summary of a session, under the names of its episodes' metrics: means over them.

    ``gain/<term>`` with ``gain/<term>_low`` and ``_high`` (:class:`~ciliary.tuning.sessions.gains.Summary`),
    ``after/<term>``, ``before/<term>``, ``n_better``, ``n_worse``, ``n_episodes``, ``n_problems``.
    """
    summary = Summary(records)
    means: dict[str, float] = {}
    for name, gain in summary.gain.items():
        means |= {f"gain/{name}": gain.mean, f"gain/{name}_low": gain.low, f"gain/{name}_high": gain.high}
    means |= {f"after/{name}": value for name, value in summary.after.items()}
    means |= {f"before/{name}": value for name, value in summary.before.items()}
    counts = {"n_better": summary.n_better, "n_worse": summary.n_worse}
    return means | counts | {"n_episodes": summary.n, "n_problems": len(problems)}


COLUMNS = ("image", "disturbance", "controller", "before", "after", "gain", "trials", "seconds", "run")
_MOST_ROWS = 1000


def session_rows(records: Sequence[Mapping[str, Any]], run_ids: Mapping[str, str]) -> list[list[Any]]:
    """The table of a session's episodes, :data:`COLUMNS`, from the largest gain of the total to the smallest."""
    rows = []
    for record in (records[i] for i in ranked(records)[:_MOST_ROWS]):
        words = [record["image"], record["disturbance"], record["controller"]]
        numbers = [record["before"]["total"], record["after"]["total"], gains_of(record)["total"]]
        ends = [record["n_trials"], round(record["seconds"], 2), run_ids.get(record["key"], "")]
        rows.append([*words, *(round(number, 5) for number in numbers), *ends])
    return rows
