"""Shared views of runs: which columns MLflow shows first, kept as a tag of the experiment, opened by an address.

MLflow's own button "Share" keeps the same tag. The browser remembers the columns of an experiment by itself, and shows
none of metrics at first; a view is how a store can say which matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ciliary.tuning.runs.links import shared_link
from ciliary.tuning.runs.store import Store

#: Before the key of a view, in a tag of its experiment.
TAG = "mlflow.sharedViewState."


def share(
    store: Store, key: str, condition: str, *, metrics: Sequence[str], params: Sequence[str] = (), sorted_by: str = ""
) -> str:
    """Keep a view of some runs, and return its address (:mod:`ciliary.tuning.runs.links`).

    Args:
        store: tracking store.
        key: of the view; one of this key is replaced. Letters, digits, ``. _ -``.
        condition: the runs, in MLflow's language.
        metrics: columns, in this order.
        params: columns before them.
        sorted_by: a metric, largest first; the newest run first when empty.
    """
    named = [*(f"params.`{name}`" for name in params), *(f"metrics.`{name}`" for name in metrics)]
    state = {
        "searchFilter": condition,
        "orderByKey": f"metrics.`{sorted_by}`" if sorted_by else "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": named,
        "columnOrder": named,
    }
    store.client.set_experiment_tag(store.experiment_id, f"{TAG}{key}", json.dumps(state))
    return shared_link(store.experiment_id, key)
