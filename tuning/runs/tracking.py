"""What MLflow is told of an episode: one run, created, filled by one batch and ended by client calls.

No fluent API: it keeps a global active run, and a run left behind by an exception stays RUNNING. Here every run has an
explicit end, and the numbers of an episode travel together (a batch of 1,000 metrics costs what a few single ones do).
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ciliary.tuning.runs.record import physical
from ciliary.tuning.runs.store import Store

MAX_ENTITIES = 1000  # MLflow's limit of metrics + params + tags in one request
MAX_PARAMS = 100
MAX_VALUE = 6000  # characters of a parameter's value
TAG = "ciliary."


def episode_metrics(record: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """(key, value, step) of everything numerical in a record; values which are not finite are left out.

    Per trial: ``loss/<term>``, ``best/total``, ``theta/<name>``. Once: ``final/<name>``, ``before/<term>``,
    ``after/<term>``, ``gain/total`` (before minus after), ``seconds``, ``n_evaluations``, ``n_nonfinite``.
    """
    history = record["history"]
    theta = physical(history["u"])
    series = {f"loss/{name}": values for name, values in history.items() if name not in ("u", "best_so_far")}
    series["best/total"] = history["best_so_far"]
    series |= {f"theta/{name}": values.tolist() for name, values in theta.items()}
    for key, values in series.items():
        yield from ((key, float(v), step) for step, v in enumerate(values) if v is not None and math.isfinite(v))
    once = {f"final/{name}": value for name, value in record["parameters"].items()}
    once |= {f"{side}/{name}": value for side in ("before", "after") for name, value in record[side].items()}
    before, after = (record[side].get("total") for side in ("before", "after"))  # an episode cut short has no before
    if before is not None and after is not None:
        once["gain/total"] = before - after
    once |= {name: record[name] for name in ("seconds", "n_evaluations")}
    once["n_nonfinite"] = sum(v is None for v in history["total"])
    yield from ((key, float(v), 0) for key, v in once.items() if v is not None and math.isfinite(v))


def history_csv(record: Mapping[str, Any]) -> str:
    """The history as a table: trial, terms, best so far, physical parameters; empty cells are not finite."""
    history, theta = record["history"], physical(record["history"]["u"])
    columns = {name: values for name, values in history.items() if name != "u"}
    columns |= {name: values.tolist() for name, values in theta.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *columns])
    writer.writerows([i, *row] for i, row in enumerate(zip(*columns.values(), strict=True)))
    return text.getvalue()


def write_batch(store: Store, run_id: str, metrics: Iterable[tuple[str, float, int]], params: Mapping[str, Any]) -> int:
    """Send metrics and parameters in as few requests as MLflow's limits allow; returns their number."""
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    left_params = [Param(k, str(v)[:MAX_VALUE]) for k, v in params.items()]
    left = [Metric(k, v, now_ms, step) for k, v, step in metrics]
    n_requests = 0
    while left or left_params:
        some, left_params = left_params[:MAX_PARAMS], left_params[MAX_PARAMS:]
        room = MAX_ENTITIES - len(some)
        store.client.log_batch(run_id, metrics=left[:room], params=some)
        left = left[room:]
        n_requests += 1
    return n_requests


class EpisodeRun:
    """One nested run. ``open`` makes it RUNNING; exactly one of ``finish``, ``fail``, ``kill`` ends it."""

    def __init__(self, store: Store, run_id: str):
        self.store, self.run_id = store, run_id
        self.is_open = True

    @classmethod
    def open(cls, store: Store, parent_id: str, *, name: str, tags: Mapping[str, Any]) -> EpisodeRun:
        """Create the run under its session's run, with all its tags at once."""
        tags = {"mlflow.parentRunId": parent_id, **{f"{TAG}{k}": str(v) for k, v in tags.items()}}
        run = store.client.create_run(store.experiment_id, run_name=name, tags=tags)
        return cls(store, run.info.run_id)

    def finish(self, record: Mapping[str, Any], figures: Mapping[str, Path], params: Mapping[str, Any]) -> None:
        """Write the whole episode and end the run FINISHED. The end comes last: a FINISHED run is a complete one."""
        client = self.store.client
        final = {f"final/{name}": f"{value:.6g}" for name, value in record["parameters"].items()}
        write_batch(self.store, self.run_id, episode_metrics(record), {**params, **final})
        client.log_text(self.run_id, history_csv(record), "history.csv")
        client.log_text(self.run_id, json.dumps(record, indent=1, ensure_ascii=False), "episode.json")
        for path in figures.values():
            client.log_artifact(self.run_id, str(path), "figures")
        self._end("FINISHED")

    def fail(self, error: BaseException) -> None:
        """End the run FAILED and keep the reason."""
        self.store.client.set_tag(self.run_id, f"{TAG}error", f"{type(error).__name__}: {error}"[:4000])
        self._end("FAILED")

    def kill(self, record: Mapping[str, Any] | None = None) -> None:
        """End the run KILLED, with the trials made so far if any; nothing was applied, so nothing is final."""
        if record is not None:
            series = (m for m in episode_metrics(record) if m[0].split("/")[0] in ("loss", "best", "theta"))
            write_batch(self.store, self.run_id, series, {})
        self._end("KILLED")

    def _end(self, status: str) -> None:
        if self.is_open:
            self.store.client.set_terminated(self.run_id, status)
            self.is_open = False
