"""Every method plays every case with several seeds: how its loss falls, and what people say of what it came to see.

What was played is a response table whose settings axis is the methods, each as often as it has seeds. The work goes
case by case, so that what the objective perceives of an image is perceived once for all; every episode is kept in a
file of its own, so that it is resumed, and grows by a method, an image or a seed, without any episode being played
twice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.guard import Guard
from ciliary.cortex import Perceiver
from ciliary.cortex.options import is_of_looks
from ciliary.envs.data.labelled import LabelledImage, LabelledSet
from ciliary.envs.data.reading import Photograph
from ciliary.envs.metrics.regions import People, region_scores
from ciliary.envs.objective.make import make_objective
from ciliary.envs.objective.terms import Objective
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.evaluation.case_cache import Shard, case_mark, read_shard, write_shard
from ciliary.tuning.evaluation.measure import MeasureSettings, score_columns, see
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.shared_panels import SharedPanels, shared_objective
from ciliary.tuning.evaluation.table import Case, ResponseTable, compute_table
from ciliary.tuning.runs.fingerprints import episode_mark
from ciliary.tuning.sessions import playing
from ciliary.tuning.sessions.playing import Played

MARKS = (1, 2, 4, 8, 16, 32, 64)
"""Evaluations after which the loss is read; the first is that of the defaults."""


@dataclass(frozen=True)
class Entry:
    """A method with one of its seeds; ``mark`` is all that its numbers depend on, ``folder`` where its episodes are."""

    method: Method
    seed: int
    mark: str
    folder: Path


class PlayMeasure:
    """Callable (image, case, u) -> columns, one row an entry; picklable. What was played before is read.

    Columns: ``before`` (the loss at the defaults), ``best.01`` to ``best.64`` (best so far after so many evaluations),
    ``seconds.01`` to ``seconds.64`` (since the start), ``best.end`` and ``seconds.end`` (of the search),
    ``term.total`` (applied, guard included), ``fresh_gain`` (of the best trial, on views the search never saw; NaN
    without a guard), ``n_trials``, ``n_evaluations``, ``seconds`` of the whole episode, in which the panel counts in
    full, ``is_changed`` (whether the defaults were left), ``n_segments``, ``u.<parameter>`` of the setting chosen, and,
    where people drew the image, ``score.<metric>``, higher is better.

    Args:
        settings: cortex, size and stride of the scores; its ``n_views`` and ``n_panel`` are the objective's affair.
        entries: who plays; none where only :meth:`play` is wanted.
        digests: image -> what is in its files.
    """

    def __init__(
        self, settings: MeasureSettings, entries: Sequence[Entry] = (), *, digests: Mapping[str, str] | None = None
    ):
        self.settings, self.entries, self.digests = settings, tuple(entries), dict(digests or {})
        self._envs: dict[str, AccommodationEnv] = {}
        self._objectives: dict[str, Objective] = {}

    def __getstate__(self) -> dict[str, Any]:
        kept = {"settings": self.settings, "entries": self.entries, "digests": self.digests}
        return {**kept, "_envs": {}, "_objectives": {}}

    @cached_property
    def perceiver(self) -> Perceiver:
        """Built on first use, once a process, for all objectives that ask for no recognition."""
        return self.settings.make_perceiver()

    def objective(self, name: str) -> Objective:
        """An objective by name, made once a process; a calibrated one keeps its panels."""
        if name not in self._objectives:
            self._objectives[name] = shared_objective(name, perceiver=self.perceiver.name)
        return self._objectives[name]

    def env(self, name: str) -> AccommodationEnv:
        """The environment of an objective, made once a process."""
        if name not in self._envs:
            self._envs[name] = AccommodationEnv(
                cortex=self.settings.cortex if name == "recognition" else self.perceiver,
                device=self.settings.device,
                objective=self.objective(name),
                size_px=self.settings.size_px,
                action_mode="absolute",
                with_looks=is_of_looks(name),
            )
        return self._envs[name]

    def __call__(self, item: LabelledImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns, each (S,) for S entries; ``u`` (S, P) only says how many rows are expected.

        Raises:
            RuntimeError: an episode failed; says whose.
        """
        if len(u) != len(self.entries):
            raise ValueError(f"expected u with a row for each of {len(self.entries)} entries, got {len(u)}")
        drawn = item.segmentations
        people = People.of(drawn, stride=self.settings.score_stride) if drawn else None
        rows = []
        for entry in self.entries:
            shard = self.read(entry, case)
            if shard is None:
                start = time.perf_counter()
                try:
                    row = self.episode(item, case, entry, people)
                except Exception as error:  # who failed is not to be seen from where it failed
                    raise RuntimeError(f"{entry.method.label}, seed {entry.seed}: {error}") from error
                columns = {name: np.array([value], np.float32) for name, value in row.items()}
                shard = Shard(case, columns, time.perf_counter() - start)
                write_shard(entry.folder, shard, mark=self._mark(entry, case))
            rows.append(shard.columns)
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def read(self, entry: Entry, case: Case) -> Shard | None:
        """The episode of a case; None when it was not played yet."""
        return read_shard(entry.folder, case, mark=self._mark(entry, case))

    def n_left(self, cases: Sequence[Case]) -> int:
        """Cases that have episodes to play."""
        return sum(any(self.read(entry, case) is None for entry in self.entries) for case in cases)

    def episode(self, item: LabelledImage, case: Case, entry: Entry, people: People | None) -> dict[str, float]:
        """What is kept of one episode, by name of column.

        Raises:
            ValueError: the defaults have no finite loss, so that nothing can be compared with it.
        """
        objective = self.objective(entry.method.objective)
        spared = _spared_seconds(objective)
        played = self.play(item, case, entry.method, seed=episode_seed(case.seed, entry.seed))
        row = _falls(played, _spared_seconds(objective) - spared)
        labels = played.after.labels(item.size)[0].numpy()
        row |= {} if people is None else score_columns(region_scores(labels, people))
        row |= {"term.total": played.trace.after["total"], "n_evaluations": played.trace.n_evaluations}
        row |= {"is_changed": float(played.is_changed), "n_segments": int(labels.max()) + 1}
        return row | {
            f"u.{k}": float(v) for k, v in zip(self.perceiver.table.names, played.trace.u_chosen, strict=True)
        }

    def play(self, item: LabelledImage, case: Case, method: Method, *, seed: int | None = None) -> Played:
        """One episode: the image of the case is what the environment calls undisturbed.

        Args:
            item: the image.
            case: says how it is disturbed, with which noise.
            method: who plays.
            seed: of views and controller; that of the case when None.
        """
        image = see(item, case, size_px=self.settings.size_px)[0]
        return playing.play(
            self.env(method.objective),
            method.build(),
            Photograph(item.name, image, item.size),
            seed=case.seed if seed is None else seed,
            n_trials=method.n_trials,
            guard=Guard() if method.use_guard else None,
            default_u=method.default_u(case.disturbance, self.perceiver.table),
            with_before=False,
            looking=method.looking,
        )

    def _mark(self, entry: Entry, case: Case) -> str:
        return case_mark(entry.mark, self.digests.get(case.image))


