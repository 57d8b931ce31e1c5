"""First exam: how many examples does it take to learn a name?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.benchmarks import ink
from ciliary.tuning.benchmarks.curves import Curves, draw_curves
from ciliary.tuning.benchmarks.episodes import Episode, draw_episodes, most_shots, unit_accuracy, unit_words
from ciliary.tuning.benchmarks.findings import Findings, numbers_of, percent, rounded
from ciliary.tuning.benchmarks.naming import (
    CLASSIFIERS,
    MATCHED,
    VOTES,
    calibration_error,
    confidence,
    fit_temperature,
    name_all,
)
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.representations import (
    BOTH,
    CELLS,
    DEEP,
    FIGURE,
    GLOBAL,
    GLOBAL_DEEP,
    LEARNED,
    MATHEMATICAL,
    RANDOM,
    SHAPED,
    WORDS,
    Representation,
)
from ciliary.tuning.benchmarks.tokens import Features, Tokens
from ciliary.tuning.runs.tables import Table

# Of one vector an image, its only "part" is the image: votes would be plain nearest neighbours.
NO_SETS = (GLOBAL, GLOBAL_DEEP, FIGURE)
# What the exam is about, as differences.
PAIRS = (
    (LEARNED, MATHEMATICAL), (LEARNED, RANDOM), (LEARNED, GLOBAL), (MATHEMATICAL, RANDOM), (MATHEMATICAL, GLOBAL),
    (DEEP, GLOBAL_DEEP), (BOTH, DEEP), (BOTH, GLOBAL_DEEP), (SHAPED, LEARNED), (SHAPED, MATHEMATICAL),
    (FIGURE, GLOBAL),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Named:
    """How one representation and classifier did with so many examples of each class.

    Attributes:
        units: accuracy of each test image, or of each official run.
        episodes: (E,) accuracy of each episode.
        error: calibration error, all episodes together; NaN where no image was left to calibrate on.
    """

    representation: str
    classifier: str
    n_shots: int
    units: np.ndarray
    episodes: np.ndarray
    error: float

    @property
    def accuracy(self) -> Interval:
        """Mean."""
        return bootstrap_mean(self.units)


def few_shot(
    named: NamedImages,
    train: Tokens,
    test: Tokens,
    found: Mapping[str, Representation],
    *,
    shots: Sequence[int],
    n_episodes: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Name the test images from 1, 5, 20 ... examples of each class.

    Args:
        named: labels.
        train, test: what was perceived of its halves.
        found: of :func:`~ciliary.tuning.benchmarks.representations.representations`.
        shots: numbers of examples; those that a class does not have are left out, and said.
        n_episodes: draws of examples.
        seed: of the draws.
        progress: told of each representation.

    Raises:
        ValueError: no number of examples is left.
    """
    kept, notes = possible_shots(named, shots)
    draws = {n: draw_episodes(named, n, n_episodes, seed=seed) for n in kept}
    results: list[Named] = []
    for name, representation in found.items():
        for classifier in classifiers_for(name):
            results += _name(named, representation(train), representation(test), draws, name, classifier)
        if progress is not None:
            progress(1)
    if named.has_runs:
        results += _by_ink(named, kept[0], draws[kept[0]])
    n_drawn = len(draws[kept[0]])
    units = {key: {n: one.units for n, one in own.items()} for key, own in _by_key(results).items()}
    return Findings(
        tables=(
            _table(results, kept),
            *differences(units, {n: f"{n}-shot" for n in kept}, title="What it gains"),
            _explained([*found, *(ink.WORDS if named.has_runs else ())]),
        ),
        figures={"Named rightly": draw_curves(_curves(results, kept, named.n_classes))},
        numbers={"chance": 1 / named.n_classes, "results": [_record(one) for one in results]},
        about={
            "episodes": f"{n_drawn} official runs" if named.has_runs else f"{n_drawn} draws of examples, seed {seed}",
            "intervals": unit_words(named),
            "calibration": "temperature fitted on training images that are no examples, never on test images",
        },
        notes=notes,
    )


def possible_shots(named: NamedImages, shots: Sequence[int]) -> tuple[list[int], tuple[str, ...]]:
    """The numbers of examples that can be drawn, and a note on the others.

    Raises:
        ValueError: none can.
    """
    most = most_shots(named)
    if named.has_runs:
        return [most], () if list(shots) == [most] else (f"official runs: {most} example of each class, no others",)
    kept = sorted({n for n in shots if 1 <= n <= most})
    if not kept:
        raise ValueError(f"asked for {', '.join(map(str, shots))} examples of each class, one class has only {most}")
    left_out = sorted(set(shots) - set(kept))
    return kept, tuple(f"no {n} examples of each class: one has only {most}" for n in left_out)


