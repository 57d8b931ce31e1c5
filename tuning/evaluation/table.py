"""The response table: every setting on every case, with every label-free term and every score, measured once.

Selectors, weights and objectives are then compared offline, in seconds. In the manner of algorithm selection's
performance matrices (Rice 1976; ASlib, Bischl et al. 2016), with cases for instances and settings for algorithms.
"""

from __future__ import annotations

import datetime
import io
import json
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ciliary.cortex.parameters import COLUMNS_V0, ParameterTable
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.case_cache import Case as Case
from ciliary.tuning.evaluation.case_cache import Measure as Measure
from ciliary.tuning.evaluation.case_cache import Shard, case_mark, fingerprint, measure_cases, read_shard
from ciliary.tuning.runs.files import write_atomically


@dataclass(frozen=True, eq=False)
class ResponseTable:
    """What S settings give on C cases.

    Attributes:
        u: (S, P) float32 settings in [-1, 1]; row 0 is the default.
        cases: C cases.
        columns: name -> (C, S) float32. ``term.*`` are losses, ``feature.*`` label-free features, ``score.*`` scores
            against people, where higher is better.
        meta: how it was measured; JSON types only.
        parameters: names of the P columns of ``u``, where they are known.
    """

    u: np.ndarray
    cases: tuple[Case, ...]
    columns: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.cases), len(self.u))
        wrong = {name: values.shape for name, values in self.columns.items() if values.shape != shape}
        if wrong or self.u.ndim != 2:
            raise ValueError(f"expected u (S, P) and columns (cases, settings) = {shape}; got {self.u.shape}, {wrong}")
        if self.parameters and len(self.parameters) != self.u.shape[1]:
            raise ValueError(f"expected {self.u.shape[1]} names of parameters, got {len(self.parameters)}")

    @property
    def n_settings(self) -> int:
        """S."""
        return len(self.u)

    @property
    def images(self) -> tuple[str, ...]:
        """Image of each case (C)."""
        return tuple(case.image for case in self.cases)

    @property
    def disturbances(self) -> tuple[str, ...]:
        """Disturbance of each case (C)."""
        return tuple(case.disturbance for case in self.cases)

    def names(self, prefix: str = "") -> list[str]:
        """Columns whose name starts with ``prefix``, sorted."""
        return sorted(name for name in self.columns if name.startswith(prefix))

    def column(self, name: str) -> np.ndarray:
        """A column (C, S).

        Raises:
            KeyError: no such column; the message lists the ones there are.
        """
        if name not in self.columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.names()) or 'none'}")
        return self.columns[name]

    def with_columns(self, columns: Mapping[str, np.ndarray]) -> ResponseTable:
        """The same table with more (or other) columns, such as a predicted loss (C, S)."""
        return replace(self, columns={**self.columns, **columns})

    def settings_for(self, table: ParameterTable) -> np.ndarray:
        """The settings (S, P) with the columns of a perceiver's table; what was not stored has its default there."""
        return table.align(self.parameters, self.u)[0] if self.parameters else self.u

    def rows(self, *, disturbance: str | Iterable[str] = "*", images: Iterable[str] | None = None) -> np.ndarray:
        """Indices of the cases of these disturbances and images, in order; possibly none.

        Args:
            disturbance: one or more patterns: "none", "fog:3", "fog:*" (any severity), "*:3" (any kind at severity 3),
                "*:*" (whatever is disturbed).
            images: names; all when None.
        """
        patterns = [disturbance] if isinstance(disturbance, str) else list(disturbance)
        wanted = None if images is None else set(images)
        found = [
            i
            for i, case in enumerate(self.cases)
            if any(fnmatchcase(case.disturbance, pattern) for pattern in patterns)
            and (wanted is None or case.image in wanted)
        ]
        return np.array(found, dtype=int)

    def where(self, *, disturbance: str | Iterable[str] = "*", images: Iterable[str] | None = None) -> ResponseTable:
        """The table of the cases that :meth:`rows` finds.

        Raises:
            ValueError: no case is left.
        """
        images = None if images is None else tuple(images)
        rows = self.rows(disturbance=disturbance, images=images)
        if not len(rows):
            asked = f"disturbance {disturbance!r}" + ("" if images is None else f" and {len(images)} images")
            raise ValueError(f"no case with {asked}; there are disturbances {sorted(set(self.disturbances))}")
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, cases=tuple(self.cases[i] for i in rows), columns=columns)

    def save(self, path: Path, *, is_compressed: bool = False) -> Path:
        """Write the table as one .npz, whole or not at all."""
        buffer = io.BytesIO()
        about = {"cases": [list(asdict(c).values()) for c in self.cases], "names": self.names(), "meta": self.meta}
        about["parameters"] = list(self.parameters)
        columns = {f"column_{i}": self.columns[name] for i, name in enumerate(self.names())}
        arrays: dict[str, Any] = {"about": np.array(json.dumps(about)), "u": self.u, **columns}
        (np.savez_compressed if is_compressed else np.savez)(buffer, **arrays)
        return write_atomically(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> ResponseTable:
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a response table.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                columns = {name: file[f"column_{i}"] for i, name in enumerate(about["names"])}
                cases, u = tuple(Case(*case) for case in about["cases"]), file["u"]
                old = COLUMNS_V0 if u.shape[1] == len(COLUMNS_V0) else ()  # they had no names
                return cls(u, cases, columns, about["meta"], tuple(about.get("parameters") or old))
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a response table; compute it again") from error


def compute_table(
    folder: Path,
    data: Sequence[Any],
    cases: Iterable[Case],
    u: np.ndarray,
    measure: Measure,
    *,
    n_workers: int = 1,
    progress: bool = True,
    meta: Mapping[str, Any] | None = None,
    digests: Mapping[str, str] | None = None,
    parameters: Sequence[str] | None = None,
) -> ResponseTable:
    """Measure every case, keep each in ``folder/shards/``, and join them. Started again, it goes on where it stood.

    A case that raises is skipped, named on stderr, and listed in ``meta["failed"]``; the same call tries it again.

    Args:
        folder: of this table alone; ``table.json`` in it holds the fingerprint of ``u`` and ``meta``.
        data: labelled images, each with a ``name``; picklable when ``n_workers`` > 1.
        cases: what to measure, in the order of the table.
        u: (S, P) settings, row 0 the default.
        measure: (labelled image, case, u) -> column name -> (S,); a module-level callable when ``n_workers`` > 1, and
            the calling program then needs its ``if __name__ == "__main__"``.
        n_workers: processes. One measures in this process, whose threads and denormals are its program's affair.
        progress: show a bar on stderr when it is a terminal.
        meta: whatever else the numbers depend on (options, sizes, views, code); JSON types. A folder measured with
            another ``meta`` or ``u`` is refused.
        digests: image -> what is in its files: an image that changed is measured anew.
        parameters: names of the columns of ``u``; see :class:`ResponseTable`.

    Raises:
        ValueError: the folder belongs to another table; unknown images; a case twice; shards of different columns.
        RuntimeError: no case could be measured; a worker died; another process measures into the folder.
    """
    cases = tuple(cases)
    u = np.array(u, dtype=np.float32, ndmin=2)
    meta = json.loads(json.dumps(dict(meta or {})))  # as it will be read again
    names = getattr(data, "names", None)
    index = {name: i for i, name in enumerate(names if names is not None else [item.name for item in data])}
    unknown = sorted({case.image for case in cases} - set(index))
    if unknown or not cases or len(set(cases)) < len(cases):
        raise ValueError(f"expected different cases of images in the data; got {len(cases)} cases, unknown {unknown}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RuntimeError(f"another process measures into {folder}; wait for it, or name another folder") from None
    try:
        mark = _claim(folder, u, meta)
        shards = folder / "shards"
        marks = {case.image: case_mark(mark, (digests or {}).get(case.image)) for case in cases}
        left = [case for case in cases if read_shard(shards, case, mark=marks[case.image]) is None]
        failed: dict[Case, str] = {}
        with Bar(len(cases), title="measuring", n_done=len(cases) - len(left), is_quiet=not progress) as bar:
            work = [(index[case.image], case) for case in left]
            with closing(
                measure_cases(data, work, u, measure, folder=shards, marks=marks, n_workers=n_workers)
            ) as results:
                for case, error in results:
                    if error:
                        failed[case] = error
                        bar.console.print(f"skipped {case}: {error}", markup=False)
                    bar.move(title=str(case))
                    bar.advance()
        found = [read_shard(shards, case, mark=marks[case.image]) for case in cases if case not in failed]
    finally:
        lock.release()
    if failed:
        text = "; ".join(f"{case}: {message}" for case, message in list(failed.items())[:5])
        summary = f"{len(failed)} of {len(cases)} cases could not be measured: {text}"
        if len(failed) == len(cases):
            raise RuntimeError(summary)
        warnings.warn(f"{summary}. Run the same again to try them again", RuntimeWarning, stacklevel=2)
    table = _join(u, [shard for shard in found if shard is not None])
    about = {
        "fingerprint": mark,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": sum(shard.seconds for shard in found if shard is not None),
        "failed": [f"{case}: {message}" for case, message in failed.items()],
    }
    return replace(table, meta={**meta, **about}, parameters=tuple(parameters or ()))


def _claim(folder: Path, u: np.ndarray, meta: Mapping[str, Any]) -> str:
    """Fingerprint of the table, once the folder is known to be its own."""
    mark, path = fingerprint(u, meta), folder / "table.json"
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        if there["fingerprint"] != mark:
            keys = sorted(k for k in {*meta, *there["meta"]} if meta.get(k) != there["meta"].get(k)) or ["u"]
            raise ValueError(
                f"{folder} holds a table with another {', '.join(keys)} (fingerprint {there['fingerprint']}, asked for "
                f"{mark}): name another folder, or remove this one"
            )
    else:
        text = json.dumps({"fingerprint": mark, "shape": list(u.shape), "meta": meta}, indent=1)
        write_atomically(path, text.encode())
    return mark


def _join(u: np.ndarray, shards: Sequence[Shard]) -> ResponseTable:
    names = set(shards[0].columns)
    for shard in shards:
        if set(shard.columns) != names:
            differ = sorted(names ^ set(shard.columns))
            raise ValueError(f"{shard.case} and {shards[0].case} differ in columns {differ}: measure into a new folder")
    columns = {name: np.stack([shard.columns[name] for shard in shards]) for name in sorted(names)}
    return ResponseTable(u, tuple(shard.case for shard in shards), columns)
