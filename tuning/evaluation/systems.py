"""Portraits: every system on clean images, by regions and by boundaries: peers, stages of the cortex, people.

A group of systems is a response table whose settings axis is the systems, so it is parallel, resumable and cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.cortex import Cortex, Percept, default_unit
from ciliary.cortex.device import choose_device, to_device
from ciliary.envs.data.labelled import LabelledImage, LabelledSet
from ciliary.envs.metrics.boundaries import (
    DEFAULT_THRESHOLDS,
    BoundarySummary,
    Counts,
    boundary_counts,
    label_boundaries,
    match_boundaries,
    summarise,
)
from ciliary.envs.metrics.regions import METRICS, People, region_scores
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.evaluation.measure import MeasureSettings, score_columns, see
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.peers import PEERS, peer_labels
from ciliary.tuning.evaluation.people import agreement
from ciliary.tuning.evaluation.play import PlayMeasure
from ciliary.tuning.evaluation.stages import object_hierarchy, stage_boundaries, stage_labels
from ciliary.tuning.evaluation.table import Case, ResponseTable, compute_table

PEOPLE = "people"
STAGE_NAMES: Mapping[str, str] = {
    "s1": "cortex S1",
    "s2": "cortex S2",
    "slots": "cortex slots",
    "objects": "cortex proto-objects",
    "boundary": "cortex M1 boundary",
    "contour": "cortex M2 contour",
}
_COUNTS = ("hit_recall", "n_recall", "hit_precision", "n_precision")
_Row = dict[str, float]


class PortraitMeasure:
    """Callable (labelled image, case, u) -> columns, one row a system of ``group``; picklable.

    Columns: ``score.*`` (higher is better: VoI is negated; NaN where a system has no regions, or where there are not
    two people), ``n_segments`` and ``count.<field>.<threshold index>``, the boundary counts.

    Args:
        group: ``peers``, ``people``, ``stages`` or a :class:`Method` (its percept once it has accommodated).
        settings: of the cortex, the size it looks at, and the stride of the scores.
    """

    def __init__(self, group: str | Method, settings: MeasureSettings):
        self.group, self.settings = group, settings
        self.play = PlayMeasure(settings) if isinstance(group, Method) else None

    def __getstate__(self) -> dict[str, Any]:
        return {"group": self.group, "settings": self.settings, "play": self.play}

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the rows."""
        if isinstance(self.group, Method):
            return (f"accommodated, {self.group.label}",)
        rows = {"peers": tuple(PEERS), "people": (PEOPLE,), "stages": tuple(STAGE_NAMES.values())}
        return rows[self.group]

    @cached_property
    def cortex(self) -> Cortex:
        """Built on first use, once a process."""
        return Cortex(**self.settings.cortex).eval().requires_grad_(False).to(choose_device(self.settings.device))

    @torch.no_grad()
    def __call__(self, item: LabelledImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns, each (S,) for S systems; ``u`` (S, P) only says how many rows are expected."""
        if len(u) != len(self.systems):
            raise ValueError(f"expected u with a row for each of {len(self.systems)} systems, got {len(u)}")
        make = {"peers": self._peers, "people": self._people, "stages": self._stages}
        rows = [self._accommodated(item, case)] if self.play is not None else make[str(self.group)](item, case)
        return {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}

    def _peers(self, item: LabelledImage, case: Case) -> list[_Row]:
        del case
        image = item.image.permute(1, 2, 0).numpy()
        return [self._of_labels(item, peer_labels(name, image)) for name in PEERS]

    def _people(self, item: LabelledImage, case: Case) -> list[_Row]:
        del case
        if len(item.segmentations) < 2:
            return [_row(None, None, np.nan)]
        found = agreement(item, stride=self.settings.score_stride)
        return [_row(found.scores, found.boundaries, float(np.mean([len(np.unique(s)) for s in item.segmentations])))]

    def _stages(self, item: LabelledImage, case: Case) -> list[_Row]:
        theta = self.cortex.table.default_theta(1)
        image = see(item, case, size_px=self.settings.size_px).to(self.cortex.device)
        percept = to_device(self.cortex(image, theta), "cpu")
        labels = stage_labels(percept, item.size)
        strength = stage_boundaries(percept, theta, item.size)
        return [self._of_both(item, labels.get(stage), strength[stage]) for stage in STAGE_NAMES]

    def _accommodated(self, item: LabelledImage, case: Case) -> _Row:
        assert self.play is not None
        assert isinstance(self.group, Method)
        played = self.play.play(item, case, self.group)
        labels = played.after.labels(item.size)[0].numpy()
        if not isinstance(played.after, Percept):  # no stages: its boundaries are where labels change
            return self._of_labels(item, labels)
        theta = self.play.perceiver.table.from_unit(torch.as_tensor(played.trace.u_chosen)[None])
        return self._of_both(item, labels, object_hierarchy(played.after, theta, item.size))

    def _of_labels(self, item: LabelledImage, labels: np.ndarray) -> _Row:
        return _row(self._scores(item, labels), match_boundaries(label_boundaries(labels), item.boundaries), _n(labels))

    def _of_both(self, item: LabelledImage, labels: np.ndarray | None, strength: np.ndarray) -> _Row:
        counts = boundary_counts(strength, item.boundaries)
        if labels is None:
            return _row(None, counts, np.nan)
        return _row(self._scores(item, labels), counts, _n(labels))

    def _scores(self, item: LabelledImage, labels: np.ndarray) -> dict[str, float]:
        return region_scores(labels, People.of(item.segmentations, stride=self.settings.score_stride))


def compute_portraits(
    folder: Path,
    data: LabelledSet,
    settings: MeasureSettings,
    *,
    methods: Sequence[Method] = (),
    n_workers: int = 1,
    progress: bool = True,
    meta: Mapping[str, Any] | None = None,
    seeds: Mapping[str, int] | None = None,
) -> dict[str, ResponseTable]:
    """Portraits of all systems on the clean images, each group kept in a folder of its own: system -> table (C, 1).

    Args:
        folder: of all portraits.
        data: labelled images.
        settings: see :class:`PortraitMeasure`.
        methods: whose accommodated percepts are portrayed too.
        n_workers, progress: as :func:`compute_table`.
        meta: what else the numbers of the cortex depend on, such as a mark of the code; peers and people do not.
        seeds: of each image's case, for the methods; 0 when None.
    """
    cases = [Case(name, seed=(seeds or {}).get(name, 0)) for name in data.names]
    found: dict[str, ResponseTable] = {}
    stages = ["stages"] if settings.perceiver is None else []
    groups: list[str | Method] = ["peers", *stages, *methods, "people"]
    for group in groups:
        measure = PortraitMeasure(group, settings)
        about: dict[str, Any] = {"score_stride": settings.score_stride, "systems": list(measure.systems)}
        if group == "peers":
            about["peers"] = {name: dict(peer.chosen) for name, peer in PEERS.items()}
        elif group != "people":
            about |= {**settings.marks, **(meta or {})}
            about |= {"method": group.describe()} if isinstance(group, Method) else {}
        u = np.repeat(default_unit().numpy(), len(measure.systems), 0)
        kept = cases if isinstance(group, Method) else [Case(case.image) for case in cases]
        digest = hashlib.sha256(json.dumps([about, u.tolist()], sort_keys=True).encode()).hexdigest()[:8]
        label = "accommodated" if isinstance(group, Method) else group
        place = folder / f"{label}-{digest}"
        table = compute_table(
            place, data, kept, u, measure, n_workers=n_workers, progress=progress, meta=about, digests=data.digests
        )
        found |= {name: _only(table, i) for i, name in enumerate(measure.systems)}
    return found


@dataclass(frozen=True)
class PortraitRow:
    """One system on the clean images; regions as mean with interval over images, boundaries pooled.

    Attributes:
        scores: of :data:`METRICS`, a column each; None for a system without regions.
        ods, ois, ap: of the boundaries; ``ap`` is None for a system with one boundary map an image (no curve).
        n_segments: mean.
    """

    system: str
    n_images: int
    scores: Mapping[str, Interval | None]
    ods: float
    ois: float
    ap: float | None
    n_segments: float


def portrait_rows(portraits: Mapping[str, ResponseTable]) -> list[PortraitRow]:
    """One row a system; images where a system has nothing to score are left out, and counted in ``n_images``."""
    rows = []
    for system, table in portraits.items():
        has_counts = np.isfinite(table.column("count.n_recall.00")[:, 0])
        if not has_counts.any():
            continue
        means: dict[str, Interval | None] = {}
        for name, metric in METRICS.items():
            values = metric.oriented(table.column(f"score.{name}")[has_counts, 0].astype(float))
            means[name] = bootstrap_mean(values) if np.isfinite(values).all() else None
        summary = boundary_summary(table)
        is_graded = len(np.unique(np.stack([summary.precision, summary.recall]), axis=1).T) > 1
        n_segments = float(table.column("n_segments")[has_counts, 0].mean())
        ap = summary.ap if is_graded else None
        rows.append(PortraitRow(system, int(has_counts.sum()), means, summary.ods, summary.ois, ap, n_segments))
    return rows


def boundary_summary(table: ResponseTable) -> BoundarySummary:
    """Of one system's table (C, 1): ODS, OIS, AP and the curve."""
    n = len(DEFAULT_THRESHOLDS)
    fields = [np.stack([table.column(f"count.{name}.{t:02d}")[:, 0] for t in range(n)], 1) for name in _COUNTS]
    heard = np.isfinite(fields[0][:, 0])
    return summarise(
        [Counts(*(field[i].astype(np.int64) for field in fields)) for i in np.flatnonzero(heard)], DEFAULT_THRESHOLDS
    )


def _row(scores: Mapping[str, float] | None, counts: Counts | None, n_segments: float) -> _Row:
    row = score_columns(dict.fromkeys(METRICS, np.nan) if scores is None else scores)
    row["n_segments"] = n_segments
    for name in _COUNTS:
        values = np.full(1, np.nan) if counts is None else getattr(counts, name)
        at_each = np.broadcast_to(values, len(DEFAULT_THRESHOLDS))  # one map is the same at every threshold
        row |= {f"count.{name}.{t:02d}": float(value) for t, value in enumerate(at_each)}
    return row


def _n(labels: np.ndarray) -> float:
    return float(len(np.unique(labels)))


def _only(table: ResponseTable, i: int) -> ResponseTable:
    columns = {name: values[:, i : i + 1] for name, values in table.columns.items()}
    return ResponseTable(table.u[i : i + 1], table.cases, columns, table.meta)
