"""How a cortex is read through spikes: the settings of ``spikes``."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option, words
from ciliary.tuning.cli.settings import CortexOptions, Images, Seed

if TYPE_CHECKING:
    from ciliary.cortex.spiking import Spiking

CODES = ("latency", "rate", "poisson")
RESETS = ("hard", "soft")
LIF_NEURON = "lif"
NEURONS = (LIF_NEURON, "regular_spiking", "intrinsically_bursting", "chattering", "fast_spiking")
DT_MS = 0.5


def numbers(texts: tuple[str, ...]) -> tuple[float, ...]:
    """``10,20`` or ``10 20`` as numbers."""
    return tuple(float(word) for word in words(texts))


@dataclass(frozen=True, kw_only=True)
class SpikesSettings(CortexOptions):
    """What the cortex perceives by when, if V1's energy and M2's contour are told by spikes, and what that costs.

    Without IMAGE, three bundled photographs are looked at. With --labelled DIR nothing is drawn: percepts are compared
    with what people drew.
    """

    epilog: ClassVar[str] = f"""\
codes         latency  each neuron fires once, the sooner the stronger
              rate     it goes on firing, the more often the stronger
              poisson  the same, driven by spikes that come at random in place of a steady current
labelled      DIR of BSDS500 (images/val, groundTruth/val), or of images/ and labels/
output        OUT/<image>.png, the percept at each time; or OUT/spikes.md, OUT/spikes.csv and OUT/spikes.png:
              covering of people's regions against milliseconds and against spikes
{IN_WORDS}

examples      ciliary spikes photo.jpg --times 10,20,50,100
              ciliary spikes --labelled bsds500/ --codes latency,rate --inherited none
"""

    images: Images = field(default=(), kw_only=False)
    labelled: Annotated[Path | None, option("--labelled", "DIR", "photographs and what people drew: a table")] = None
    split: Annotated[str, option("--split", "train|val", "of BSDS500"), one_of("train", "val")] = "val"
    n_images: Annotated[int | None, option("--images", "N", "with --labelled: so many (all)"), at_least(2)] = None
    codes: Annotated[tuple[str, ...], option("--codes", "NAME,NAME", "see below", convert=words), one_of(*CODES)] = (
        "latency",
    )
    times_ms: Annotated[
        tuple[float, ...], option("--times", "MS,MS", "after the picture appears", convert=numbers, is_list=True)
    ] = (10.0, 20.0, 50.0, 100.0)
    neuron: Annotated[
        str, option("--neuron", "|".join(NEURONS), "leaky integrate-and-fire, or one of Izhikevich's"), one_of(*NEURONS)
    ] = LIF_NEURON
    tau_ms: Annotated[float, option("--tau-ms", "MS", "time constant of a leaky neuron")] = 10.0
    reset: Annotated[str, option("--reset", "|".join(RESETS), "of a neuron that has fired"), one_of(*RESETS)] = "hard"
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/spikes")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images and self.labelled is not None:
            raise ValueError("give IMAGE or --labelled DIR, not both")
        if not self.times_ms or list(self.times_ms) != sorted(set(self.times_ms)):
            raise ValueError(f"--times must rise, got {self.times_ms}")
        if self.neuron != LIF_NEURON and self.reset != "hard":
            raise ValueError("--reset is of leaky neurons; leave it out")
        if not self.tau_ms > 0:
            raise ValueError(f"--tau-ms must be above 0, got {self.tau_ms}")
        if not self.codes:
            raise ValueError(f"--codes: expected some of {', '.join(CODES)}")

    def spiking(self, code: str) -> "Spiking":
        """The populations of one of :data:`CODES`."""
        from ciliary.cortex.neurons.izhikevich import TYPES
        from ciliary.cortex.neurons.lif import LIF
        from ciliary.cortex.spiking import make_spiking  # brings torch

        if self.neuron != LIF_NEURON:
            return make_spiking(code, replace(TYPES[self.neuron], dt_ms=DT_MS), seed=self.seed)
        return make_spiking(code, LIF(self.tau_ms, reset=self.reset, dt_ms=DT_MS), seed=self.seed)  # type: ignore[arg-type]

    @property
    def neurons(self) -> str:
        """What they are, in words."""
        if self.neuron != LIF_NEURON:
            return f"Izhikevich's neurons, {self.neuron.replace('_', ' ')}"
        return f"leaky neurons of {self.tau_ms:g} ms, {self.reset} reset"
