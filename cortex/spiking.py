"""The cortex read through spikes: V1's energy and M2's contour as populations of neurons, and a percept at any time.

Light, retina, colours and regions stay as they are. V1's energies drive one population, whose spikes M1 and M2 read;
M2's contour, as far as it is known, drives another, whose spikes M3 and M4 read. What has not fired is not there yet.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

import torch
from torch import Tensor, nn

from ciliary.cortex.device import to_device
from ciliary.cortex.model import Cortex
from ciliary.cortex.neurons.codes import Population, Told, listen
from ciliary.cortex.neurons.izhikevich import Izhikevich
from ciliary.cortex.neurons.lif import LIF
from ciliary.cortex.ops.association import REACHES_PX, lobe_kernel
from ciliary.cortex.parameters import Theta, check_theta
from ciliary.cortex.percept import N_ORIENTATIONS, Cues, M1Out, M2Out, Percept, RetinaOut
from ciliary.cortex.stages.m1_perception import N_TEXTURE
from ciliary.cortex.stages.m2_grouping import contain

#: Taken from trials on training photographs of BSDS500, of 0.002 and 0.006 in V1 and 0.05 and 0.15 in M2, each with
#: exponents of 0.5 and 1, for few spikes at like covering; docs/neurons.md says how loosely.
V1_RHEOBASE = 0.006
M2_RHEOBASE = 0.05
_NEURON = LIF(tau_ms=10.0, dt_ms=0.5)  # what fires within a step is told apart no more: strong responses are early


@dataclass(frozen=True)
class Spiking:
    """How a cortex is read.

    Attributes:
        v1: of V1's oriented energies; its rheobase is in units of retinal contrast.
        m2: of M2's contour, in [0, 1].
        refresh_ms: M1 and M2 are computed anew so often.
    """

    v1: Population = field(default_factory=lambda: Population(rheobase=V1_RHEOBASE, neuron=_NEURON))
    m2: Population = field(default_factory=lambda: Population(rheobase=M2_RHEOBASE, neuron=_NEURON))
    refresh_ms: float = 5.0

    def __post_init__(self) -> None:
        if self.v1.neuron.dt_ms != self.m2.neuron.dt_ms:
            raise ValueError("expected one dt_ms of both populations")
        if not self.refresh_ms >= self.v1.neuron.dt_ms:
            raise ValueError(f"expected refresh_ms of at least a step, got {self.refresh_ms}")


def make_spiking(code: str, neuron: LIF | Izhikevich | None = None, *, seed: int = 0) -> Spiking:
    """Both populations of one kind.

    Args:
        code: ``latency``, ``rate``, or ``poisson``: rate, of an input that comes at random.
        neuron: each of them.
        seed: of what comes at random.

    Raises:
        ValueError: another code.
    """
    if code not in ("latency", "rate", "poisson"):
        raise ValueError(f"expected latency, rate or poisson, got {code!r}")
    plain = Spiking()
    same = {
        "code": "latency" if code == "latency" else "rate",
        "input": "poisson" if code == "poisson" else "regular",
        "neuron": neuron or _NEURON,
    }
    return Spiking(replace(plain.v1, seed=2 * seed, **same), replace(plain.m2, seed=2 * seed + 1, **same))  # type: ignore[arg-type]


def fan_out() -> dict[str, int]:
    """Synapses that one spike reaches, by population: what M1 and M2, or M3, read of one neuron.

    ``v1``: texture's channels, the pool over scales and colours, and in M2 both lobes of the association field, a place
    in four, every orientation; those weights count that are at least a hundredth of the largest. ``m2``: the four
    gates of diffusion and the four borders of a pixel.
    """
    kernel = lobe_kernel(N_ORIENTATIONS, REACHES_PX[1] / 2, round(REACHES_PX[-1]))
    lobe = int((kernel[:, 0] > 0.01 * kernel.max()).sum())
    return {"v1": N_TEXTURE + 1 + 2 * lobe // 4, "m2": 8}


@dataclass(frozen=True)
class Moment:
    """What has been perceived by a time."""

    time_ms: float
    percept: Percept
    n_spikes: dict[str, Tensor]  # (B,) of ``v1`` and of ``m2``, since the picture appeared


@torch.no_grad()
def perceive_in_time(
    cortex: Cortex,
    image: Tensor,
    theta: Theta | None = None,
    *,
    times_ms: Sequence[float] = (10.0, 20.0, 50.0, 100.0),
    spiking: Spiking | None = None,
) -> Iterator[Moment]:
    """The percept at each of some times after the picture appears.

    Args:
        cortex: whose M1 has a ``v1`` (ours do).
        image: (B, 3, H, W) sRGB in [0, 1].
        theta: settings per sample; the defaults when None.
        times_ms: rising, each at least ``refresh_ms``.
        spiking: the populations.

    Raises:
        ValueError: times that do not rise, no image, or a theta of another batch size.
        KeyError: unknown or missing parameters.
        TypeError: M1 has no ``v1``.
    """
    spiking = spiking or Spiking()
    if list(times_ms) != sorted(set(times_ms)) or not times_ms or times_ms[0] < spiking.refresh_ms:
        raise ValueError(f"expected rising times of at least {spiking.refresh_ms} ms, got {tuple(times_ms)}")
    v1 = getattr(cortex.m1, "v1", None)
    if not isinstance(v1, nn.Module):
        raise TypeError(f"expected an M1 with a module v1, got {type(cortex.m1).__name__}")
    theta = cortex.table.default_theta(len(image), image.device) if theta is None else theta
    check_theta(theta, len(image))
    theta = to_device(theta, image.device)
    cues = cortex.cues(image)
    retina = cortex.retina(image, theta)
    energy, colours = v1(retina, theta)
    n_scales = energy.shape[1]
    heard_v1 = listen(repeat(torch.cat([energy, colours], 1)), spiking.v1)
    contours: list[Tensor] = []  # what drives M2's population now
    heard_m2 = listen((contours[-1] for _ in repeat(None)), spiking.m2)
    step_ms, n_refresh = spiking.v1.neuron.dt_ms, round(spiking.refresh_ms / spiking.v1.neuron.dt_ms)
    left = list(times_ms)
    m1 = m2 = told_v1 = None
    step = 0
    while left:
        step += 1
        told_v1 = next(heard_v1)
        if (step - 1) % n_refresh == 0:
            m1, m2 = _early(cortex, retina, cues, theta, told_v1, n_scales)
            contours[:] = [m2.contour]
        told_m2 = next(heard_m2)
        if step * step_ms >= left[0] - 1e-9:
            assert m1 is not None
            assert m2 is not None
            yield _moment(cortex, left.pop(0), retina, cues, theta, (m1, m2), (told_v1, told_m2))


def _early(
    cortex: Cortex, retina: RetinaOut, cues: Cues, theta: Theta, told: Told, n_scales: int
) -> tuple[M1Out, M2Out]:
    """M1 and M2 of what V1's spikes have told."""
    m1 = copy.copy(cortex.m1)
    m1._modules = dict(cortex.m1._modules)  # noqa: SLF001 -- a copy that shares all but one module
    m1.v1 = _Known(told.response[:, :n_scales], told.response[:, n_scales:])
    answer: M1Out = m1(retina, cues, theta)
    return answer, cortex.m2(answer, theta)


class _Known(nn.Module):
    """A V1 whose answer is there."""

    def __init__(self, energy: Tensor, colours: Tensor) -> None:
        super().__init__()
        self._answer = energy, colours

    def forward(self, retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
        """See :data:`~ciliary.cortex.stages.m1_perception.V1`."""
        del retina, theta
        return self._answer


def _moment(
    cortex: Cortex,
    time_ms: float,
    retina: RetinaOut,
    cues: Cues,
    theta: Theta,
    early: tuple[M1Out, M2Out],
    told: tuple[Told, Told],
) -> Moment:
    m1, m2 = early
    m2 = contain(m1, m2.end_points, told[1].response.clamp_max(1.0), theta)
    m3 = cortex.m3(m1, m2, theta)
    return Moment(
        time_ms,
        cortex.recognised(retina, m1, m2, m3, cortex.objects(m1, m2, m3, theta), cues),
        {name: one.n_spikes for name, one in zip(("v1", "m2"), told, strict=True)},
    )
