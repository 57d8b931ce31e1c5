"""How to look at images: the settings of the look job."""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import Check, at_least, one_of, option, words
from ciliary.tuning.cli.settings import Changes, CortexOptions, Images, Seed
from ciliary.tuning.inspect.techniques import NAMES

#: What can be explained: kind of a target to how it is written.
TARGET_KINDS = {
    "code": "code",
    "slot": "slot:K",
    "gate": "gate:K",
    "term": "term:NAME",
    "field": "field:STAGE.NAME[:CHANNEL]",
}
#: The code of the image, and the mask of its heaviest proto-object.
DEFAULT_TARGETS = ("code", "slot:1")


def _wrong_targets(value: tuple[str, ...]) -> str | None:
    """The check of ``--of``; whether an image has such a thing is found when it is looked at."""
    unknown = [name for name in value if name.partition(":")[0] not in TARGET_KINDS]
    return f"knows no {unknown[0]!r}; choose from {', '.join(TARGET_KINDS.values())}" if unknown else None


def _lines(names: tuple[str, ...], width: int = 103) -> str:
    return textwrap.fill(", ".join(names), width).replace("\n", "\n" + " " * 14)


EPILOG = f"""\
learned       --learned all shows what the networks add beside the mathematics
targets       code         how like its own the image's code stays
              slot:K       how much of the mask of proto-object K stays; K as in the figure of M5, 1 the heaviest
              gate:K       how much of the image expert K answers for (--learned m5)
              term:NAME    of the raw objective or of recognition: collapse, economy, stability, code_stability, ...
              field:STAGE.NAME[:CHANNEL]   the mean of what a stage answers, such as field:m1.energy:3
output        OUT/<image>/index.html, a page that holds its pictures, and the same pictures as PNG files beside it:
              {_lines(NAMES)}.
              --experts adds OUT/patches.png and experts.png, --embedding OUT/embedding.png, over all images; with
              --set or --after before and after
numbers       OUT/numbers.md and numbers.csv: time, memory, sparsity and size of gradients of each stage, means over
              the images; with --named also how well test images are named by a linear head on each area
faithful      OUT/faithful.md and faithful.csv: deletion and insertion of each map of each target, beside edges and
              chance, means over the images; faithful_images.csv: of each image
{IN_WORDS}

examples      ciliary look photo.jpg --set n_regions=5 --learned all
              ciliary look holiday/ --experts --out pages
              ciliary look photo.jpg --only occlusion --of slot:2 --of term:collapse
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
    targets: Annotated[
        tuple[str, ...],
        option("--of", "TARGET", "what is to be explained; repeatable, see below", convert=words),
        Check(_wrong_targets),
    ] = DEFAULT_TARGETS
    only: Annotated[tuple[str, ...], option("--only", "NAME", "draw these alone", convert=words), one_of(*NAMES)] = ()
    is_hasty: Annotated[bool, option("--quick", "", "what takes seconds, with fewer steps")] = False
    seed: Seed = 0
    has_experts: Annotated[
        bool, option("--experts", "", "also draw what M1, M4 and M5's experts answer to most, over all images")
    ] = False
    has_embedding: Annotated[
        bool, option("--embedding", "", "also draw which proto-objects are alike to M4 and M5, over all images")
    ] = False
    after: Annotated[
        Path | None,
        option("--after", "SESSION", "with --embedding: and at the settings that a session accommodated them to"),
    ] = None
    only_numbers: Annotated[
        bool, option("--numbers", "", "no pages: what each stage costs and how it answers, as a table")
    ] = False
    only_faithful: Annotated[
        bool, option("--faithful", "", "no pages: how well each map names the pixels that count, as a table")
    ] = False
    named: Annotated[
        Path | None,
        option("--named", "PATH", "with --numbers: images with names, as of examine; how well a line reads each area"),
    ] = None
    n_named: Annotated[
        int, option("--per-class", "N", "with --named: at most so many of a class, in either half"), at_least(2)
    ] = 60
    is_tracked: Annotated[bool, option("--track", "", "keep it all in MLflow too, as artifacts of a run")] = False
    out: Annotated[Path, option("--out", "DIR", "where pages go")] = Path("runs/look")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.named is not None and not self.only_numbers:
            raise ValueError("--named is of --numbers; add it")
        if self.only_numbers and self.only_faithful:
            raise ValueError("--numbers and --faithful are two tables; ask for one")
        if self.after is not None and not self.has_embedding:
            raise ValueError("--after is of --embedding; add it")
        if not self.targets:
            raise ValueError(f"--of names nothing; choose from {', '.join(TARGET_KINDS.values())}")
