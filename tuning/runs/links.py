"""Addresses inside MLflow's pages: a run, some runs, runs side by side. Relative to where the server is.

From version 3.9 on MLflow shows an experiment as the browser was used last, as GenAI at first, whatever the experiment
says it is: an address that says ``workflowType`` itself is shown as what it is. Earlier versions pass over it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

_AS_MODELS = "workflowType=machine_learning"


def run_link(experiment_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{_AS_MODELS}"


def runs_link(experiment_id: str, condition: str, *, sorted_by: str = "") -> str:
    """The runs that meet a condition in MLflow's language; ``sorted_by`` a metric, largest first."""
    order = f"&orderByKey={_quoted(f'metrics.`{sorted_by}`')}&orderByAsc=false" if sorted_by else ""
    return f"#/experiments/{experiment_id}/runs?{_AS_MODELS}&searchFilter={_quoted(condition)}{order}"


def shared_link(experiment_id: str, key: str) -> str:
    """The runs as a shared view shows them, see :func:`ciliary.tuning.runs.views.share`."""
    return f"#/experiments/{experiment_id}/runs?{_AS_MODELS}&viewStateShareKey={_quoted(key)}"


def compare_link(experiment_id: str, run_ids: Sequence[str]) -> str:
    """Runs side by side."""
    runs, experiments = (_quoted(json.dumps(ids, separators=(",", ":"))) for ids in ([*run_ids], [experiment_id]))
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{_AS_MODELS}"


def _quoted(text: str) -> str:
    return quote(text, safe="")
