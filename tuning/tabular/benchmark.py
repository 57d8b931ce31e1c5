"""A setting for each image, chosen without its labels: a response table as a benchmark, and what choices are worth.

Whoever chooses sees an :class:`Instance`: settings, and what can be told of each percept without labels. Scores, which
people's drawings give, stay with the :class:`Benchmark`, are asked when the choice is made, and stand beside what a
choice must beat and what it cannot (:mod:`ciliary.tuning.evaluation.selectors`). Labels of *other* images may be
learned from: :meth:`Benchmark.others` is what a fold may know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from ciliary.envs.metrics.statistics import Interval
from ciliary.tuning.evaluation.selectors import (
    CLEAN,
    COVERING,
    DISTURBED,
    Selection,
    fixed,
    image_array,
    oracle,
    refit_fixed,
    scores_of,
    stand,
)
from ciliary.tuning.evaluation.table import Case, ResponseTable

SHIPPED = "bsds_mathematical_128.npz"
#: For OptunaHub: ``optunahub.load_local_module("benchmarks/ciliary_response_table", registry_root=str(REGISTRY))``.
REGISTRY = Path(__file__).resolve().parent / "package"
DISSENT = "term.dissent"  # what a search of ours for one setting is judged by: the objective "agreement"
LABEL_FREE = ("term.", "feature.")
DEFAULT, BEST_FIXED, ORACLE = "default", "best fixed", "oracle"


@dataclass(frozen=True, eq=False)
class Instance:
    """An image, as one who has no labels sees it.

    Attributes:
        case: which image, how disturbed.
        names: the D parameters that differ among the settings.
        settings: (S, D) float64, their u; row 0 is the default.
        low, high: (D,) between which they lie.
        known: ``term.*`` and ``feature.*`` -> (S,): what was told of each setting's percept without labels.
        objective: the one of ``known`` that is minimised.
    """

    case: Case
    names: tuple[str, ...]
    settings: np.ndarray
    low: np.ndarray
    high: np.ndarray
    known: Mapping[str, np.ndarray]
    objective: str

    @property
    def losses(self) -> np.ndarray:
        """(S,) the objective of each setting."""
        return self.known[self.objective]

    def nearest(self, params: Mapping[str, float]) -> int:
        """The measured setting that is nearest to one asked for, with each side of the box as long as the others.

        Args:
            params: parameter -> u, each of :attr:`names`.

        Raises:
            KeyError: a parameter is missing; names it.
        """
        if missing := [name for name in self.names if name not in params]:
            raise KeyError(f"expected a value of each of {', '.join(self.names)}; missing {', '.join(missing)}")
        at = np.array([float(params[name]) for name in self.names])
        distance = (((self.settings - at) / (self.high - self.low)) ** 2).sum(1)
        return int(distance.argmin())

    def params(self, index: int) -> dict[str, float]:
        """The parameters (u) of a setting."""
        return dict(zip(self.names, self.settings[index].tolist(), strict=True))


@dataclass(frozen=True)
class Row:
    """What one way of choosing is worth on the clean or on the disturbed cases; the unit is the image.

    Attributes:
        score: mean over images, of a case that was chosen for several times its mean first.
        over_default, over_best_fixed: paired differences.
        gap_closed: share of the way from the default to the oracle.
        worse: share of the cases whose score is below the default's by more than 0.005.
        loss: mean of what is minimised without labels.
    """

    choice: str
    images: str
    n_images: int
    loss: float
    score: Interval
    over_default: Interval
    over_best_fixed: Interval
    gap_closed: Interval | None
    worse: float


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A response table with its folds.

    Args:
        table: what every setting answered on every case.
        folds: image -> number of its fold; from the table's ``meta["folds"]`` when None.
        objective: label-free column that is minimised.
        score: column of the labels, higher is better.

    Raises:
        KeyError: no such column.
        ValueError: the objective is no label-free column; an image has no fold; all settings are one.
    """

    table: ResponseTable
    folds: Mapping[str, int] = field(default_factory=dict)
    objective: str = DISSENT
    score: str = COVERING

    def __post_init__(self) -> None:
        if not self.objective.startswith(LABEL_FREE):
            known = [name for prefix in LABEL_FREE for name in self.table.names(prefix)]
            raise ValueError(f"expected a label-free objective, one of {', '.join(known)}; got {self.objective!r}")
        self.table.column(self.objective)
        self.scores  # noqa: B018 -- says now what is missing
        folds = dict(self.folds or self.table.meta.get("folds", {}))
        if missing := sorted(set(self.table.images) - set(folds)):
            raise ValueError(f"expected a fold of each image; {len(missing)} have none, such as {missing[0]}")
        object.__setattr__(self, "folds", folds)
        if not len(self._moved):
            raise ValueError(f"expected settings that differ, got {self.table.n_settings} times the same")

    @classmethod
    def load(cls, path: Path | None = None, *, objective: str = DISSENT, score: str = COVERING) -> Benchmark:
        """A table of a file, or the one that ships: BSDS500's validation photographs and the mathematical cortex."""
        if path is not None:
            return cls(ResponseTable.load(Path(path)), objective=objective, score=score)
        with as_file(files("ciliary.tuning.tabular") / "data" / SHIPPED) as shipped:
            return cls(ResponseTable.load(shipped), objective=objective, score=score)

    def __len__(self) -> int:
        return len(self.table.cases)

    @property
    def scores(self) -> np.ndarray:
        """(C, S) what people's drawings say: for the end."""
        return scores_of(self.table, self.score)

    @property
    def _moved(self) -> np.ndarray:
        return np.flatnonzero(np.ptp(self.table.u, 0) > 0)

    def instance(self, i: int) -> Instance:
        """Case ``i``, without its labels."""
        table, moved = self.table, self._moved
        names = table.parameters or tuple(f"u{k}" for k in range(table.u.shape[1]))
        u = table.u[:, moved].astype(float)
        known = {name: table.column(name)[i].astype(float) for prefix in LABEL_FREE for name in table.names(prefix)}
        named = tuple(names[k] for k in moved)
        return Instance(table.cases[i], named, u, u.min(0), u.max(0), known, self.objective)

    def __iter__(self) -> Iterator[Instance]:
        return (self.instance(i) for i in range(len(self)))

    def others(self, i: int) -> ResponseTable:
        """All cases, with their labels, of the images in other folds than that of case ``i``: to learn from."""
        own = self.folds[self.table.images[i]]
        return self.table.where(images=[name for name in self.table.images if self.folds[name] != own])

    def regret(self, i: int, setting: int) -> float:
        """How far the score of a setting is below the best there is of case ``i``."""
        return float(self.scores[i].max() - self.scores[i, setting])

    def report(self, choices: Mapping[str, Sequence[int] | np.ndarray]) -> list[Row]:
        """What choices are worth, beside a random setting, the default, the best fixed one and the oracle.

        Args:
            choices: way of choosing -> the index of the setting chosen in each case (C,), or of R repeats (R, C), whose
                scores are averaged.

        Raises:
            ValueError: a choice has another shape, or is none of the settings.
        """
        made = [fixed(self.table, score=self.score), self.best_fixed(), oracle(self.table, score=self.score)]
        default, best, ceiling = ([one.index] for one in made)
        every = np.arange(self.table.n_settings)[:, None].repeat(len(self), 1)
        index = {"random setting": every, DEFAULT: default, BEST_FIXED: best, **choices, ORACLE: ceiling}
        repeats = {name: self._repeats(name, one) for name, one in index.items()}
        losses = self.table.column(self.objective).astype(float)
        case = np.arange(len(self))
        scores, loss = ({k: of[case, i].mean(0) for k, i in repeats.items()} for of in (self.scores, losses))
        rows = []
        for words, pattern in (("clean", CLEAN), ("disturbed", DISTURBED)):
            cases = self.table.rows(disturbance=pattern)
            if not len(cases):
                continue
            beside = stand(self.table, scores, cases, reference=BEST_FIXED, ceiling=None)
            for name, one in stand(self.table, scores, cases, reference=DEFAULT, ceiling=ORACLE).items():
                own = float(image_array(self.table, loss[name], cases).mean())
                over = beside[name].gain
                rows.append(
                    Row(name, words, one.n_images, own, one.score, one.gain, over, one.gap_closed, one.harm_rate)
                )
        return rows

    def best_fixed(self) -> Selection:
        """For each case the setting of the best mean score on images of other folds, clean or disturbed as the case."""
        index = np.zeros(len(self), int)
        for fold in sorted({self.folds[name] for name in self.table.images}):
            own = [name for name in self.table.images if self.folds[name] == fold]
            rest = [name for name in self.table.images if self.folds[name] != fold]
            part = refit_fixed(
                self.table.where(images=own), train=self.table.where(images=rest), per="all", score=self.score
            )
            index[self.table.rows(images=own)] = part.index
        return Selection(BEST_FIXED, index, self.scores[np.arange(len(self)), index])

    def _repeats(self, name: str, index: Sequence[int] | np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        repeats = np.atleast_2d(np.asarray(index, int))
        if repeats.ndim != 2 or repeats.shape[1] != len(self):
            raise ValueError(f"{name}: expected the setting of each of {len(self)} cases, got shape {repeats.shape}")
        if repeats.min() < 0 or repeats.max() >= self.table.n_settings:
            most = self.table.n_settings
            raise ValueError(f"{name}: expected settings in [0, {most}), got {repeats.min()} to {repeats.max()}")
        return repeats
