"""Second exam: is an image still named, and its description completed, when part of it is hidden?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ciliary.cortex.description import PARTS
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.benchmarks.completion import OCCLUDERS, Occluder, Standard, completion_errors
from ciliary.tuning.benchmarks.curves import Curves, draw_curves
from ciliary.tuning.benchmarks.episodes import draw_episodes, unit_accuracy, unit_words
from ciliary.tuning.benchmarks.few_shot import classifiers_for, differences, possible_shots
from ciliary.tuning.benchmarks.findings import Findings, numbers_of, percent, rounded
from ciliary.tuning.benchmarks.naming import PROTOTYPE, name_all
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.representations import Representation
from ciliary.tuning.benchmarks.tokens import Tokens
from ciliary.tuning.runs.tables import Table

SHARES = (0.25, 0.5, 0.75)
CONDITIONS = tuple(Occluder(kind, share) for kind in OCCLUDERS for share in SHARES)
CLEAN = Occluder("grey", 0.0)  # hides nothing, of whatever kind

Errors = Mapping[Occluder, Mapping[str, Mapping[str, Interval]]]
"""Occluder -> part of the description -> who fills it in -> error."""


@dataclass(frozen=True, eq=False)
class Robust:
    """How one representation and classifier named images of which part is hidden; ``units`` as in the first exam."""

    representation: str
    classifier: str
    occluder: Occluder
    units: np.ndarray

    @cached_property
    def accuracy(self) -> Interval:
        """Mean over test images."""
        return bootstrap_mean(self.units)


def occlusion(
    named: NamedImages,
    train: Tokens,
    test: Mapping[Occluder, Tokens],
    found: Mapping[str, Representation],
    net: ExpertBank | None,
    *,
    n_shots: int,
    n_episodes: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Examples are seen whole, test images behind a square.

    Args:
        named: labels.
        train: what was perceived of the training half.
        test: what was perceived of the test half behind each occluder, :data:`CLEAN` among them.
        found: of :func:`~ciliary.tuning.benchmarks.representations.representations`.
        net: of the learned M5, for completion, or None.
        n_shots: examples of each class.
        n_episodes: draws of examples.
        seed: of the draws.
        progress: told of each representation.

    Raises:
        ValueError: too few examples.
    """
    (n_shots,), notes = possible_shots(named, [n_shots])
    results: list[Robust] = []
    for name, representation in found.items():
        results += _name(named, representation, train, test, name, n_shots, n_episodes, seed)
        if progress is not None:
            progress(1)
    standard = Standard.of(train, net)
    errors: Errors = {
        occluder: {
            part: {who: bootstrap_mean(error) for who, error in own.items()}
            for part, own in completion_errors(tokens, standard, net).items()
        }
        for occluder, tokens in test.items()
    }
    if net is None:
        notes = (*notes, "M5 is not learned: it completes by the gist alone")
    drawn = "official runs" if named.has_runs else f"{n_episodes} draws, seed {seed}"
    return Findings(
        tables=(
            *(_accuracy_table(results, kind) for kind in OCCLUDERS),
            *_gains(results),
            _completion_table(errors, OCCLUDERS[0]),
        ),
        figures={
            "Named rightly": draw_curves(_accuracy_curves(results, named.n_classes)),
            "Completion": draw_curves(_completion_curves(errors)),
        },
        numbers={
            "chance": 1 / named.n_classes,
            "shots": n_shots,
            "results": [_record(one) for one in results],
            "completion": _completion_records(errors),
        },
        about={
            "examples": f"{n_shots} of each class, seen whole; {drawn}",
            "occluders": "one square at a seeded place of each test image: grey (128), uniform noise, black",
            "intervals": unit_words(named),
        },
        notes=notes,
    )


def _name(
    named: NamedImages,
    representation: Representation,
    train: Tokens,
    test: Mapping[Occluder, Tokens],
    name: str,
    n_shots: int,
    n_episodes: int,
    seed: int,
) -> list[Robust]:
    episodes = draw_episodes(named, n_shots, n_episodes, seed=seed)
    features = representation(train)
    targets = {occluder: representation(tokens) for occluder, tokens in test.items()}
    return [
        Robust(name, classifier, occluder, unit_accuracy(scores, named, episodes))
        for classifier in classifiers_for(name)
        for occluder, scores in name_all(
            classifier, features, named.train.labels, targets, episodes, named.n_classes
        )
    ]  # fmt: skip


