"""Ways to choose a setting for each case of a response table, and what each is worth beside the best fixed one.

Fixed settings are what a controller must beat, the oracle is what it cannot (the "single best" and the "virtual best
solver" of algorithm selection: Rice 1976; Bischl et al. 2016, ASlib). Nothing here looks at a validation score to
choose, but for the oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ciliary.envs.metrics.statistics import (
    Interval,
    bootstrap_mean,
    gap_closed,
    harm_rate,
    paired_difference,
    recovered_share,
)
from ciliary.tuning.evaluation.table import ResponseTable

COVERING = "score.covering"
CLEAN = "none"
DISTURBED = "*:*"


@dataclass(frozen=True, eq=False)
class Selection:
    """What a protocol chose: index (C,) into the settings (-1: an expectation over all of them), and scores (C,)."""

    protocol: str
    index: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Standing:
    """How one choice stands on a group of cases; the unit of every interval is the image.

    Attributes:
        gain: over the reference, paired.
        gap_closed: share of the way from the reference to the ceiling; None without a ceiling.
        harm_rate: share of the cases that score worse than the reference.
        recovered: share of what the disturbance costs the reference that is won back; None for clean cases.
    """

    n_images: int
    score: Interval
    gain: Interval
    gap_closed: Interval | None
    harm_rate: float
    recovered: Interval | None


@dataclass(frozen=True)
class _Cases:
    protocol: str
    disturbance: str


@dataclass(frozen=True)
class ProtocolRow(Standing, _Cases):
    """How a protocol stands on the cases of one disturbance; the columns of a table, these two first."""


def scores_of(table: ResponseTable, score: str = COVERING) -> np.ndarray:
    """(C, S) float64 scores.

    Raises:
        ValueError: some are not finite.
    """
    values = table.column(score).astype(float)
    bad = ~np.isfinite(values)
    if bad.any():
        case = table.cases[int(np.argmax(bad.any(1)))]
        raise ValueError(f"{score} is not finite {int(bad.sum())} times, first in {case}: leave such cases out")
    return values


def choose(table: ResponseTable, index: np.ndarray | int, *, protocol: str, score: str = COVERING) -> Selection:
    """What the settings of ``index``, (C,) or one for all, score; for choices made elsewhere."""
    rows = np.broadcast_to(np.asarray(index, dtype=int), (len(table.cases),)).copy()
    if rows.min() < 0 or rows.max() >= table.n_settings:
        raise ValueError(f"expected indices in [0, {table.n_settings}), got {rows.min()} to {rows.max()}")
    return Selection(protocol, rows, scores_of(table, score)[np.arange(len(rows)), rows])


def fixed(table: ResponseTable, *, score: str = COVERING) -> Selection:
    """The defaults, row 0."""
    return choose(table, 0, protocol="fixed", score=score)


def best_fixed(
    table: ResponseTable, *, train: ResponseTable, disturbance: str | Sequence[str] = CLEAN, score: str = COVERING
) -> Selection:
    """The setting with the highest mean score on the cases of ``train`` with this disturbance (clean ones)."""
    return choose(table, best_setting(table, train, disturbance, score=score), protocol="best fixed", score=score)


def refit_fixed(
    table: ResponseTable,
    *,
    train: ResponseTable,
    per: Literal["kind", "all"] = "kind",
    score: str = COVERING,
) -> Selection:
    """The best fixed setting of the disturbed training cases: someone tells it that, or how, images are disturbed.

    Args:
        table: to choose for; its clean cases get the best fixed setting of the clean ones.
        train: where the settings are chosen.
        per: a setting for each kind of disturbance, whatever its severity (there are too few training cases of each
            severity), or one for all disturbed cases.
        score: column.

    Raises:
        ValueError: ``train`` has no case of one of the kinds, or other settings.
    """
    best = {}
    for name in dict.fromkeys(table.disturbances):
        pattern = CLEAN if name == CLEAN else kind_of(name) if per == "kind" else DISTURBED
        best[name] = best_setting(table, train, pattern, score=score)
    index = np.array([best[name] for name in table.disturbances])
    return choose(table, index, protocol="refit fixed" if per == "kind" else "refit fixed (all)", score=score)


def kind_of(disturbance: str) -> str:
    """The pattern of a disturbance at any severity: ``fog:3`` -> ``fog:*``."""
    return f"{disturbance.partition(':')[0]}:*"


def random(table: ResponseTable, *, score: str = COVERING) -> Selection:
    """Any of the settings: the expected score."""
    return Selection("random", np.full(len(table.cases), -1), scores_of(table, score).mean(1))


def pick(
    table: ResponseTable, losses: str | np.ndarray, *, protocol: str | None = None, score: str = COVERING
) -> Selection:
    """The setting with the lowest loss in each case.

    Args:
        table: to choose for.
        losses: a column or (C, S). NaN is never picked; ties, and cases that are all NaN, go to the first setting.
        protocol: name; that of the column if None.
        score: column.
    """
    values = table.column(losses) if isinstance(losses, str) else np.asarray(losses)
    if values.shape != (len(table.cases), table.n_settings):
        raise ValueError(f"expected losses of shape {(len(table.cases), table.n_settings)}, got {values.shape}")
    name = protocol or (losses if isinstance(losses, str) else "pick")
    return choose(table, np.where(np.isnan(values), np.inf, values).argmin(1), protocol=name, score=score)


def oracle(table: ResponseTable, *, score: str = COVERING) -> Selection:
    """The best setting of each case, chosen with its labels."""
    return choose(table, scores_of(table, score).argmax(1), protocol="oracle", score=score)


def select_all(
    table: ResponseTable,
    *,
    train: ResponseTable,
    losses: Mapping[str, str | np.ndarray] | None = None,
    score: str = COVERING,
) -> list[Selection]:
    """Every protocol of this file, with those of ``losses`` (protocol -> column or (C, S)) before the oracle."""
    selections = [random(table, score=score), fixed(table, score=score), best_fixed(table, train=train, score=score)]
    if any(name != CLEAN for name in table.disturbances):
        selections.append(refit_fixed(table, train=train, score=score))
    selections += [pick(table, values, protocol=name, score=score) for name, values in (losses or {}).items()]
    return [*selections, oracle(table, score=score)]


def best_setting(
    table: ResponseTable, train: ResponseTable, disturbance: str | Sequence[str] = CLEAN, *, score: str = COVERING
) -> int:
    """Index of the setting with the highest mean score on the training cases of ``disturbance`` (a pattern).

    Raises:
        ValueError: the tables have other settings, or ``train`` has no such case.
    """
    if not np.array_equal(table.u, train.u):
        raise ValueError(f"the training table has other settings: {train.u.shape} for {table.u.shape}, or other values")
    return int(scores_of(train.where(disturbance=disturbance), score).mean(0).argmax())


def image_means(images: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Image -> mean over its cases, images in order of first appearance; ``values`` (C,)."""
    order = {name: i for i, name in enumerate(dict.fromkeys(images))}
    index = np.array([order[name] for name in images], dtype=int)
    means = np.bincount(index, weights=np.asarray(values, float)) / np.bincount(index)
    return dict(zip(order, means.tolist(), strict=True))


