"""What is measured of a setting on a labelled image: all that can be told without labels, and the scores with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cortex import Cortex, Percept
from envs.agreement import sharpen
from envs.disturbances import parse_disturbance
from envs.evaluate import evaluate_pairs, make_looks
from envs.features import covering_of, percept_features
from envs.objective import Objective
from envs.sources import from_array
from envs.views import sample_views
from tuning.evaluation.bsds import LabelledImage
from tuning.evaluation.regions import People, region_scores
from tuning.evaluation.shards import Case

AGREEMENT_STRIDE = 4  # settings are compared with each other at a quarter of the resolution


@dataclass(frozen=True)
class MeasureSettings:
    """How a case is measured.

    Attributes:
        cortex: options of the cortex.
        size_px: long side at which the cortex looks.
        n_views: views the objective judges by; 0 leaves stability and consistency at 0.
        score_stride: people are asked at every ``score_stride``-th pixel of the original image.
        n_panel: the first settings whose percepts every setting is compared with; 0: no such columns.
    """

    cortex: Mapping[str, Any] = field(default_factory=dict)
    size_px: int = 192
    n_views: int = 4
    score_stride: int = 2
    n_panel: int = 0


class Measure:
    """Callable (labelled image, case, u) -> columns; picklable, the cortex is built where it is used."""

    def __init__(self, settings: MeasureSettings):
        self.settings = settings

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    @cached_property
    def cortex(self) -> Cortex:
        """Built on first use, once a process."""
        return Cortex(**self.settings.cortex)

    @torch.no_grad()
    def __call__(self, item: LabelledImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns ``term.*``, ``feature.*``, ``agreement.*`` and ``score.*``, each (S,) (see :class:`Case`)."""
        s = self.settings
        image = see(item, case, size_px=s.size_px)
        objective = Objective()
        look = make_looks(self.cortex, objective, image, [sample_views(case.seed, n_photometric=(s.n_views + 1) // 2, n_geometric=s.n_views // 2)])
        settings = torch.as_tensor(u, dtype=torch.float32)
        index = torch.zeros(len(settings), dtype=torch.int64)
        terms, percept = evaluate_pairs(self.cortex, objective, look, index, settings, with_percepts=True)
        assert percept is not None
        masks = sharpen(percept.m4.masks_coarse, power=objective.settings.sharpness)
        features = percept_features(masks, look.reference[index], settings)
        columns = {f"term.{name}": value for name, value in terms.items()}
        columns |= {f"feature.{name}": value for name, value in features.items()}
        out = {name: value.numpy().astype(np.float32) for name, value in columns.items()}
        return out | agreements(masks, s.n_panel) | self._scores(percept, item)

    def _scores(self, percept: Percept, item: LabelledImage) -> dict[str, np.ndarray]:
        stride = self.settings.score_stride
        people = People.of([one[::stride, ::stride] for one in item.segmentations])
        rows = [region_scores(labels, people) for labels in percept.labels(people.shape).numpy()]
        sign = {"voi": -1.0}  # in a table higher is better
        return {
            f"score.{name}": np.array([sign.get(name, 1.0) * row[name] for row in rows], np.float32) for name in rows[0]
        }


def see(item: LabelledImage, case: Case, *, size_px: int) -> Tensor:
    """The image of a case as the cortex gets it: (1, 3, h, w), reduced to ``size_px``, then disturbed."""
    image = from_array(item.image, item.name, size_px).image[None]
    if case.disturbance == "none":
        return image
    return parse_disturbance(case.disturbance).apply(image, seed=case.seed)


def agreements(masks: Tensor, n_panel: int) -> dict[str, np.ndarray]:
    """How well each of S percepts covers those of the first ``n_panel`` ones: ``agreement.00``, ..., each (S,)."""
    coarse = F.avg_pool2d(masks, AGREEMENT_STRIDE // 2)
    return {f"agreement.{i:02d}": covering_of(coarse, coarse[i : i + 1].expand_as(coarse)).numpy() for i in range(min(n_panel, len(masks)))}
