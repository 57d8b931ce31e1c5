"""How to look at images: the settings of the look job."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, option
from ciliary.tuning.cli.settings import Changes, CortexOptions, Images

EPILOG = f"""\
learned       --learned all shows what the networks add beside the mathematics
output        OUT/<image>/index.html, a page that holds its pictures, and the same pictures as PNG files beside it:
              retina, filters, m1, m2, m3, m4, m5, occlusion. --experts adds OUT/experts.png, over all images.
numbers       OUT/numbers.md and numbers.csv: time, memory, sparsity and size of gradients of each stage, means over
              the images; with --named also how well test images are named by a linear head on each area
{IN_WORDS}

examples      ciliary look photo.jpg --set n_regions=5 --learned all
              ciliary look holiday/ --experts --out pages
"""


@dataclass(frozen=True, kw_only=True)
class LookSettings(CortexOptions):
    """See what each stage of the cortex makes of photographs: one page an image, from the retina to recognition.

    Without IMAGE, three bundled photographs are looked at.
    """

    epilog: ClassVar[str] = EPILOG

    images: Images = field(default=(), kw_only=False)
    weights: Annotated[
        Path | None,
        option("--weights", "FILE", "learned stages of another file than Ciliary's, all unless --learned says which"),
    ] = None
    changes: Changes = field(default_factory=dict)
    has_experts: Annotated[
        bool, option("--experts", "", "also draw what each expert of M5 answers for, over all images")
    ] = False
    only_numbers: Annotated[
        bool, option("--numbers", "", "no pages: what each stage costs and how it answers, as a table")
    ] = False
    named: Annotated[
        Path | None,
        option("--named", "PATH", "with --numbers: images with names, as of examine; how well a line reads each area"),
    ] = None
    n_named: Annotated[
        int, option("--per-class", "N", "with --named: at most so many of a class, in either half"), at_least(2)
    ] = 60
    out: Annotated[Path, option("--out", "DIR", "where pages go")] = Path("runs/look")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.named is not None and not self.only_numbers:
            raise ValueError("--named is of --numbers; add it")