def _spared_seconds(objective: Objective) -> float:
    return objective.spared_seconds if isinstance(objective, SharedPanels) else 0.0


def _falls(played: Played, extra_seconds: float) -> dict[str, float]:
    trace, batches = played.trace, [(n, t + extra_seconds) for n, t in played.batches]
    best, seconds = at_marks(trace.best_so_far, batches)
    if not np.isfinite([best[0], trace.before["total"]]).all():
        raise ValueError(f"the defaults have no finite loss ({best[0]}): nothing to compare with")
    fresh = 0.0 if trace.n_trials == 1 else float("nan")
    if trace.guard is not None:
        fresh = trace.guard.gain
    row = {f"best.{mark:02d}": float(value) for mark, value in zip(MARKS, best, strict=True)}
    row |= {f"seconds.{mark:02d}": float(value) for mark, value in zip(MARKS, seconds, strict=True)}
    row |= {"best.end": float(trace.best_so_far[-1]), "seconds.end": batches[-1][1], "before": trace.before["total"]}
    return row | {"fresh_gain": fresh, "n_trials": trace.n_trials, "seconds": trace.seconds + extra_seconds}


def at_marks(
    best_so_far: np.ndarray, batches: Sequence[tuple[int, float]], marks: Sequence[int] = MARKS
) -> tuple[np.ndarray, np.ndarray]:
    """Best loss and time after so many evaluations; after the end of the search, those of its end.

    Args:
        best_so_far: (T,) of the trials.
        batches: after each batch, trials done and seconds since the start. A trial is known when its batch is.
        marks: K numbers of evaluations, >= 1.

    Returns:
        losses (K,) and seconds (K,).
    """
    n_done = np.array([n for n, _ in batches])
    seconds = np.array([t for _, t in batches])
    rows = np.minimum(np.asarray(marks), len(best_so_far)) - 1
    return best_so_far[rows], seconds[np.searchsorted(n_done, rows + 1)]


