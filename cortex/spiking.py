"""The cortex read through spikes: V1's energy and M2's contour as populations of neurons, and a percept at any time.

V1's energies drive one population, whose spikes M1 and M2 read; M2's contour, as far as it is known, drives another,
whose spikes M3 and M4 read. What has not fired is not there yet. The light stays as it is, or ON and OFF cells of the
retina are a population too, whose spikes V1 and the colours of M1 read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import torch
from torch import Tensor, nn

from ciliary.cortex.device import to_device
from ciliary.cortex.model import Cortex
from ciliary.cortex.neurons.codes import Population, Told, at_steps, listen, steady
from ciliary.cortex.neurons.izhikevich import Izhikevich
from ciliary.cortex.neurons.lif import LIF
from ciliary.cortex.ops.association import REACHES_PX, lobe_kernel
from ciliary.cortex.options import cortex_name
from ciliary.cortex.parameters import Theta, check_theta
from ciliary.cortex.percept import N_ORIENTATIONS, Cues, M1Out, M2Out, Percept, RetinaOut
from ciliary.cortex.stages.m1_perception import N_SCALES, N_TEXTURE
from ciliary.cortex.stages.m2_grouping import contain
from ciliary.cortex.stages.retina import on_and_off

#: Rheobase and exponent of both populations, by cortex: of ``ciliary train spikes``.
SHIPPED = Path(__file__).parent / "weights" / "spikes.json"
Thresholds = Mapping[str, Mapping[str, float]]
#: Of the retina's cells, in units of adapted contrast; taken, not chosen on photographs.
RETINA: Mapping[str, float] = {"rheobase": 0.005, "exponent": 0.5}
_NEURON = LIF(tau_ms=10.0, dt_ms=0.5)  # what fires within a step is told apart no more: strong responses are early


@dataclass(frozen=True)
class Spiking:
    """How a cortex is read.

    Attributes:
        v1: of V1's oriented energies; its rheobase is in units of retinal contrast.
        m2: of M2's contour, in [0, 1].
        refresh_ms: M1 and M2 are computed anew so often.
        retina: of ON and OFF cells of the opponent channels, how far each is from the scene's mean; None: they are no
            neurons that fire.
    """

    v1: Population
    m2: Population
    refresh_ms: float = 5.0
    retina: Population | None = None

    def __post_init__(self) -> None:
        if len({one.neuron.dt_ms for one in (self.v1, self.m2, self.retina) if one is not None}) > 1:
            raise ValueError("expected one dt_ms of all populations")
        if not self.refresh_ms >= self.v1.neuron.dt_ms:
            raise ValueError(f"expected refresh_ms of at least a step, got {self.refresh_ms}")


def thresholds_of(name: str, file: Path | None = None) -> Thresholds:
    """Where the neurons of ``v1`` and ``m2`` begin to fire (``rheobase``), and how steeply (``exponent``).

    Args:
        name: of :func:`~ciliary.cortex.options.cortex_name`; what has none of its own has those of
            ``cortex-contours``, of which it inherits.
        file: of ``ciliary train spikes``; the one that comes with the project when None.

    Raises:
        ValueError, OSError: it is no such file, or cannot be read.
    """
    path = file or SHIPPED
    try:
        kept = json.loads(path.read_text())
        own = kept.get(name) or kept["cortex-contours"]
        return {part: {key: float(own[part][key]) for key in ("rheobase", "exponent")} for part in ("v1", "m2")}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no file of thresholds; ciliary train spikes writes one ({error})") from None


def make_spiking(
    code: str,
    neuron: LIF | Izhikevich | None = None,
    *,
    thresholds: Thresholds | None = None,
    has_retina: bool = False,
    seed: int = 0,
) -> Spiking:
    """All populations of one kind.

    Args:
        code: ``latency``, ``rate``, or ``poisson``: rate, of an input that comes at random.
        neuron: each of them.
        thresholds: of :func:`thresholds_of`; those of the mathematical cortex when None.
        has_retina: whether the retina is one too.
        seed: of what comes at random.

    Raises:
        ValueError: another code.
    """
    if code not in ("latency", "rate", "poisson"):
        raise ValueError(f"expected latency, rate or poisson, got {code!r}")
    thresholds = {"retina": RETINA, **(thresholds or thresholds_of(cortex_name("none")))}
    v1, m2, retina = (
        Population(
            code="latency" if code == "latency" else "rate",
            input="poisson" if code == "poisson" else "regular",
            neuron=neuron or _NEURON,
            seed=3 * seed + i,
            **thresholds[part],
        )
        for i, part in enumerate(("v1", "m2", "retina"))
    )
    return Spiking(v1, m2, retina=retina if has_retina else None)


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
    n_spikes: dict[str, Tensor]  # (B,) of ``v1``, ``m2`` and the ``retina`` if it is one, since the picture appeared


Kept = dict[tuple[Population | None, Population, int], "Early"]


@dataclass(frozen=True)
class Early:
    """What is known at a refresh."""

    retina: RetinaOut
    m1: M1Out
    m2: M2Out


@torch.no_grad()
def perceive_in_time(
    cortex: Cortex,
    image: Tensor,
    theta: Theta | None = None,
    *,
    times_ms: Sequence[float] = (10.0, 20.0, 50.0, 100.0),
    spiking: Spiking | None = None,
    kept: Kept | None = None,
) -> Iterator[Moment]:
    """The percept at each of some times after the picture appears.

    Args:
        cortex: whose M1 has a ``v1`` (ours do).
        image: (B, 3, H, W) sRGB in [0, 1].
        theta: settings per sample; the defaults when None.
        times_ms: rising, each at least ``refresh_ms``.
        spiking: the populations; a rate code with the cortex' own thresholds when None.
        kept: what M1 and M2 answered to V1's spikes, by populations and step; handed from call to call about one image
            and one setting, so that several populations of M2 are heard at the cost of one.

    Raises:
        ValueError: times that do not rise, no image, or a theta of another batch size.
        KeyError: unknown or missing parameters.
        TypeError: M1 has no ``v1``.
    """
    spiking = spiking or make_spiking("rate", thresholds=thresholds_of(cortex.name))
    if list(times_ms) != sorted(set(times_ms)) or not times_ms or times_ms[0] < spiking.refresh_ms:
        raise ValueError(f"expected rising times of at least {spiking.refresh_ms} ms, got {tuple(times_ms)}")
    v1 = getattr(cortex.m1, "v1", None)
    if not isinstance(v1, nn.Module):
        raise TypeError(f"expected an M1 with a module v1, got {type(cortex.m1).__name__}")
    theta = cortex.table.default_theta(len(image), image.device) if theta is None else theta
    check_theta(theta, len(image))
    theta = to_device(theta, image.device)
    cues = cortex.cues(image)
    retina = light = cortex.retina(image, theta)
    told_by_retina = None if spiking.retina is None else steady(_cells(light), spiking.retina)
    drives = [torch.cat(v1(light, theta), 1)]  # of V1's population now
    told_by_v1 = steady(drives[0], spiking.v1) if told_by_retina is None else _heard(drives, spiking.v1)
    contours: list[Tensor] = []  # what drives M2's population now
    told_by_m2: Callable[[int], Told] | None = None
    step_ms, n_refresh = spiking.v1.neuron.dt_ms, round(spiking.refresh_ms / spiking.v1.neuron.dt_ms)
    left = list(times_ms)
    step = 0
    while left:
        step += 1
        is_due = (step - 1) % n_refresh == 0
        if told_by_retina is not None:
            if is_due:
                retina = _told_light(light, told_by_retina(step).response, theta)
                drives[:] = [torch.cat(v1(retina, theta), 1)]
            told_by_v1(step)
        if is_due:
            key = spiking.retina, spiking.v1, step
            before = kept.get(key) if kept is not None else None
            early = before or _early(cortex, retina, cues, theta, told_by_v1(step))
            if kept is not None:
                kept[key] = early
            contours[:] = [early.m2.contour]
            told_by_m2 = told_by_m2 or _heard(contours, spiking.m2)
        assert told_by_m2 is not None
        told_m2 = told_by_m2(step)
        if step * step_ms >= left[0] - 1e-9:
            told = {"v1": told_by_v1(step), "m2": told_m2}
            if told_by_retina is not None:
                told["retina"] = told_by_retina(step)
            yield _moment(cortex, left.pop(0), cues, theta, early, told)


def _heard(drives: Sequence[Tensor], population: Population) -> Callable[[int], Told]:
    """A population that the last of ``drives`` drives; it is to be asked at every step."""
    return at_steps(listen((drives[-1] for _ in repeat(None)), population))


def _cells(light: RetinaOut) -> Tensor:
    """ON, then OFF cells of each opponent channel: (B, 6, H, W) above and below the scene's mean, >= 0."""
    deviation = light.opponent - light.opponent.mean((2, 3), keepdim=True)
    return torch.cat([deviation.relu(), (-deviation).relu()], 1)


