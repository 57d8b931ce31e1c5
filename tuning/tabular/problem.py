"""One case of the benchmark as a problem of OptunaHub: an objective of Optuna's, made of what needs no labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from ciliary.cortex.installing import install_extra
from ciliary.tuning.tabular.benchmark import DISSENT, Benchmark

try:
    from optunahub.benchmarks import BaseProblem
except ImportError as error:
    raise ImportError(
        f"the benchmark is a problem of OptunaHub, which is not installed: {install_extra('optuna')}"
    ) from error

INDEX = "setting"
SPACES = ("nearest", "index")


class ResponseTableProblem(BaseProblem):  # type: ignore[misc, unused-ignore]  # Any where it is not installed
    """Choose a setting for one image. Minimised is a label-free loss; the score is asked once the choice is made.

    A study's trials know ``setting`` (the row of the table that was answered from) and ``label_free`` (all that was
    told of that percept without labels) as user attributes.

    Args:
        instance: number of the case, see :attr:`benchmark`.
        table: a benchmark, or the file of a response table; the one that ships when None.
        objective: column that is minimised, where ``table`` is no benchmark: ``term.dissent``, ``term.total``, ...
        space: ``nearest``: the parameters, continuous, in u; the measured setting nearest to what is asked for answers,
            so that the loss is constant around each. ``index``: the settings by number, as categories.

    Raises:
        IndexError: there are not so many cases.
        ValueError: no such space, or as :class:`Benchmark`.
    """

    def __init__(
        self,
        instance: int = 0,
        *,
        table: Benchmark | Path | str | None = None,
        objective: str = DISSENT,
        space: str = SPACES[0],
    ) -> None:
        if space not in SPACES:
            raise ValueError(f"expected space to be one of {', '.join(SPACES)}, got {space!r}")
        if not isinstance(table, Benchmark):
            table = Benchmark.load(None if table is None else Path(table), objective=objective)
        self.benchmark = table
        if not 0 <= instance < len(self.benchmark):
            raise IndexError(f"expected an instance in [0, {len(self.benchmark)}), got {instance}")
        self.instance, self.space = instance, space
        self.seen = self.benchmark.instance(instance)

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The parameters in u, between the least and the most that was measured; or the numbers of the settings."""
        seen = self.seen
        if self.space == "index":
            return {INDEX: CategoricalDistribution(tuple(range(len(seen.settings))))}
        sides = zip(seen.names, seen.low.tolist(), seen.high.tolist(), strict=True)
        return {name: FloatDistribution(low, high) for name, low, high in sides}

    @property
    def directions(self) -> list[optuna.study.StudyDirection]:
        """A loss."""
        return [optuna.study.StudyDirection.MINIMIZE]

    def evaluate(self, params: dict[str, Any]) -> float:
        """The label-free loss of the setting that ``params`` stand for."""
        return float(self.seen.losses[self.setting(params)])

    def __call__(self, trial: optuna.Trial) -> float:
        """The same, for ``study.optimize``; the trial gets what else is known without labels."""
        loss = super().__call__(trial)
        assert isinstance(loss, float)
        index = self.setting(trial.params)
        trial.set_user_attr(INDEX, index)
        trial.set_user_attr("label_free", self.known(index))
        return loss

    def setting(self, params: Mapping[str, Any]) -> int:
        """The row of the table that answers for ``params``."""
        return int(params[INDEX]) if self.space == "index" else self.seen.nearest(params)

    def known(self, setting: int) -> dict[str, float]:
        """All that is told of a setting's percept without labels."""
        return {name: float(values[setting]) for name, values in self.seen.known.items()}

    def score(self, setting: int | Mapping[str, Any]) -> float:
        """What people's drawings say of the setting chosen, higher is better. Not for choosing by."""
        return float(self.benchmark.scores[self.instance, self._index(setting)])

    def regret(self, setting: int | Mapping[str, Any]) -> float:
        """How far that is below the best of all settings of this image. Not for choosing by."""
        return self.benchmark.regret(self.instance, self._index(setting))

    def _index(self, setting: int | Mapping[str, Any]) -> int:
        return self.setting(setting) if isinstance(setting, Mapping) else int(setting)
