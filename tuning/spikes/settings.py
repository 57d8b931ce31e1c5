"""How a cortex is read through spikes: the settings of ``spikes``."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from ciliary.cortex.options import cortex_name
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option, words
from ciliary.tuning.cli.settings import CortexOptions, Images, Seed, Size

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
    thresholds: Annotated[
        Path | None, option("--thresholds", "FILE", "where neurons begin to fire, of train spikes (as it comes)")
    ] = None
    has_retina: Annotated[
        bool, option("--retina", "", "light and colours are told by spikes too: of the retina's ON and OFF cells")
    ] = False
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
        from ciliary.cortex.spiking import make_spiking, thresholds_of  # brings torch

        neuron = (
            LIF(self.tau_ms, reset=self.reset, dt_ms=DT_MS)  # type: ignore[arg-type]
            if self.neuron == LIF_NEURON
            else replace(TYPES[self.neuron], dt_ms=DT_MS)
        )
        thresholds = thresholds_of(cortex_name(self.inherited), self.thresholds)
        return make_spiking(code, neuron, thresholds=thresholds, has_retina=self.has_retina, seed=self.seed)

    @property
    def neurons(self) -> str:
        """What they are, in words."""
        if self.neuron != LIF_NEURON:
            kind = f"Izhikevich's neurons, {self.neuron.replace('_', ' ')}"
        else:
            kind = f"leaky neurons of {self.tau_ms:g} ms, {self.reset} reset"
        return f"{kind}, of the retina too" if self.has_retina else kind


@dataclass(frozen=True, kw_only=True)
class SpikesTraining(CortexOptions):
    """Choose where the neurons that tell V1's energy and M2's contour begin to fire, and how steeply.

    24 settings of both populations, the same each time, are heard on photographs that people have drawn; the one of the
    best mean covering over codes and times is written, if it beats the first beyond chance, else the first. Choose on
    training photographs, and tell it on others.
    """

    out_is_file: ClassVar[bool] = True
    epilog: ClassVar[str] = f"""\
output        FILE, for ciliary spikes --thresholds FILE: thresholds by cortex, of which this cortex' are new; beside it
              <stem>.md, the table of all settings, each with its paired difference to the first, and their spikes
{IN_WORDS}

examples      ciliary train spikes --labelled bsds500/ --inherited contours
              ciliary spikes --labelled bsds500/ --thresholds runs/spikes/thresholds.json
"""

    labelled: Annotated[Path, option("--labelled", "DIR", "BSDS500, or images/ and labels/")]
    split: Annotated[str, option("--split", "train|val", "of BSDS500"), one_of("train", "val")] = "train"
    n_images: Annotated[int, option("--images", "N", "photographs, evenly of all"), at_least(2)] = 30
    times_ms: Annotated[
        tuple[float, ...], option("--times", "MS,MS", "at which covering counts", convert=numbers, is_list=True)
    ] = (20.0, 50.0)
    size_px: Size = 128
    out: Annotated[Path, option("--out", "FILE", "the thresholds")] = Path("runs/spikes/thresholds.json")
