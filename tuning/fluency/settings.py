"""What ``fluency`` and ``train typicality`` are asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import PYTHON_ONLY, at_least, option
from ciliary.tuning.cli.settings import Changes, CortexOptions, Images, Seed, Size

SIZE_PX = 128


@dataclass(frozen=True, kw_only=True)
class FluencySettings(CortexOptions):
    """How easily photographs are seen: economy, efficacy, typicality, robustness and load of the cortex, as numbers.

    Without IMAGE, three bundled photographs are looked at. A blank image is not fluent: its numbers are undefined.
    """

    epilog: ClassVar[str] = f"""\
economy       how few units answer (Gini, share of active units), beside the same on phase-scrambled images
efficacy      how much of the image its parts give back, painted in their mean colours (SSIM, V1's energies)
typicality    minus log-likelihood of the stages' statistics among photographs (`ciliary train typicality`)
robustness    how much the objective rises within a small step of the settings
load          how many experts and proto-objects of M5 are called on
output        OUT/fluency.csv (a row an image, also the objective's terms), fluency.md, and OUT/<image>.png
              --exam: OUT/exam.md, exam.csv and exam.png in place of the figures: each number's null, range, and
              whether images stay in their order at another size and in mild noise
{IN_WORDS}

examples      ciliary fluency photo.jpg holiday/
              ciliary fluency bsds500/images/val --exam
              ciliary correlate --ratings ratings.csv --numbers runs/fluency/fluency.csv
"""

    images: Images = field(default=(), kw_only=False)
    size_px: Size = SIZE_PX
    changes: Changes = field(default_factory=dict)
    n_scrambles: Annotated[int, option("--scrambles", "N", "phase-scrambled images of the null"), at_least(2)] = 8
    n_directions: Annotated[
        int, option("--directions", "N", "random directions in which sharpness is looked for"), at_least(1)
    ] = 8
    with_spikes: Annotated[bool, option("--spikes", "", "also count spikes (slow)")] = False
    typicality: Annotated[
        Path | None, option("--typicality", "FILE", "what is usual, of another file than Ciliary's")
    ] = None
    is_exam: Annotated[bool, option("--exam", "", "what the numbers are worth, in place of the numbers")] = False
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/fluency")

    @property
    def recognising(self) -> Mapping[str, Any]:
        """Keyword arguments of the cortex, with M5 as it was learned."""
        return recognising(self.cortex)


def recognising(options: Mapping[str, Any]) -> dict[str, Any]:
    """A cortex's keyword arguments with M5's learned part, unless M5 is somebody's own: a single expert has no load."""
    learned = options.get("learned", ())
    names = learned if isinstance(learned, bool) or "m5" in options else [*dict.fromkeys((*learned, "m5"))]
    return {**options, "learned": names, "recognise": True}


@dataclass(frozen=True, kw_only=True)
class TypicalityTraining(CortexOptions):
    """Learn what is usual: the mean and the covariance of the stages' statistics over photographs. A minute or two.

    Use it with `ciliary fluency --typicality FILE`.
    """

    out_is_file: ClassVar[bool] = True
    epilog: ClassVar[str] = f"""\
output        a file of some 20 kB, for the cortex and the size that were asked for; some hundred photographs will do
{IN_WORDS}

examples      ciliary train typicality holiday/ --out usual.safetensors
"""

    images: Annotated[tuple[str, ...], PYTHON_ONLY] = field(default=("bundled",), kw_only=False)
    size_px: Size = SIZE_PX
    out: Annotated[Path, option("--out", "FILE", "the file")] = Path("runs/typicality.safetensors")
