"""What is measured of a setting on a labelled image: all that can be told without labels, and the scores with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex, Perceiver, make_perceiver
from ciliary.cortex.device import choose_device
from ciliary.cortex.parameters import ParameterTable, table_for
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.stages.inherited import left_out
from ciliary.envs.batch import evaluate_pairs, make_batch
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.data.sources import from_array
from ciliary.envs.metrics.regions import METRICS, People, region_scores
from ciliary.envs.objective.features import percept_features
from ciliary.envs.objective.panel import for_agreement, panel_agreement
from ciliary.envs.objective.terms import Objective, coarse_masks
from ciliary.envs.objective.views import sample_views
from ciliary.tuning.evaluation.case_cache import Case


@dataclass(frozen=True)
class MeasureSettings:
    """How a case is measured.

    Attributes:
        cortex: options of the cortex.
        size_px: long side at which the cortex looks.
        n_views: views the objective judges by; 0 leaves stability and consistency out.
        score_stride: people are asked at every ``score_stride``-th pixel of the original image.
        n_panel: the first settings whose percepts every setting is compared with; 0: no such columns.
        perceiver: who plays in place of the cortex: a name or ``module:object``; None is the cortex.
        left_out: folder of a teaching: each image is seen by the inherited stages that were taught without it.
        device: where it lies, which is no part of what is measured.
    """

    cortex: Mapping[str, Any] = field(default_factory=dict)
    size_px: int = 192
    n_views: int = 4
    score_stride: int = 2
    n_panel: int = 0
    perceiver: str | None = None
    left_out: Path | None = None
    device: str = "auto"

    @property
    def table(self) -> ParameterTable:
        """What can be set."""
        if self.perceiver is not None:
            return self.make_perceiver().table
        return table_for(self.cortex.get("inherited", "none"))

    def make_perceiver(self) -> Perceiver:
        """Who looks."""
        return make_perceiver(self.cortex if self.perceiver is None else self.perceiver, device=self.device)

    @property
    def marks(self) -> dict[str, Any]:
        """What an episode's numbers depend on, JSON types."""
        about = {"cortex": dict(self.cortex), "size_px": self.size_px, "score_stride": self.score_stride}
        return about | ({} if self.perceiver is None else {"perceiver": self.perceiver})


class Measure:
    """Callable (labelled image, case, u) -> columns; picklable, the cortex is built where it is used."""

    def __init__(self, settings: MeasureSettings):
        self.settings = settings

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    @cached_property
    def cortex_for(self) -> Callable[[str], Cortex]:
        """The cortex that an image is seen by; each is built on first use, once a process."""
        options, folder = self.settings.cortex, self.settings.left_out
        device = choose_device(self.settings.device)
        made = cache(lambda **weights: Cortex(**{**options, **weights}).to(device))
        if folder is None:
            return lambda image: made()
        paths = left_out(folder, options["inherited"])
        return lambda image: made(inherited_weights=paths[image])

    @torch.no_grad()
    def __call__(self, item: LabelledImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns ``term.*``, ``feature.*``, ``agreement.*``, ``covered.*`` and ``score.*``, each (S,)."""
        s = self.settings
        image = see(item, case, size_px=s.size_px)
        cortex, objective = self.cortex_for(item.name), Objective()
        look = make_batch(
            cortex,
            objective,
            image,
            [sample_views(case.seed, n_photometric=(s.n_views + 1) // 2, n_geometric=s.n_views // 2)],
        )
        settings = torch.as_tensor(u, dtype=torch.float32, device=cortex.device)
        index = torch.zeros(len(settings), dtype=torch.int64, device=cortex.device)
        terms, percept = evaluate_pairs(cortex, objective, look, index, settings, with_percepts=True)
        assert percept is not None
        masks = coarse_masks(percept, objective.settings)
        features = percept_features(masks, look.reference[index], settings, cortex.table.default_unit(1, cortex.device))
        columns = {f"term.{name}": value for name, value in terms.items()}
        columns |= {f"feature.{name}": value for name, value in features.items()}
        if s.n_panel:  # the panel's own settings are among those measured: they stand in the first rows
            panel = for_agreement(masks[: s.n_panel])
            columns |= _concatenate([panel_agreement(row[None], panel[None]) for row in masks])
        out = {name: value.cpu().numpy().astype(np.float32) for name, value in columns.items()}
        return out | self._scores(percept, item)

    def _scores(self, percept: AbstractPercept, item: LabelledImage) -> dict[str, np.ndarray]:
        stride = self.settings.score_stride
        people = People.of([one[::stride, ::stride] for one in item.segmentations])
        rows = [region_scores(labels, people) for labels in percept.labels(people.shape).cpu().numpy()]
        columns = [score_columns(row) for row in rows]
        return {name: np.array([row[name] for row in columns], np.float32) for name in columns[0]}


def score_columns(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores of a label map as a table keeps them: ``score.<metric>``, higher is better."""
    return {f"score.{name}": float(metric.oriented(scores[name])) for name, metric in METRICS.items()}


def see(item: LabelledImage, case: Case, *, size_px: int) -> Tensor:
    """The image of a case as the cortex gets it: (1, 3, h, w), reduced to ``size_px``, then disturbed."""
    image = from_array(item.image, item.name, size_px).image[None]
    if case.disturbance == "none":
        return image
    return parse_disturbance(case.disturbance).apply(image, seed=case.seed)


def _concatenate(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
