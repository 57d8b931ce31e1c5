"""An evaluation as one run of the tracking store, ended in any case."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.runs.tracking import TAG, write_batch

EXPERIMENT = "ciliary-evaluate"

#: Takes metrics by name and the files to keep.
Record = Callable[[Mapping[str, float], Sequence[Path]], None]


@contextmanager
def tracked_run(out: Path, params: Mapping[str, str]) -> Iterator[Record]:
    """Open a run; FINISHED at the end of the block, KILLED by an interrupt, FAILED by anything else.

    Args:
        out: folder of the store.
        params: of the run.

    Raises:
        StoreError: the store cannot be opened.
    """
    store = open_store(out, experiment=EXPERIMENT)
    tags = {f"{TAG}kind": "evaluation", **{f"{TAG}version.{name}": text for name, text in versions().items()}}
    run_id = store.client.create_run(store.experiment_id, run_name="evaluate", tags=tags).info.run_id
    write_batch(store, run_id, [], params)

    def record(metrics: Mapping[str, float], files: Sequence[Path]) -> None:
        write_batch(store, run_id, ((_legal(k), float(v), 0) for k, v in metrics.items() if math.isfinite(v)), {})
        for path in files:
            store.client.log_artifact(run_id, str(path), "figures" if path.suffix == ".png" else None)

    status = "FAILED"  # until it is known better
    try:
        yield record
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        store.client.set_terminated(run_id, status)


def _legal(name: str) -> str:
    """A metric name of letters, digits and ``_-. /``."""
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]