def default_groups(table: ResponseTable) -> dict[str, str]:
    """Label -> pattern of disturbance: each alone, and, where they pool several, each severity and all disturbed."""
    names = list(dict.fromkeys(table.disturbances))
    groups = {"clean" if name == CLEAN else name: name for name in names}
    severities = [name.partition(":")[2] for name in names if name != CLEAN]
    for severity in sorted({s for s in severities if severities.count(s) > 1}):
        groups[f"severity {severity}"] = f"*:{severity}"
    if len(severities) > 1:
        groups["all disturbed"] = DISTURBED
    return groups


def summarise(
    table: ResponseTable,
    selections: Sequence[Selection],
    *,
    reference: str = "best fixed",
    ceiling: str = "oracle",
    groups: Mapping[str, str | Sequence[str]] | None = None,
    harm_tolerance: float = 0.005,
) -> list[ProtocolRow]:
    """One row for each group of cases and protocol.

    Args:
        table: that the selections were made on.
        selections: the reference and the ceiling among them.
        reference: protocol that gains and harm are measured against.
        ceiling: protocol that closes all of the gap.
        groups: label -> pattern(s) of disturbance; :func:`default_groups` when None.
        harm_tolerance: of score, before a case counts as made worse.

    Raises:
        ValueError: reference or ceiling is missing, two protocols share a name, or a group has no case.
    """
    by_name = {selection.protocol: selection.scores for selection in selections}
    if len(by_name) < len(selections) or not {reference, ceiling} <= set(by_name):
        raise ValueError(
            f"expected {reference!r}, {ceiling!r} and no name twice; got {[s.protocol for s in selections]}"
        )
    result = []
    for label, pattern in (default_groups(table) if groups is None else groups).items():
        rows = table.rows(disturbance=pattern)
        if not len(rows):
            raise ValueError(f"no case in group {label!r} ({pattern!r}); there are {sorted(set(table.disturbances))}")
        found = stand(table, by_name, rows, reference=reference, ceiling=ceiling, harm_tolerance=harm_tolerance)
        result += [ProtocolRow(name, label, **vars(one)) for name, one in found.items()]
    return result


def stand(
    table: ResponseTable,
    scores: Mapping[str, np.ndarray],
    rows: np.ndarray,
    *,
    reference: str,
    ceiling: str | None,
    harm_tolerance: float = 0.005,
) -> dict[str, Standing]:
    """How each of the ``scores``, name -> (C,), stands on the cases ``rows`` beside two of them."""
    clean = table.rows(disturbance=CLEAN)
    means = {name: group_means(table, values, rows) for name, values in scores.items()}
    at_clean = {} if set(rows) & set(clean) else group_means(table, scores[reference], clean)
    found = {}
    base, *best = (np.array(list(means[name].values())) for name in (reference, ceiling) if name is not None)
    for name, values in scores.items():
        own = np.array(list(means[name].values()))
        found[name] = Standing(
            len(own),
            bootstrap_mean(own),
            paired_difference(own, base),
            gap_closed(base, own, best[0]) if best else None,
            harm_rate(values[rows], scores[reference][rows], tolerance=harm_tolerance),
            recovered_of(at_clean, means[reference], means[name]),
        )
    return found


def image_array(table: ResponseTable, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """:func:`group_means` as an array (N,)."""
    return np.array(list(group_means(table, values, rows).values()))


def group_means(table: ResponseTable, values: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """Image -> mean of ``values`` (C,) over those of its cases that are in ``rows``."""
    return image_means([table.images[i] for i in rows], values[rows])


def recovered_of(
    clean: Mapping[str, float], disturbed: Mapping[str, float], chosen: Mapping[str, float]
) -> Interval | None:
    """Over the images seen both clean and disturbed; None when there are none."""
    common = [name for name in disturbed if name in clean]
    if not common:
        return None
    return recovered_share(*(np.array([scores[name] for name in common]) for scores in (clean, disturbed, chosen)))