def _of_kind(occluders: Sequence[Occluder], kind: str) -> list[Occluder]:
    """Those of a kind, clean first."""
    return sorted({one for one in occluders if one.kind == kind or one == CLEAN}, key=lambda one: one.share)


def _accuracy_table(results: Sequence[Robust], kind: str) -> Table:
    shown = _of_kind([one.occluder for one in results], kind)
    found = {(one.representation, one.classifier, one.occluder): one.accuracy for one in results}
    keys = dict.fromkeys((one.representation, one.classifier) for one in results)
    rows = [(*key, *(percent(found[key[0], key[1], occluder]) for occluder in shown)) for key in keys]
    columns = ("named by", "classifier", *(f"{100 * one.share:.0f} % hidden" for one in shown))
    return Table(f"Named rightly behind a {kind} square, percent", columns, tuple(rows), n_words=2)


def _gains(results: Sequence[Robust]) -> list[Table]:
    """Who is ahead of whom where half is hidden, and where nothing is."""
    units: dict[tuple[str, str], dict[Occluder, np.ndarray]] = {}
    for one in results:
        units.setdefault((one.representation, one.classifier), {})[one.occluder] = one.units
    half = {o: f"50 % {o.kind}" for o in dict.fromkeys(one.occluder for one in results) if o.share == 0.5}
    return differences(units, {CLEAN: "nothing hidden"} | half, title="What it gains")


def _accuracy_curves(results: Sequence[Robust], n_classes: int) -> Curves:
    """By the nearest class mean, which everything can be named by: one classifier, so that features are compared."""
    panels: dict[str, dict[str, list[Interval]]] = {f"{kind} square": {} for kind in OCCLUDERS}
    shown = _of_kind([one.occluder for one in results], OCCLUDERS[0])
    for kind in OCCLUDERS:
        for occluder in _of_kind([one.occluder for one in results], kind):
            for one in results:
                if one.occluder == occluder and one.classifier == PROTOTYPE:
                    panels[f"{kind} square"].setdefault(one.representation, []).append(one.accuracy)
    x = [100 * one.share for one in shown]
    return Curves(panels, x, "hidden, %", "named rightly by class means, %", ("chance", 1 / n_classes), scale=100.0)


def _completion_table(errors: Errors, kind: str) -> Table:
    shown = _of_kind(list(errors), kind)
    rows = [
        (part, who, *(rounded(errors[occluder][part][who].mean) for occluder in shown))
        for part in PARTS
        for who in errors[CLEAN][part]
    ]
    columns = ("hidden part", "filled in by", *(f"{100 * one.share:.0f} % hidden" for one in shown))
    note = (
        "Mean square error, each entry in units of its spread, of the proto-objects of test images seen behind a "
        f"{kind} square; other squares are in the JSON. What is filled in is what M5 would have been told."
    )
    return Table("Completion of a hidden part of the description", columns, tuple(rows), n_words=2, note=note)


def _completion_curves(errors: Errors) -> Curves:
    """A panel for each part, behind the first kind of square."""
    shown = _of_kind(list(errors), OCCLUDERS[0])
    panels = {part: {who: [errors[o][part][who] for o in shown] for who in own} for part, own in errors[CLEAN].items()}
    label = "mean square error of the hidden part"
    return Curves(panels, [100 * one.share for one in shown], f"of the image hidden ({OCCLUDERS[0]}), %", label)


def _record(one: Robust) -> dict[str, object]:
    return {
        "representation": one.representation,
        "classifier": one.classifier,
        **_where(one.occluder),
        "accuracy": numbers_of(one.accuracy),
    }


def _completion_records(errors: Errors) -> list[dict[str, object]]:
    return [
        {**_where(occluder), "part": part, "filled_in_by": who, "error": numbers_of(value)}
        for occluder, own in errors.items()
        for part, by in own.items()
        for who, value in by.items()
    ]


def _where(occluder: Occluder) -> dict[str, object]:
    return {"occluder": "none" if occluder == CLEAN else occluder.kind, "hidden": occluder.share}