def _told_light(light: RetinaOut, response: Tensor, theta: Theta) -> RetinaOut:
    """The retina as its cells have told it; the scene's mean, which it adapts to, and the cones are known."""
    on, off = response.chunk(2, 1)
    opponent = light.opponent.mean((2, 3), keepdim=True) + on - off
    return replace(light, opponent=opponent, on_off=on_and_off(opponent[:, :1], theta))


def _early(cortex: Cortex, retina: RetinaOut, cues: Cues, theta: Theta, told: Told) -> Early:
    """M1 and M2 of what V1's spikes have told."""
    m1 = copy.copy(cortex.m1)
    m1._modules = dict(cortex.m1._modules)  # noqa: SLF001 -- a copy that shares all but one module
    m1.v1 = _Known(told.response)
    answer: M1Out = m1(retina, cues, theta)
    return Early(retina, answer, cortex.m2(answer, theta))


class _Known(nn.Module):
    """A V1 whose answer is there."""

    def __init__(self, response: Tensor) -> None:
        super().__init__()
        self._answer = response[:, :N_SCALES], response[:, N_SCALES:]

    def forward(self, retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
        """See :data:`~ciliary.cortex.stages.m1_perception.V1`."""
        del retina, theta
        return self._answer


def _moment(cortex: Cortex, time_ms: float, cues: Cues, theta: Theta, early: Early, told: Mapping[str, Told]) -> Moment:
    m2 = contain(early.m1, early.m2.end_points, told["m2"].response.clamp_max(1.0), theta)
    m3 = cortex.m3(early.m1, m2, theta)
    m4 = cortex.objects(early.m1, m2, m3, theta)
    percept = cortex.recognised(early.retina, early.m1, m2, m3, m4, cues)
    return Moment(time_ms, percept, {name: one.n_spikes for name, one in told.items()})
