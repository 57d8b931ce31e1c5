"""Percepts at a time beside what people drew, and what they cost in spikes and operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.spiking import Spiking, fan_out, perceive_in_time
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.labelled import LabelledImage, LabelledSet, read_bsds, read_labelled_folder
from ciliary.envs.metrics.regions import region_covering
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.benchmarks.operations import multiply_adds_of
from ciliary.tuning.spikes.settings import SpikesSettings, SpikesTraining

#: Energy of an addition and of a multiply-add of 32 bits, in picojoules at 45 nm (Horowitz, ISSCC 2014, figure 1.1.9).
ADDITION_PJ, MULTIPLY_ADD_PJ = 0.9, 4.6
WITHOUT = "without spikes"
ONE = "one region"


@dataclass(frozen=True)
class Look:
    """What came of one photograph: covering, and spikes of each population, by code and time."""

    covering: Mapping[tuple[str, float], float]
    n_spikes: Mapping[tuple[str, float], Mapping[str, float]]
    without: float  # covering of the percept without spikes
    one: float  # and of the whole picture as one region
    multiply_adds: float  # of M1 and M2 without spikes, but for V1's filters, which drive the spikes too


@dataclass(frozen=True)
class Row:
    """A code at a time, over all photographs."""

    told_by: str
    after_ms: float | None
    covering: Interval
    less_without_spikes: Interval | None
    retina_kspikes: float | None
    v1_kspikes: float | None
    m2_kspikes: float | None
    synaptic_Mops: float | None  # noqa: N815 -- a heading: millions
    energy_uJ: float | None  # noqa: N815 -- a heading: microjoules


def read_labelled(settings: SpikesSettings | SpikesTraining) -> LabelledSet:
    """The photographs that people drew.

    Raises:
        ValueError, OSError: they are not there, or cannot be read.
    """
    root = settings.labelled
    assert root is not None
    if (root / "groundTruth").is_dir():
        data = read_bsds(root, settings.split)  # type: ignore[arg-type]
    else:
        data = read_labelled_folder(root)
    return data if settings.n_images is None else data.evenly(settings.n_images)


def sit(image: LabelledImage, cortex: Cortex, codes: Mapping[str, Spiking], times_ms: Sequence[float], px: int) -> Look:
    """One photograph: its percept by each code at each time, beside what people drew of it."""
    seen = to_device(as_photograph(image.image, image.name, px).image[None], cortex.device)
    covering: dict[tuple[str, float], float] = {}
    n_spikes: dict[tuple[str, float], dict[str, float]] = {}
    for code, spiking in codes.items():
        for moment in perceive_in_time(cortex, seen, times_ms=times_ms, spiking=spiking):
            key = code, moment.time_ms
            covering[key] = covering_of(moment.percept.labels(image.size), image)
            n_spikes[key] = {name: float(n[0]) for name, n in moment.n_spikes.items()}
    with torch.no_grad():
        plain = cortex(seen).labels(image.size)
    m1, m2, v1 = multiply_adds_of(cortex, seen, "m1", "m2", "m1.v1")
    whole = covering_of(torch.zeros_like(plain), image)
    return Look(covering, n_spikes, covering_of(plain, image), whole, m1 + m2 - v1)


def covering_of(labels: Tensor, image: LabelledImage) -> float:
    """Region covering of labels (1, H, W) at the photograph's own size."""
    return region_covering(labels[0].cpu().numpy(), image.people)


def summary(looks: Sequence[Look], *, is_counted: bool = True) -> list[Row]:
    """Rows: a line for each code and time, between one region and no spikes.

    Args:
        looks: of all photographs.
        is_counted: whether operations and energy are told: of a cortex that inherits, networks read the spikes, whose
            operations :func:`~ciliary.cortex.spiking.fan_out` does not know.
    """
    without = np.array([one.without for one in looks])
    fan = fan_out()
    multiply_adds = float(np.mean([one.multiply_adds for one in looks]))
    whole = np.array([one.one for one in looks])
    rows = [Row(ONE, None, bootstrap_mean(whole), paired_difference(whole, without), *5 * (None,))]
    for code, time_ms in looks[0].covering:
        key = code, time_ms
        values = np.array([one.covering[key] for one in looks])
        spikes = {name: float(np.mean([one.n_spikes[key][name] for one in looks])) for name in looks[0].n_spikes[key]}
        operations = sum(spikes[name] * n for name, n in fan.items())
        rows.append(
            Row(
                code,
                time_ms,
                bootstrap_mean(values),
                paired_difference(values, without),
                spikes["retina"] / 1e3 if "retina" in spikes else None,
                spikes["v1"] / 1e3,
                spikes["m2"] / 1e3,
                operations / 1e6 if is_counted else None,
                operations * ADDITION_PJ / 1e6 if is_counted else None,
            )
        )
    energy = multiply_adds * MULTIPLY_ADD_PJ / 1e6 if is_counted else None
    rows.append(Row(WITHOUT, None, bootstrap_mean(without), *5 * (None,), energy))
    return rows