def classifiers_for(representation: str) -> tuple[str, ...]:
    """Classifiers that mean something for a representation."""
    if representation == CELLS:
        return (MATCHED,)
    return tuple(c for c in CLASSIFIERS if c != VOTES or representation not in NO_SETS)


def _name(
    named: NamedImages,
    train: Features,
    test: Features,
    draws: Mapping[int, list[Episode]],
    representation: str,
    classifier: str,
) -> list[Named]:
    """Results for each number of examples."""
    episodes = [one for own in draws.values() for one in own]  # all at once: matches are computed once
    labels = named.train.labels
    targets = {"test": test} if named.has_runs else {"test": test, "validation": train}
    scores = dict(name_all(classifier, train, labels, targets, episodes, named.n_classes))
    results, start = [], 0
    for n_shots, own in draws.items():
        rights, surenesses = [], []
        for i, one in enumerate(own, start=start):
            temperature = float("nan")
            if len(one.validation):
                temperature = fit_temperature(scores["validation"][i][one.validation], labels[one.validation])
            answers = scores["test"][i][one.query]
            rights.append(answers.argmax(1) == named.test.labels[one.query])
            surenesses.append(confidence(answers, temperature))
        units = unit_accuracy(scores["test"][start : start + len(own)], named, own)
        error = calibration_error(np.concatenate(surenesses), np.concatenate(rights))
        accuracies = np.array([right.mean() for right in rights])
        results.append(Named(representation, classifier, n_shots, units, accuracies, error))
        start += len(own)
    return results


def _by_ink(named: NamedImages, n_shots: int, episodes: Sequence[Episode]) -> list[Named]:
    """What can be had without a cortex."""
    results = []
    for name, scores in ink.ink_scores(named, episodes).items():
        units = unit_accuracy(scores, named, episodes)
        results.append(Named(name, ink.NEAREST, n_shots, units, units, float("nan")))
    return results


def _by_key(results: Sequence[Named]) -> dict[tuple[str, str], dict[int, Named]]:
    """(representation, classifier) -> number of examples -> result."""
    found: dict[tuple[str, str], dict[int, Named]] = {}
    for one in results:
        found.setdefault((one.representation, one.classifier), {})[one.n_shots] = one
    return found


def _table(results: Sequence[Named], shots: Sequence[int]) -> Table:
    rows = [
        (*key, *(text for n in shots for text in (percent(own[n].accuracy), rounded(own[n].error, 3))))
        for key, own in _by_key(results).items()
    ]
    columns = [name for n in shots for name in (f"{n}-shot", f"ECE {n}")]
    note = (
        "Percent. ECE: expected calibration error after temperature scaling, 15 bins, all episodes together; – where "
        "no image is left to fit the temperature on."
    )
    return Table("Named rightly", ("named by", "classifier", *columns), tuple(rows), n_words=2, note=note)


Units = Mapping[tuple[str, str], Mapping[Any, np.ndarray]]
"""(representation, classifier) -> column -> accuracy of each test image, or of each official run."""


def differences(units: Units, columns: Mapping[Any, str], *, title: str) -> list[Table]:
    """Paired, of the same images and examples; none where nothing can be compared. ``columns`` have their titles."""
    rows = [
        (f"{a} − {b}", classifier,
         *(percent(paired_difference(units[a, classifier][n], units[b, classifier][n])) for n in columns))
        for a, b in PAIRS
        for classifier in CLASSIFIERS
        if (a, classifier) in units and (b, classifier) in units
    ]  # fmt: skip
    note = "Points of percent, paired: the same examples and the same test images."
    names = ("difference", "classifier", *columns.values())
    return [Table(title, names, tuple(rows), n_words=2, note=note)] if rows else []


def _explained(names: Sequence[str]) -> Table:
    rows = tuple((name, {**WORDS, **ink.WORDS}.get(name, "")) for name in names)
    return Table("What images are named by", ("named by", "what it is"), rows, n_words=2)


def _curves(results: Sequence[Named], shots: Sequence[int], n_classes: int) -> Curves:
    used = {one.classifier for one in results}
    panels: dict[str, dict[str, list[Interval]]] = {
        name: {} for name in (*CLASSIFIERS, MATCHED, ink.NEAREST) if name in used
    }
    for one in results:
        panels[one.classifier].setdefault(one.representation, []).append(one.accuracy)
    return Curves(
        panels, shots, "examples of each class", "test images named rightly, %", ("chance", 1 / n_classes), True, 100.0
    )


def _record(one: Named) -> dict[str, object]:
    return {
        "representation": one.representation,
        "classifier": one.classifier,
        "shots": one.n_shots,
        "accuracy": numbers_of(one.accuracy),
        "calibration_error": None if one.error != one.error else one.error,
        "episodes": one.episodes.round(6).tolist(),
    }