def episode_seed(case_seed: int, seed: int) -> int:
    """Seed of an episode (views and controller): that of the case for seed 0, else another one."""
    if seed == 0:
        return case_seed
    return int(np.random.SeedSequence([case_seed, seed]).generate_state(1)[0] & 0x7FFFFFFF)


def seeds_of(method: Method, n_seeds: int) -> range:
    """The seeds a method plays with: one where its episodes cannot differ.

    That is where the objective has no views, and the controller says that it draws nothing (``is_seedless``).
    """
    is_seedless = getattr(method.build(), "is_seedless", False) and n_views_of(method) == 0
    return range(1 if is_seedless else n_seeds)


def n_views_of(method: Method) -> int:
    """Views that a method's objective judges by."""
    return make_objective(method.objective, perceiver=method.perceiver).n_views


def make_entries(
    folder: Path, settings: MeasureSettings, methods: Sequence[Method], n_seeds: int, *, meta: Mapping[str, Any]
) -> list[Entry]:
    """Every method with each of its seeds, and where its episodes are kept.

    Raises:
        ValueError: no method, or two of one label.
    """
    labels = [method.label for method in methods]
    if len(set(labels)) < len(labels) or not labels:
        raise ValueError(f"expected one or more methods with different labels, got {labels}")
    entries = []
    for method in methods:
        about = settings.marks | {
            "method": method.describe(),
            "code": episode_mark(type(method.build()).__module__),
            **meta,
        }
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        name = "".join(letter if letter.isalnum() else "-" for letter in method.label)[:60]
        place = folder / "episodes" / f"{name}-{digest[:8]}"
        entries += [Entry(method, k, digest, place / f"seed{k}") for k in seeds_of(method, n_seeds)]
    return entries


def play_methods(
    folder: Path,
    data: LabelledSet,
    cases: Sequence[Case],
    settings: MeasureSettings,
    methods: Sequence[Method],
    *,
    n_seeds: int = 1,
    n_workers: int = 1,
    progress: bool = True,
    meta: Mapping[str, Any] | None = None,
) -> ResponseTable:
    """Let every method play every case with each of its seeds.

    Args:
        folder: of all episodes.
        data, cases, n_workers, progress: as :func:`compute_table`. With as many workers as cores, each has one thread.
        settings: cortex, size and stride of the scores.
        methods: with different labels.
        n_seeds: of views and controllers; the noise of a disturbance is that of the case.
        meta: whatever else the numbers depend on, such as the name of the data.

    Returns:
        (C, S) of S entries; ``meta["methods"]`` and ``meta["seeds"]`` say whose, in order. Cases that some method could
        not play are left out and listed in ``meta["failed"]``.

    Raises:
        ValueError: two methods of one label.
        RuntimeError: as :func:`compute_table`.
    """
    entries = make_entries(folder, settings, methods, n_seeds, meta=meta or {})
    measure = PlayMeasure(settings, entries, digests=data.digests)
    about = {"entries": [[entry.mark, entry.seed] for entry in entries], "settings": asdict(settings)}
    place = folder / "tables" / hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    u = np.repeat(settings.table.default_unit().numpy(), len(entries), 0)
    n = max(1, min(n_workers, measure.n_left(cases)))
    table = compute_table(
        place, data, cases, u, measure,
        n_workers=n, progress=progress, meta=about, digests=data.digests, parameters=settings.table.names,
    )  # fmt: skip
    names = {"methods": [entry.method.label for entry in entries], "seeds": [entry.seed for entry in entries]}
    return replace(table, meta={**table.meta, **names})
