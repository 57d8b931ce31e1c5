"""From a response table of labelled images to a calibration: forms compared on images not seen, one kept."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.cortex.options import CORTEX
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.metrics.statistics import Interval, paired_difference, within_image_rank_correlation
from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.calibration.regressors import FORMS, Line
from ciliary.tuning.evaluation.selectors import best_fixed
from ciliary.tuning.evaluation.table import ResponseTable

SCORE = "score.covering"
PANEL = ("agreement.", "covered.")
NOT_SHIPPED = "+ setting"
N_FOLDS = 5
Fit = Callable[[np.ndarray, np.ndarray], Line]
#: Gains tried as the least that is worth a change.
LEAST_GAINS = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03)


@dataclass(frozen=True)
class Comparison:
    """One form on one group of inputs, every prediction made by a model that never saw the image.

    Attributes:
        inputs: name of the group of inputs.
        form: name of the form.
        rank_correlation: within a case, of the prediction with the score, mean over images.
        clean, disturbed: mean score of the picked settings minus that of the best fixed setting.
        least_gain: the predicted gain below which the best fixed setting is kept; chosen on the same predictions.
    """

    inputs: str
    form: str
    rank_correlation: Interval
    clean: Interval
    disturbed: Interval
    least_gain: float


def inputs_of(table: ResponseTable, names: Sequence[str]) -> np.ndarray:
    """Inputs (C, S, F): columns of the table, and ``u.*`` the settings themselves."""
    shape, u = (len(table.cases), table.n_settings), table.settings_for(PARAMETERS)
    columns = [
        np.broadcast_to(u[:, PARAMETERS.names.index(name[2:])], shape) if name.startswith("u.") else table.column(name)
        for name in names
    ]
    return np.stack(columns, -1).astype(np.float32)


def input_groups(table: ResponseTable) -> dict[str, list[str]]:
    """Groups of inputs that are compared, each with the ones before it; losses first.

    The setting itself comes last, for comparison only (:data:`NOT_SHIPPED`): a model that rewards settings rather than
    percepts is deceived by whatever searches well. Descended for 12 steps on 100 training photographs, a line with
    the setting among its inputs promised 0.046 of covering and changed it by -0.002; without, it promised 0.000.
    """
    terms = [name for name in table.names("term.") if name not in ("term.total", "term.n_segments")]
    # a table without views holds zeros there
    terms = [name for name in terms if np.ptp(table.column(name)) > 0]
    features, panel = table.names("feature."), [name for prefix in PANEL for name in table.names(prefix)]
    u = table.settings_for(PARAMETERS)
    setting = [f"u.{PARAMETERS.names[i]}" for i in np.flatnonzero(np.ptp(u, axis=0) > 1e-6)]
    groups = {"terms": terms, "+ features": [*terms, *features]}
    groups |= {"+ panel": [*terms, *features, *panel]} if panel else {}
    return groups | {NOT_SHIPPED: [*terms, *features, *panel, *setting]}


def fold_of(images: Sequence[str], *, n_folds: int = N_FOLDS, seed: int = 0) -> np.ndarray:
    """The fold of each case (C,); all cases of an image are in one."""
    names = sorted(set(images))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {name: int(k) % n_folds for name, k in zip(names, order, strict=True)}
    return np.array([fold[name] for name in images])


def cross_predict(table: ResponseTable, names: Sequence[str], fit: Fit, *, seed: int = 0) -> np.ndarray:
    """Predictions (C, S), each by a model fitted on other images."""
    x, y = inputs_of(table, names), table.column(SCORE)
    fold, out = fold_of(table.images, seed=seed), np.zeros_like(y)
    for k in np.unique(fold):
        out[fold == k] = fit(x[fold != k], y[fold != k]).predict(x[fold == k])
    return out


def pick(predicted: np.ndarray, base: int, *, least_gain: float) -> np.ndarray:
    """The setting of each case (C,): the one predicted best, or ``base`` unless that is better by ``least_gain``."""
    best = predicted.argmax(1)
    gain = predicted.max(1) - predicted[:, base]
    return np.where(gain > least_gain, best, base)


def choose_least_gain(predicted: np.ndarray, score: np.ndarray, base: int) -> float:
    """The largest least gain under which picking does as well on average as under the best, within a standard error.

    Means of picks differ by less than chance; fewer changes for the same mean are fewer images made worse (the rule of
    Breiman et al. 1984).
    """
    rows = np.arange(len(score))
    gains = np.stack([score[rows, pick(predicted, base, least_gain=gain)] - score[:, base] for gain in LEAST_GAINS])
    means, errors = gains.mean(1), gains.std(1) / np.sqrt(len(rows))
    best = int(means.argmax())
    good_enough = np.flatnonzero(means >= means[best] - errors[best])
    return LEAST_GAINS[int(good_enough[-1])]


def compare(
    table: ResponseTable, *, groups: Mapping[str, Sequence[str]] | None = None, forms: Mapping[str, Fit] = FORMS
) -> list[Comparison]:
    """Every form on every group of inputs."""
    groups = input_groups(table) if groups is None else groups
    base = _base(table)
    rows = []
    for inputs, names in groups.items():
        for form, fit in forms.items():
            predicted = cross_predict(table, names, fit)
            rows.append(_judge(table, predicted, base, inputs=inputs, form=form))
    return rows


def _judge(table: ResponseTable, predicted: np.ndarray, base: int, *, inputs: str, form: str) -> Comparison:
    score = table.column(SCORE)
    least = choose_least_gain(predicted, score, base)
    chosen = score[np.arange(len(score)), pick(predicted, base, least_gain=least)]
    is_clean = np.array([d == "none" for d in table.disturbances])

    def gain(rows: np.ndarray) -> Interval:
        return paired_difference(chosen[rows], score[rows, base])

    return Comparison(
        inputs, form, within_image_rank_correlation(predicted, score), gain(is_clean), gain(~is_clean), least
    )


def greedy_portfolio(score: np.ndarray, n: int, *, first: int = 0) -> list[int]:
    """``n`` settings in the order in which each adds most to the mean of the best so far (Xu et al. 2010).

    Args:
        score: (C, S), higher is better.
        n: how many, at most S.
        first: the one to begin with.
    """
    chosen, best = [first], score[:, first].copy()
    while len(chosen) < min(n, score.shape[1]):
        gain = np.maximum(score, best[:, None]).mean(0)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        best = np.maximum(best, score[:, chosen[-1]])
    return chosen


def calibrate(
    table: ResponseTable,
    *,
    form: str,
    inputs: Sequence[str],
    n_panel: int = 0,
    n_starts: int = 31,
    seed: int = 0,
    perceiver: str = CORTEX,
    about: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit the form that was kept on the whole table, and make the file that ships.

    Args:
        table: of training images.
        form: one of ``FORMS``.
        inputs: names; those of a panel among them are replaced by those of the panel that is kept.
        n_panel: members of the panel, chosen to complement each other; 0 for none.
        n_starts: settings to try first, chosen likewise, the defaults not counted.
        seed: of the folds.
        perceiver: name of the cortex that the table was measured with.
        about: provenance.
    """
    score, u = table.column(SCORE), table.settings_for(PARAMETERS).astype(np.float32)
    panel = sorted(greedy_portfolio(score, n_panel)) if n_panel else []
    names = [name for name in inputs if not name.startswith(PANEL)]
    columns = [*names, *(f"{prefix}{k:02d}" for prefix in PANEL for k in panel)]
    predicted = cross_predict(table, columns, FORMS[form], seed=seed)
    fitted = FORMS[form](inputs_of(table, columns), score)
    judged = _judge(table, predicted, _base(table), inputs=f"{len(columns)} inputs", form=form)
    starts = greedy_portfolio(score, n_starts + 1)[1:]
    return Calibration(
        names=(*names, *(f"{prefix}{k:02d}" for prefix in PANEL for k in range(len(panel)))),
        mean=fitted.mean,
        scale=fitted.scale,
        layers=fitted.layers,
        panel=u[panel],
        starts=u[starts],
        parameters=PARAMETERS.names,
        perceiver=perceiver,
        min_gain=judged.least_gain,
        n_views=int(table.meta.get("n_views", 0)) if {"term.stability", "term.consistency"} & set(names) else 0,
        about={
            "form": form,
            "date": datetime.date.today().isoformat(),
            "seed": seed,
            "n_images": len(set(table.images)),
            "n_cases": len(table.cases),
            "n_settings": table.n_settings,
            "cross_validated": {
                "rank_correlation": str(judged.rank_correlation),
                "gain_clean": str(judged.clean),
                "gain_disturbed": str(judged.disturbed),
            },
            "measured": {k: v for k, v in table.meta.items() if isinstance(v, str | int | float)},
            **(about or {}),
        },
    )


def _base(table: ResponseTable) -> int:
    return int(best_fixed(table, train=table, score=SCORE).index[0])
