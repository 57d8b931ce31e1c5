"""One run of the tracking store: opened, filled in batches, ended FINISHED, FAILED or KILLED in every case.

Sessions, episodes, evaluations, trainings and registered policies are all kept by this class::

    with Run.begin(store, name="evaluate", kind="evaluation", params=params) as run:
        run.write(at(metrics))
        run.keep(page)

No fluent API of MLflow's: it keeps a global active run, and a run left behind by an exception stays RUNNING.
"""

from __future__ import annotations

import getpass
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np

from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.runs.store import Store

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_ENTITIES = 1000  # MLflow's limit of metrics + params + tags in one request
MAX_PARAMS = 100
MAX_VALUE = 6000  # characters of a parameter's value
MAX_TAG = 4000
TAG = "ciliary."

Metric = tuple[str, float, int]
"""Name, value, step."""


class Run:
    """One run. :meth:`begin` or :meth:`go_on` make it RUNNING; the first of the endings ends it, later ones do nothing.

    As a context manager it ends FINISHED, by an interrupt KILLED, by any other exception FAILED; ended before, it stays
    as it is.

    Attributes:
        store, run_id: where it is.
        artifacts: address of its artifacts.
        is_open: whether it has not ended.
    """

    def __init__(self, store: Store, run_id: str, artifacts: str):
        self.store, self.run_id = store, run_id
        self.is_open = True
        self.artifacts = artifacts

    @classmethod
    def begin(
        cls,
        store: Store,
        *,
        name: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        parent_id: str | None = None,
    ) -> Run:
        """Create a run, with all its tags and parameters.

        Args:
            store: tracking store.
            name: what the browser shows.
            kind: ``session``, ``episode``, ``evaluation``, ``training``, ``policy``, ``look``.
            params: its parameters.
            tags: what it can be found by, without the prefix ``ciliary.``.
            parent_id: run under which it stands.
        """
        own = provenance({"kind": kind, **(tags or {})})
        theirs = _origin() | ({} if parent_id is None else {"mlflow.parentRunId": parent_id})
        made = store.client.create_run(store.experiment_id, run_name=name, tags=theirs | own)
        run = cls(store, made.info.run_id, made.info.artifact_uri)
        run.write(params=params or {})
        return run

    @classmethod
    def go_on(cls, store: Store, run_id: str) -> Run:
        """Open an earlier run again.

        Raises:
            KeyError: the store has no such run.
        """
        from mlflow.exceptions import MlflowException

        try:
            store.client.update_run(run_id, status="RUNNING")
            return cls(store, run_id, store.client.get_run(run_id).info.artifact_uri)
        except MlflowException as error:  # another store, or the run was deleted
            raise KeyError(run_id) from error

    @classmethod
    def of(cls, store: Store, run_id: str) -> Run:
        """A run as it is, open or ended: files can be kept with it still."""
        return cls(store, run_id, store.client.get_run(run_id).info.artifact_uri)

    def write(self, metrics: Iterable[Metric] = (), params: Mapping[str, Any] | None = None) -> int:
        """Send metrics and parameters in as few requests as MLflow's limits allow; returns their number.

        Values that are not finite are left out. (A batch of 1,000 metrics costs what a few single ones do.)
        """
        from mlflow.entities import Metric as Entity
        from mlflow.entities import Param

        now_ms = int(time.time() * 1000)
        left_params = [Param(k, masked(str(v))[:MAX_VALUE]) for k, v in (params or {}).items()]
        left = [Entity(_legal(k), float(v), now_ms, int(step)) for k, v, step in metrics if math.isfinite(v)]
        n_requests = 0
        while left or left_params:
            some, left_params = left_params[:MAX_PARAMS], left_params[MAX_PARAMS:]
            room = MAX_ENTITIES - len(some)
            self.store.client.log_batch(self.run_id, metrics=left[:room], params=some)
            left = left[room:]
            n_requests += 1
        return n_requests

    def tag(self, **tags: Any) -> None:
        """Set tags, without the prefix ``ciliary.``."""
        for name, text in _ours(tags).items():
            self.store.client.set_tag(self.run_id, name, text)

    def describe(self, text: str) -> None:
        """Set the description that stands above the run, in Markdown."""
        self.store.client.set_tag(self.run_id, "mlflow.note.content", masked(text))

    def uses(self, name: str, *, digest: str, source: str) -> None:
        """Say which data the run saw: a name, a digest of its content, and where it lies."""
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name[:500], digest[:36], "local", json.dumps({"uri": source}))
        context = InputTag("mlflow.data.context", "input")
        self.store.client.log_inputs(self.run_id, [DatasetInput(data, [context])])

    def keep(self, path: Path, folder: str = "", *, name: str | None = None, is_linked: bool = False) -> None:
        """Keep a file as artifact.

        Args:
            path: of the file.
            folder: among the artifacts.
            name: of the artifact; that of the file when None. User's text is no name: ``#`` and ``%`` break addresses.
            is_linked: on the same disk both are one file (a hard link), which costs no room. For files that are written
                anew, never changed in place (:func:`~ciliary.tuning.runs.files.write_atomically`).
        """
        name = name or path.name
        place = _local(self.artifacts)
        if place is not None:
            target = place / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if not (is_linked and _linked(path, target)):
                shutil.copyfile(path, target)
            return
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copyfile(path, Path(scratch) / name)
            self.store.client.log_artifact(self.run_id, str(Path(scratch) / name), folder or None)

    def keep_text(self, text: str, name: str) -> None:
        """Keep a text as artifact."""
        place = _local(self.artifacts)
        if place is None:
            self.store.client.log_text(self.run_id, text, name)
            return
        # MLflow's client would keep a pool of threads and a queue for each run that it wrote a file to.
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")

    def keep_table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> None:
        """Keep a table as artifact, as ``MlflowClient.log_table`` does: shown as one, and compared between runs.

        Not by that: it imports pandas, and adds to the table that an earlier start of a session kept.
        """
        import json

        self.keep_text(json.dumps({"columns": list(columns), "data": [*map(list, rows)]}, ensure_ascii=False), name)
        told = json.dumps([{"path": name, "type": "table"}])
        self.store.client.set_tag(self.run_id, "mlflow.loggedArtifacts", told)

    def show(self, image: np.ndarray, key: str, step: int) -> None:
        """Keep an image (H, W, 3) uint8 of a step, for the browser's charts of images."""
        self.store.client.log_image(self.run_id, image, key=key, step=step)

    def end(self, status: str) -> None:
        """End the run."""
        if self.is_open:
            self.store.client.set_terminated(self.run_id, status)
            self.is_open = False

    def finish(self) -> None:
        """End the run FINISHED. The end comes last: a FINISHED run is a complete one."""
        self.end("FINISHED")

    def fail(self, error: BaseException) -> None:
        """End the run FAILED and keep the reason."""
        self.tag(error=f"{type(error).__name__}: {error}")
        self.end("FAILED")

    def kill(self) -> None:
        """End the run KILLED: somebody stopped it."""
        self.end("KILLED")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.kill()
        else:
            self.fail(error)


