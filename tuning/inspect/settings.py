"""How to look at images: the settings of the look job."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.cortex.options import LEARNED
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import one_of, option
from ciliary.tuning.cli.settings import Changes, CortexOptions, Images, Learned

EPILOG = f"""\
learned       without --learned: all stages that have weights
output        OUT/<image>/index.html, a page that holds its pictures, and the same pictures as PNG files beside it:
              retina, filters, m1, m2, m3, m4, m5, occlusion. --experts adds OUT/experts.png, over all images.
{IN_WORDS}

examples      ciliary look photo.jpg --set n_regions=5 --learned none
              ciliary look holiday/ --experts --out pages
"""


@dataclass(frozen=True, kw_only=True)
class LookSettings(CortexOptions):
    """See what each stage of the cortex makes of photographs: one page an image, from the retina to recognition.

    Without IMAGE, three bundled photographs are looked at.
    """

    epilog: ClassVar[str] = EPILOG

    images: Images = field(default=(), kw_only=False)
    learned: Annotated[tuple[str, ...] | None, Learned, one_of(*LEARNED)] = None  # type: ignore[assignment]
    weights: Annotated[
        Path | None, option("--weights", "FILE", "learned stages (the file that comes with Ciliary)")
    ] = None
    changes: Changes = field(default_factory=dict)
    has_experts: Annotated[
        bool, option("--experts", "", "also draw what each expert of M5 answers for, over all images")
    ] = False
    out: Annotated[Path, option("--out", "DIR", "where pages go")] = Path("runs/look")
