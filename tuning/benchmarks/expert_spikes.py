"""Naming by what M5's experts have told by a time: their hidden units are populations of spiking neurons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from ciliary.cortex.neurons.codes import Population, Told, listen
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.benchmarks.episodes import Episode, unit_accuracy
from ciliary.tuning.benchmarks.findings import percent, rounded
from ciliary.tuning.benchmarks.naming import PROTOTYPE, name_all
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.representations import codes_with
from ciliary.tuning.benchmarks.tokens import Features, Tokens, sets
from ciliary.tuning.runs.tables import NONE, Table

TIMES_MS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_CODES = ("latency", "rate")
_RHEOBASE_SHARE = 0.05  # of the mean answer of a hidden unit that answers, on the training images


@dataclass(frozen=True)
class ToldNaming:
    """Test images named rightly by what spikes have told by a time."""

    told_by: str
    after_ms: float | None
    spikes_an_image: float | None
    named: Interval


def naming_in_time(
    named: NamedImages, train: Tokens, test: Tokens, net: ExpertBank, episodes: Sequence[Episode]
) -> list[ToldNaming]:
    """Test images by the nearest class mean of what has been told by each of :data:`TIMES_MS`, and without spikes.

    Examples are known as without spikes. Where a unit begins to fire is set on training images.
    """
    features = codes_with(train, net, net.n_active)
    rheobase = _RHEOBASE_SHARE * _mean_answer(train, net)

    def accuracy(codes: Features) -> Interval:
        targets = {"test": codes}
        ((_, scores),) = name_all(PROTOTYPE, features, named.train.labels, targets, episodes, named.n_classes)
        return bootstrap_mean(unit_accuracy(scores, named, episodes))

    rows = [
        ToldNaming(code, time_ms, n_spikes, accuracy(codes))
        for code in _CODES
        for time_ms, codes, n_spikes in codes_in_time(test, net, Population(code=code, rheobase=rheobase))  # type: ignore[arg-type]
    ]
    return [*rows, ToldNaming("without spikes", None, None, accuracy(codes_with(test, net, net.n_active)))]


@torch.no_grad()
def codes_in_time(
    tokens: Tokens, net: ExpertBank, population: Population, times_ms: Sequence[float] = TIMES_MS
) -> Iterator[tuple[float, Features, float]]:
    """Each time, the codes of the proto-objects as told by then, and the mean spikes of an image.

    Experts that the router leaves out do not fire.
    """
    standard, gate, hidden = _hidden(tokens, net)
    answering = hidden * (gate > 0)[..., None]
    left = list(times_ms)
    for step, told in enumerate(listen(repeat(answering), population), start=1):
        if step * population.neuron.dt_ms >= left[0] - 1e-9:
            yield left.pop(0), _codes(tokens, net, standard, told), float(told.n_spikes.sum()) / len(tokens)
        if not left:
            return


def _codes(tokens: Tokens, net: ExpertBank, standard: Tensor, told: Told) -> Features:
    code = net(standard, relay=lambda _: told.response)[0]
    return sets(code.unflatten(0, tokens.weight.shape).numpy(), tokens.weight)


def _hidden(tokens: Tokens, net: ExpertBank) -> tuple[Tensor, Tensor, Tensor]:
    """Standardised descriptions (M, d), gates (M, E) and hidden units (M, E, 24) of all proto-objects."""
    standard = net.standardise(torch.from_numpy(tokens.description).flatten(0, 1))
    kept: list[Tensor] = []

    def keep(hidden: Tensor) -> Tensor:
        kept.append(hidden)
        return hidden

    gate = net(standard, relay=keep)[2]
    return standard, gate, kept[0]


@torch.no_grad()
def _mean_answer(tokens: Tokens, net: ExpertBank) -> float:
    _, gate, hidden = _hidden(tokens, net)
    answers = hidden[(gate > 0)[..., None] & (hidden > 0)]
    return float(answers.mean()) if len(answers) else 1.0


def spikes_table(found: Sequence[ToldNaming], n_shots: int) -> Table:
    """What :func:`naming_in_time` found, for a page."""
    rows = [
        (
            one.told_by,
            NONE if one.after_ms is None else f"{one.after_ms:g}",
            NONE if one.spikes_an_image is None else rounded(one.spikes_an_image, 0),
            percent(one.named),
        )
        for one in found
    ]
    note = "Percent, by the nearest class mean. Hidden units of the experts that answer are LIF neurons of 10 ms."
    columns = ("told by", "after, ms", "spikes an image", f"{n_shots}-shot")
    return Table("Naming told by spikes", columns, tuple(rows), note=note)