def at(values: Mapping[str, Any], step: int = 0) -> Iterator[Metric]:
    """Values by name as metrics of one step; what is no number is left out."""
    for name, value in values.items():
        try:
            yield name, float(np.squeeze(value)), step
        except (TypeError, ValueError):
            continue


def provenance(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags with our prefix, and the versions of the packages."""
    return _ours({**tags, **{f"version.{package}": text for package, text in versions().items()}})


def _ours(tags: Mapping[str, Any]) -> dict[str, str]:
    return {f"{TAG}{name}": masked(str(value))[:MAX_TAG] for name, value in tags.items()}


def _origin() -> dict[str, str]:
    """What the browser shows as source, commit and creator of a run."""
    found = {"mlflow.source.type": "LOCAL", "mlflow.source.name": Path(sys.argv[0]).name or "python"}
    with suppress(OSError, KeyError, ImportError):  # a process without a name, as in some containers
        found["mlflow.user"] = getpass.getuser()
    if commit := versions().get("commit"):
        found["mlflow.source.git.commit"] = commit
    return found


def _linked(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except OSError:  # another disk, or a file system without links
        return False
    return True


def _local(address: str) -> Path | None:
    """The folder behind an address of artifacts, or None if it is no folder."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _legal(name: str) -> str:
    """A metric name of letters, digits and ``_-. /``."""
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]


def let_go(run: Run | None, error: BaseException | None = None) -> None:
    """End a run, if there is one that has not ended: FAILED by an error, else KILLED; even if its store is gone."""
    with suppress(Exception):
        if run is not None and error is not None:
            run.fail(error)
        elif run is not None:
            run.kill()
