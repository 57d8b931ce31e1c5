"""Contests: several methods accommodate to the same cases, and people judge what each of them came to see.

A contest is a response table whose settings axis is the methods, so that it is parallel, resumable and joined as any.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.guard import Guard
from ciliary.cortex import Cortex, default_unit
from ciliary.cortex.parameters import NAMES
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.data.reading import Photograph
from ciliary.envs.metrics.regions import People, region_scores
from ciliary.envs.objective.terms import Objective
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.evaluation.case_cache import fingerprint, read_shard
from ciliary.tuning.evaluation.measure import MeasureSettings, score_columns, see
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.table import Case, ResponseTable, compute_table
from ciliary.tuning.sessions.playing import Played, play


class PlayMeasure:
    """Callable (labelled image, case, u) -> columns, one row a method; picklable.

    Columns: ``score.covering``, ``score.pri``, ``score.voi`` (higher is better: VoI is negated), ``term.total``
    (after), ``seconds``, ``n_evaluations``, ``is_changed`` (whether the defaults were left), ``n_segments``, and
    ``u.<parameter>`` of the setting chosen. ``settings.n_views`` and ``n_panel`` are the objective's affair here.
    """

    def __init__(self, settings: MeasureSettings, methods: Sequence[Method]):
        self.settings, self.methods = settings, tuple(methods)
        self._envs: dict[str, AccommodationEnv] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "methods": self.methods, "_envs": {}}

    @cached_property
    def cortex(self) -> Cortex:
        """Built on first use, once a process, for all objectives that ask for no recognition."""
        return Cortex(**self.settings.cortex).eval().requires_grad_(False)

    def env(self, objective: str) -> AccommodationEnv:
        """The environment of an objective, made once a process."""
        if objective not in self._envs:
            self._envs[objective] = AccommodationEnv(
                cortex=self.settings.cortex if objective == "recognition" else self.cortex,
                objective=self.objective(objective),
                size_px=self.settings.size_px,
                action_mode="absolute",
            )
        return self._envs[objective]

    def objective(self, name: str) -> Objective | str:
        """What the environment of an objective is told to minimise."""
        return name

    def __call__(self, item: LabelledImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns, each (S,) for S methods; ``u`` (S, P) only says how many rows are expected."""
        if len(u) != len(self.methods):
            raise ValueError(f"expected u with a row for each of {len(self.methods)} methods, got {len(u)}")
        people = People.of(item.segmentations, stride=self.settings.score_stride)
        rows = [self.row(self.play(item, case, method), item, people) for method in self.methods]
        return {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}

    def play(
        self,
        item: LabelledImage,
        case: Case,
        method: Method,
        *,
        seed: int | None = None,
    ) -> Played:
        """One episode: the image of the case is what the environment calls undisturbed.

        Args:
            item: the image with its labels.
            case: says how it is disturbed, with which noise.
            method: who plays.
            seed: of views and controller; that of the case when None.
        """
        start = time.perf_counter()
        image = see(item, case, size_px=self.settings.size_px)[0]
        env = self.env(method.objective)
        played = play(
            env,
            method.build(),
            Photograph(item.name, image, item.size),
            seed=case.seed if seed is None else seed,
            n_trials=method.n_trials,
            guard=Guard() if method.use_guard else None,
            default_u=method.default_u(case.disturbance),
            with_before=False,
        )
        return replace(played, seconds=time.perf_counter() - start)

    def row(self, played: Played, item: LabelledImage, people: People) -> dict[str, float]:
        """What is kept of an episode, by name of column."""
        labels = played.after.labels(item.size)[0].numpy()
        row = score_columns(region_scores(labels, people))
        row["term.total"] = played.trace.after["total"]
        row |= {"seconds": played.seconds, "n_evaluations": played.trace.n_evaluations}
        row |= {"is_changed": float(played.is_changed), "n_segments": int(labels.max()) + 1}
        return row | {f"u.{k}": float(v) for k, v in zip(NAMES, played.trace.u_chosen, strict=True)}


def run_contest(
    folder: Path,
    data: Sequence[LabelledImage],
    cases: Sequence[Case],
    settings: MeasureSettings,
    methods: Sequence[Method],
    *,
    n_workers: int = 1,
    progress: bool = True,
    meta: Mapping[str, Any] | None = None,
) -> ResponseTable:
    """Let every method play every case, and join them: a response table whose settings are the methods.

    Each method is measured into a folder of its own, named after all that its numbers depend on: what was measured
    before is not measured again when a method is added, and nothing old is mistaken for new.

    Args:
        folder: of all methods of all contests.
        data, cases, n_workers, progress: as :func:`compute_table`.
        settings: cortex, size and stride of the scores.
        methods: with different labels.
        meta: whatever else the numbers depend on, such as a mark of the code.

    Returns:
        the cases that all methods could play; ``meta["methods"]`` has the labels in order.

    Raises:
        ValueError: two methods of one label.
        RuntimeError: as :func:`compute_table`, or no case that all could play.
    """
    labels = [method.label for method in methods]
    if len(set(labels)) < len(labels) or not labels:
        raise ValueError(f"expected one or more methods with different labels, got {labels}")
    tables = []
    u = default_unit().numpy()
    for method in methods:
        about = {"cortex": dict(settings.cortex), "size_px": settings.size_px, "score_stride": settings.score_stride}
        about |= {"method": method.describe(), **(meta or {})}
        digest = hashlib.sha256(json.dumps([about, u.tolist()], sort_keys=True).encode()).hexdigest()[:8]
        name = "".join(letter if letter.isalnum() else "-" for letter in method.label)[:60]
        place = folder / f"{name}-{digest}"
        n = workers_for(place, cases, u, about, n_workers=n_workers)
        measure = PlayMeasure(settings, [method])
        tables.append(compute_table(place, data, cases, u, measure, n_workers=n, progress=progress, meta=about))
    return join_methods(labels, tables)


def workers_for(folder: Path, cases: Sequence[Case], u: np.ndarray, meta: Mapping[str, Any], *, n_workers: int) -> int:
    """As many workers as there are cases left to measure, at most ``n_workers``; one when nothing is left.

    A worker takes seconds to start, which is long for a table that is complete.
    """
    mark = fingerprint(np.array(u, np.float32, ndmin=2), json.loads(json.dumps(meta)))
    n_left = sum(read_shard(folder / "shards", case, mark=mark) is None for case in cases)
    return max(1, min(n_workers, n_left))


def join_methods(labels: Sequence[str], tables: Sequence[ResponseTable]) -> ResponseTable:
    """Tables of one method each, (C, 1), as one (C', M) of the cases that are in all of them."""
    common = [case for case in tables[0].cases if all(case in set(table.cases) for table in tables)]
    if not common:
        raise RuntimeError(f"no case was played by all of {', '.join(labels)}")
    rows = [[{case: i for i, case in enumerate(table.cases)}[case] for case in common] for table in tables]
    columns = {
        name: np.concatenate([table.column(name)[index] for table, index in zip(tables, rows, strict=True)], 1)
        for name in tables[0].columns
    }
    meta = {k: v for k, v in tables[0].meta.items() if k not in ("method", "fingerprint", "failed", "seconds")}
    meta["methods"] = list(labels)
    meta["seconds"] = sum(table.meta.get("seconds", 0.0) for table in tables)
    meta["failed"] = sorted({line for table in tables for line in table.meta.get("failed", ())})
    return ResponseTable(np.concatenate([table.u for table in tables]), tuple(common), columns, meta)
