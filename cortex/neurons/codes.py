"""A population of neurons as a channel: responses go in as currents, spikes come out, and tell the responses again.

Two codes. **rate**: the more spikes by now, the stronger the response. **latency**: each neuron fires once, the sooner
the stronger (Thorpe, Delorme & Van Rullen 2001). Both answer at any time: what has not fired yet is told to be 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Literal

import torch
from torch import Tensor

from ciliary.cortex.neurons.izhikevich import Izhikevich, izhikevich
from ciliary.cortex.neurons.lif import LIF, current_at_latency, interval_steps, lif

_N_KNOWN = 256  # drives from 1 to 100 rheobases
Code = Literal["rate", "latency"]
Input = Literal["regular", "poisson"]


@dataclass(frozen=True)
class Population:
    """How responses become spikes.

    Attributes:
        code: ``rate`` or ``latency``.
        rheobase: the response that just makes a neuron fire; weaker ones are never told. > 0, in units of the response.
        exponent: of the response, above 0: the current is the threshold times (response / rheobase)^exponent. Below 1
            it brings responses that differ a hundredfold into the range that a neuron can tell apart.
        input: ``regular``: the response is the current; ``poisson``: the current is spikes that come at random, so many
            on average as make that current.
        input_hz: ``poisson``: spikes a second that come in at the rheobase.
        neuron: each of them.
        seed: of Poisson's input.

    Raises:
        ValueError: on other values.
    """

    code: Code = "rate"
    rheobase: float = 0.01
    exponent: float = 1.0
    input: Input = "regular"
    input_hz: float = 1000.0
    neuron: LIF | Izhikevich = field(default_factory=LIF)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.code not in ("rate", "latency") or self.input not in ("regular", "poisson"):
            raise ValueError(f"expected code rate or latency, input regular or poisson, got {self.code}, {self.input}")
        if not (self.rheobase > 0 and self.exponent > 0 and self.input_hz > 0):
            raise ValueError(f"expected rheobase, exponent and input_hz > 0, got {self}")


@dataclass(frozen=True)
class Told:
    """What a population has told by now."""

    count: Tensor  # (B, ...) spikes of each neuron so far
    last_ms: Tensor  # (B, ...) time of the last of them, at the end of its step; 0 of what has not fired
    population: Population
    known: tuple[Tensor, Tensor, Tensor] | None = None  # drives that rise, their counts and last times, each (N,)

    @cached_property
    def response(self) -> Tensor:
        """(B, ...) the response that would have made these spikes; 0 of what has not fired."""
        neuron, has_fired = self.population.neuron, self.count > 0
        n = self.count.clamp_min(1.0)
        if isinstance(neuron, Izhikevich):
            current = neuron.threshold * self._as_known()
        elif neuron.reset == "hard":
            # The mean interval, less half a step: each spike is told at the end of the step in which it came.
            current = current_at_latency((self.last_ms / n - 0.5 * neuron.dt_ms).clamp_min(0.25 * neuron.dt_ms), neuron)
        else:  # what was let in, less what leaked out of a voltage of half a threshold on average, has left as spikes
            let_in = (1 - neuron.decay) * self.last_ms.clamp_min(neuron.dt_ms) / neuron.dt_ms
            current = neuron.threshold * (n / let_in + 0.5)
        drive = current / neuron.threshold
        told = self.population.rheobase * drive ** (1 / self.population.exponent)
        return torch.where(has_fired, told, torch.zeros_like(told))

    def _as_known(self) -> Tensor:
        """The drive of the known neuron that has fired as often by now, and as lately, between its neighbours."""
        assert self.known is not None
        drive, count, last_ms = self.known
        # More spikes, and of as many earlier ones, are a stronger drive's.
        end_ms = max(float(last_ms.max()), float(self.last_ms.max())) + 1.0
        rising = torch.cummax(count - last_ms / end_ms, 0).values
        own = (self.count - self.last_ms / end_ms).contiguous()
        first, beyond = (torch.searchsorted(rising, own, right=right) for right in (False, True))
        return drive[((first + beyond - 1) // 2).clamp(0, len(drive) - 1)]  # the middle of those that are alike

    @cached_property
    def n_spikes(self) -> Tensor:
        """(B,) spikes so far."""
        return self.count.flatten(1).sum(1)


def listen(responses: Iterable[Tensor], population: Population) -> Iterator[Told]:
    """What has been told after each step of the neuron's ``dt_ms``; of responses (B, ...) >= 0, one for each step."""
    neuron = population.neuron
    if isinstance(neuron, LIF):
        for count, last_ms in _counted(lif(_currents(responses, population), neuron), population):
            yield Told(count, last_ms, population)
        return
    # There is no closed form of what such a neuron does at a current: it is asked of some that are driven beside.
    drive = torch.logspace(0, 2, _N_KNOWN, dtype=torch.float32)
    known = _counted(izhikevich(repeat(neuron.threshold * drive), neuron), population)
    told = _counted(izhikevich(_currents(responses, population), neuron), population)
    for (count, last_ms), (known_count, known_last_ms) in zip(told, known, strict=False):
        beside = tuple(x.to(count.device) for x in (drive, known_count, known_last_ms))
        yield Told(count, last_ms, population, beside)  # type: ignore[arg-type]


def steady(response: Tensor, population: Population) -> Callable[[int], Told]:
    """What has been told after so many steps, which must not fall from call to call, of a response (B, ...) that stays.

    As :func:`listen`; leaky neurons with a hard reset and a steady current need no stepping.
    """
    neuron = population.neuron
    if not isinstance(neuron, LIF) or neuron.reset != "hard" or population.input != "regular":
        return at_steps(listen(repeat(response), population))
    (current,) = _currents([response], population)
    interval = interval_steps(current, neuron)

    def after(n_steps: int) -> Told:
        count = torch.floor(n_steps / interval)
        count = count.clamp_max(1) if population.code == "latency" else count
        return Told(count, torch.where(count > 0, count * interval * neuron.dt_ms, 0.0), population)

    return after


def at_steps(told: Iterator[Told]) -> Callable[[int], Told]:
    """What :func:`listen` has told after so many steps, which must not fall from call to call."""
    heard: list[Told] = []  # the last; nothing is asked for before its step
    n_heard = 0

    def after(n_steps: int) -> Told:
        nonlocal n_heard
        while n_heard < n_steps:
            heard[:] = [next(told)]
            n_heard += 1
        return heard[0]

    return after


def _counted(spikes: Iterable[Tensor], population: Population) -> Iterator[tuple[Tensor, Tensor]]:
    """Spikes so far, as far as the code counts them, and the time of the last, step by step."""
    count = last_ms = None
    for step, now in enumerate(spikes, start=1):
        if count is None or last_ms is None:
            count = last_ms = torch.zeros_like(now)
        counted = now * (count == 0) if population.code == "latency" else now
        count = count + counted
        last_ms = torch.where(counted > 0, step * population.neuron.dt_ms, last_ms)
        yield count, last_ms


def _currents(responses: Iterable[Tensor], population: Population) -> Iterator[Tensor]:
    generator: torch.Generator | None = None
    mean = population.input_hz * population.neuron.dt_ms / 1000  # spikes that come in during a step at the rheobase
    for response in responses:
        drive = (response / population.rheobase) ** population.exponent
        if population.input == "poisson":
            if generator is None:  # on the host, so that a seed means the same everywhere
                generator = torch.Generator().manual_seed(population.seed)
            drive = torch.poisson((drive * mean).cpu(), generator).to(response.device) / mean
        yield population.neuron.threshold * drive
