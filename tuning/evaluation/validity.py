"""Does a label-free number say how good a percept is? A report on every term and feature of a response table.

A number can be valid in two ways: *within* an image it ranks settings as people would, so that a controller may follow
it; *across* images it tells which percepts to trust, so that one knows when to adapt. Ranks are Spearman's (1904).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.metrics.statistics import (
    Interval,
    across_image_rank_correlation,
    bootstrap_mean,
    paired_difference,
    row_rank_correlation,
)
from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.evaluation.selectors import (
    CLEAN,
    ProtocolRow,
    best_fixed,
    fixed,
    image_means,
    oracle,
    pick,
    random,
    scores_of,
    select_all,
    summarise,
)
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs.tables import rows_to_markdown

LOSSES = "term."
FEATURES = "feature."
SCORES = "score."
PREDICTED = "term.calibrated"
MIN_SEGMENTS = 1.5  # effective number of segments under which a percept is one region and a little


@dataclass(frozen=True)
class ValidityRow:
    """What one label-free column knows about one score; the unit of every interval is the image.

    Attributes:
        within: rank correlation of column and score over the settings of an image, mean over images. A good loss is
            near -1.
        near: the same over the settings nearest the default.
        across: rank correlation over images at the default setting (means of an image's cases, if it has several).
        picked: score where the column chooses each case's setting.
        gain: of that over the best fixed setting of the training table, paired.
        collapse_rate: share of cases where the chosen setting gives fewer than 1.5 effective segments; None when the
            table has no column for them.
        gain_per_ms: mean gain by the milliseconds a candidate costs; None when the table's meta does not tell.
    """

    column: str
    score: str
    within: Interval
    near: Interval
    across: Interval
    picked: Interval
    gain: Interval
    collapse_rate: float | None
    gain_per_ms: float | None


def validity_report(
    table: ResponseTable,
    *,
    train: ResponseTable,
    scores: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    near_share: float = 0.25,
) -> list[ValidityRow]:
    """One row for each score and column, the columns that choose best first.

    Args:
        table: to report on; one group of cases (:meth:`ResponseTable.where`) makes the clearest report.
        train: chooses the best fixed setting (on its clean cases, where it has any) and each feature's sign (on all).
            Of other images, or the report flatters.
        scores: columns; all ``score.*`` when None.
        columns: label-free columns; all ``term.*`` and ``feature.*`` when None. Terms are losses, to be minimised;
            others are minimised or maximised as their mean correlation within the training images tells.
        near_share: of the settings, in (0, 1], that count as near the default; at least 8 of them where there are 8.

    Raises:
        ValueError: a score is not finite, or the tables have other settings.
    """
    report = []
    near = near_default(table.u, share=near_share)
    group = CLEAN if len(train.rows(disturbance=CLEAN)) else "*"
    for score in table.names(SCORES) if scores is None else scores:
        truth, truth_train = scores_of(table, score), scores_of(train, score)
        reference = best_fixed(table, train=train, disturbance=group, score=score)
        rows = []
        for column in table.names(LOSSES) + table.names(FEATURES) if columns is None else columns:
            values = table.column(column)
            loss = values if column.startswith(LOSSES) else -feature_sign(train.column(column), truth_train) * values
            selection = pick(table, loss, score=score)
            picked, kept = (image_means(table.images, s.scores) for s in (selection, reference))
            gain = paired_difference(_array(picked), _array(kept))
            cost_ms = cost_of(column, table.meta.get("ms_per_candidate", {}))
            rows.append(
                ValidityRow(
                    column,
                    score,
                    within=_mean_correlation(table.images, values, truth),
                    near=_mean_correlation(table.images, values[:, near], truth[:, near]),
                    across=_across(table.images, values[:, 0], truth[:, 0]),
                    picked=bootstrap_mean(_array(picked)),
                    gain=gain,
                    collapse_rate=collapse_rate(table, selection.index),
                    gain_per_ms=gain.mean / cost_ms if cost_ms else None,
                )
            )
        report += sorted(rows, key=lambda row: -row.gain.mean)
    return report


def with_predictions(table: ResponseTable, calibration: Calibration) -> ResponseTable:
    """The table with ``term.calibrated``, 1 - the score that the calibration predicts of each percept.

    Raises:
        KeyError: the table lacks what the calibration needs.
        ValueError: the table's percepts were compared with another panel.
    """
    n_panel, u = len(calibration.panel), table.settings_for(PARAMETERS)
    if n_panel and not (
        u[:n_panel].shape == calibration.panel.shape and np.allclose(u[:n_panel], calibration.panel, atol=1e-5)
    ):
        raise ValueError(
            f"the table's first {n_panel} settings are not the calibration's panel: measure it with that panel first"
        )
    inputs = {name: torch.from_numpy(values.ravel()) for name, values in table.columns.items()}
    score = calibration.predict(inputs).numpy().reshape(len(table.cases), table.n_settings)
    return table.with_columns({PREDICTED: 1 - score})


def protocol_rows(table: ResponseTable, train: ResponseTable | None = None) -> list[ProtocolRow]:
    """Every protocol on a response table, the raw and the calibrated objective among them where it has them.

    Without ``train`` nothing can choose a best fixed setting: the defaults are the reference.
    """
    losses = {
        name: column for name, column in (("raw", "term.total"), ("calibrated", PREDICTED)) if column in table.columns
    }
    if train is not None:
        return summarise(table, select_all(table, train=train, losses=losses))
    chosen = [pick(table, column, protocol=name) for name, column in losses.items()]
    return summarise(table, [random(table), fixed(table), *chosen, oracle(table)], reference="fixed")


def validity_markdown(rows: Sequence[ValidityRow]) -> str:
    """One Markdown table for each score, under its name."""
    parts = []
    for score in dict.fromkeys(row.score for row in rows):
        table = rows_to_markdown([row for row in rows if row.score == score], without=["score"])
        parts.append(f"### {score.removeprefix(SCORES)}\n\n{table}")
    return "\n".join(parts)


def heard_rank_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of two (C, S), over the settings where both are numbers.

    Returns:
        (C,) in [-1, 1]; NaN for a row that is constant or has fewer than 3 such settings.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    result = np.full(len(x), np.nan)
    is_number = ~(np.isnan(x) | np.isnan(y))
    whole = is_number.all(1)
    if x.shape[1] >= 3:
        result[whole] = row_rank_correlation(x[whole], y[whole])
    for i in np.flatnonzero(~whole & (is_number.sum(1) >= 3)):
        result[i] = row_rank_correlation(x[i, is_number[i]][None], y[i, is_number[i]][None])[0]
    return result


def feature_sign(values: np.ndarray, truth: np.ndarray) -> float:
    """1 where more of a feature goes with a higher score within images, -1 where less does, 0 where it says nothing."""
    correlations = heard_rank_correlation(values, truth)
    heard = correlations[~np.isnan(correlations)]
    return float(np.sign(heard.mean())) if len(heard) else 0.0


def near_default(u: np.ndarray, *, share: float, at_least: int = 8) -> np.ndarray:
    """Indices of the settings nearest row 0 by root mean square distance, the default first.

    Raises:
        ValueError: ``share`` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share in (0, 1], got {share}")
    distance = np.sqrt(((u - u[0]) ** 2).mean(1))
    return np.argsort(distance, kind="stable")[: max(at_least, round(share * len(u)))]


def collapse_rate(table: ResponseTable, index: np.ndarray, *, min_segments: float = MIN_SEGMENTS) -> float | None:
    """Share of cases whose setting ``index`` (C,) gives fewer effective segments; None without ``*.n_segments``."""
    names = [name for name in (f"{FEATURES}n_segments", f"{LOSSES}n_segments") if name in table.columns]
    if not names:
        return None
    return float(np.mean(table.column(names[0])[np.arange(len(index)), index] < min_segments))


def cost_of(column: str, ms_per_candidate: Mapping[str, float]) -> float | None:
    """Milliseconds of the column's group: the longest key its name starts with ("feature", "term.stability")."""
    keys = [key for key in ms_per_candidate if column == key or column.startswith(f"{key.rstrip('.')}.")]
    return float(ms_per_candidate[max(keys, key=len)]) if keys else None


def _mean_correlation(images: Sequence[str], x: np.ndarray, y: np.ndarray) -> Interval:
    correlations = heard_rank_correlation(x, y)
    heard = ~np.isnan(correlations)
    named = [image for image, is_heard in zip(images, heard, strict=True) if is_heard]
    n_skipped = len(set(images)) - len(set(named))
    if not named:
        return Interval(np.nan, np.nan, np.nan, 0, n_skipped)
    result = bootstrap_mean(_array(image_means(named, correlations[heard])))
    return Interval(result.mean, result.low, result.high, result.n, n_skipped)


def _across(images: Sequence[str], x: np.ndarray, y: np.ndarray) -> Interval:
    heard = np.isfinite(x)
    named = [image for image, is_heard in zip(images, heard, strict=True) if is_heard]
    if not named:
        return Interval(np.nan, np.nan, np.nan, 0, len(set(images)))
    return across_image_rank_correlation(*(_array(image_means(named, v[heard])) for v in (x, y)))


def _array(means: Mapping[str, float]) -> np.ndarray:
    return np.array(list(means.values()))
