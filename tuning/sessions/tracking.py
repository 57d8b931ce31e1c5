"""What MLflow is told of a session and of its episodes.

A number of the trials is added in :func:`trial_metrics`, one of the whole episode in :func:`episode_metrics`; a figure
in :mod:`ciliary.tuning.sessions.episode`.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ciliary.tuning.runs.record import EpisodeKey, printable
from ciliary.tuning.runs.run import Metric, Run, at
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.settings import SessionSettings

Theta = Mapping[str, np.ndarray]
"""Physical values of the trials by parameter name, each (T,)."""


def trial_metrics(record: Mapping[str, Any], theta: Theta) -> Iterator[Metric]:
    """Per trial: ``loss/<term>``, ``best/total``, ``theta/<name>``; of gaze, per fixation: ``gaze/<name>``."""
    history = record["history"]
    series = {f"loss/{name}": values for name, values in history.items() if name not in ("u", "best_so_far")}
    series["best/total"] = history["best_so_far"]
    series |= {f"theta/{name}": values.tolist() for name, values in theta.items()}
    series |= {f"gaze/{name}": values for name, values in record.get("gaze", {}).items()}
    for key, values in series.items():
        yield from ((key, float(value), step) for step, value in enumerate(values) if value is not None)


def episode_metrics(record: Mapping[str, Any]) -> Iterator[Metric]:
    """What is measured once in an episode.

    ``accommodated/total`` and ``accommodated/gain`` (before minus after; both first in the alphabet, so that they stand
    on top), ``after/<term>``, ``before/<term>``, ``final/<name>``, ``fluency/<name>`` and
    ``fluency_before/<name>``, ``seconds``, ``n_evaluations``, ``n_nonfinite``.
    """
    frozen = record.get("frozen", ())
    once = {f"final/{name}": value for name, value in record["parameters"].items() if name not in frozen}
    once |= {f"{side}/{name}": value for side in ("before", "after") for name, value in record[side].items()}
    told = record.get("fluency", {})
    once |= {f"fluency/{name}": value for name, value in told.get("after", {}).items()}
    once |= {f"fluency_before/{name}": value for name, value in told.get("before", {}).items()}
    before, after = _totals(record)
    if after is not None:
        once["accommodated/total"] = after
    if before is not None and after is not None:
        once["accommodated/gain"] = before - after
    once |= {name: record[name] for name in ("seconds", "n_evaluations")}
    once["n_nonfinite"] = sum(value is None for value in record["history"]["total"])
    return at({name: value for name, value in once.items() if value is not None})


def episode_params(settings: SessionSettings, key: EpisodeKey) -> dict[str, str]:
    """What shaped the numbers of an episode: its own image and disturbance, and the settings that are no places."""
    own = {"image": key.image, "disturbance": key.disturbance, "controller": key.controller, "seed": str(key.seed)}
    return own | settings.numbers()


def history_csv(record: Mapping[str, Any], theta: Theta) -> str:
    """The history as a table: trial, terms, best so far, physical parameters; empty cells are not finite."""
    columns = {name: values for name, values in record["history"].items() if name != "u"}
    columns |= {name: values.tolist() for name, values in theta.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *columns])
    writer.writerows([i, *row] for i, row in enumerate(zip(*columns.values(), strict=True)))
    return text.getvalue()


def track_episode(run: Run, made: Made) -> None:
    """Write a whole episode to its run and end it."""
    record = made.record
    run.write([*trial_metrics(record, made.theta), *episode_metrics(record)])
    run.uses(record["image"], digest=record["fingerprint"], source=record["path"] or record["image"])
    run.keep_text(history_csv(record, made.theta), "history.csv")
    run.keep_text(json.dumps(record, indent=1, ensure_ascii=False), "episode.json")
    track_figures(run, made)
    run.describe(describe_episode(record))
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


def describe_episode(record: Mapping[str, Any]) -> str:
    """The description of an episode's run, in Markdown: what came of it, and what moved."""
    words = [f"**{_plain(record['image'])}**, {record['disturbance'].replace('none', 'undisturbed')}"]
    words += [f"{record['controller']}, {record['n_trials']} trials: {_change(record)}."]
    guard = record.get("guard")
    words += [f"The guard: {guard['reason']}"] if guard else []
    words += ["The pages are under Artifacts, `figures/`; `regions` over steps shows the percept before and after."]
    return "\n\n".join(words)


def describe_session(
    records: Sequence[Mapping[str, Any]], run_ids: Mapping[str, str], problems: Sequence[str], experiment_id: str
) -> str:
    """The description of a session's run: its episodes from the largest gain to the smallest, each a link."""

    def link(record: Mapping[str, Any]) -> str:
        name = f"{_plain(record['image'])} · {record['disturbance']}"
        run_id = run_ids.get(record["key"])
        return name if run_id is None else f"[{name}](#/experiments/{experiment_id}/runs/{run_id})"

    ranked = _by_gain(records)
    lines = [f"{len(records)} episodes, {len(problems)} failed."]
    if len(ranked) > 1:
        lines += [f"Gained most: {link(records[ranked[0]])}; least: {link(records[ranked[-1]])}."]
    shown = (records[i] for i in ranked[:_MOST_ROWS])
    rows = [f"| {link(record)} | {_change(record)} |" for record in shown]
    lines += ["\n".join(["| episode | total |", "|---|---|", *rows])] if rows else []
    lines += [f"… and {len(ranked) - _MOST_ROWS} more."] if len(ranked) > _MOST_ROWS else []
    lines += ["\n".join(f"- {_plain(problem)}" for problem in problems[:_MOST_ROWS])] if problems else []
    return "\n\n".join(lines)


_MOST_ROWS = 50


def by_gain(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Records from the largest gain in the total to the smallest; without those that have none."""
    return [records[i] for i in _by_gain(records)]


def _by_gain(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Their places: records may lie in a file."""

    def gain(record: Mapping[str, Any]) -> float:
        before, after = _totals(record)
        return float("nan") if before is None or after is None else before - after

    gains = np.fromiter(map(gain, records), np.float64, len(records))
    order = np.argsort(-gains, kind="stable")
    return order[np.isfinite(gains[order])]


def session_metrics(records: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> dict[str, float]:
    """The summary of a session: means of the totals before and after over its episodes, and counts."""
    means: dict[str, float] = {"n_episodes": len(records), "n_problems": len(problems)}
    totals = {"before": array("d"), "after": array("d")}
    for record in records:
        for side, values in totals.items():
            if record[side]["total"] is not None:
                values.append(record[side]["total"])
    means |= {f"mean/{side}": float(np.mean(values)) for side, values in totals.items() if values}
    if "mean/before" in means and "mean/after" in means:
        means["accommodated/gain"] = means["mean/before"] - means["mean/after"]
    return means


def _totals(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    before, after = (record[side].get("total") for side in ("before", "after"))  # an episode cut short has no before
    return before, after


def _change(record: Mapping[str, Any]) -> str:
    before, after = _totals(record)
    if before is None or after is None:
        return "no finite total"
    is_kept = record["i_chosen"] == 0 and record.get("answer") != "integrated"
    return f"{before:.3f}, unchanged" if is_kept else f"{before:.3f} → {after:.3f}"


def _plain(text: str) -> str:
    """User's text inside Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]()#|<>!" else letter for letter in printable(text))
