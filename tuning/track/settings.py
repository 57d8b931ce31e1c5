"""How things are followed: the settings of ``track``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, counts, one_of, option
from ciliary.tuning.cli.settings import CortexOptions, Images, Seed

KINDS = ("frames", "moved", "glances")


@dataclass(frozen=True, kw_only=True)
class TrackSettings(CortexOptions):
    """Follow things over frames, or over the glances at a photograph: a figure, a film and a JSON of what is where.

    IMAGE is one folder of frames in the order of their names (numbers count as numbers), or files in the order given;
    without any, three bundled photographs are moved over. With --exam nothing is drawn: the names that a memory gives
    are told beside where things truly went.
    """

    epilog: ClassVar[str] = f"""\
as            frames   of one film
              moved    photographs that a camera moves over: it is known where everything goes
              glances  photographs as an eye comes to know them, glance by glance
exam          frames with <name>.depth.png and <name>.pose.txt beside <name>.color.jpg have true motion (the focal
              length of camera-intrinsics.txt, or --focal-px); of other frames optical flow stands in for it, where the
              flow there and the flow back agree
output        OUT/<name>.png, .gif and .json; --exam: OUT/track.md and OUT/track.csv
{IN_WORDS}

examples      ciliary track film/
              ciliary track kitchen_run/ --exam --focal-px 585
              ciliary track photo.jpg --as glances
"""

    images: Images = field(default=(), kw_only=False)
    kind: Annotated[str | None, option("--as", "|".join(KINDS), "what IMAGE is (frames)"), one_of(*KINDS)] = None
    is_exam: Annotated[bool, option("--exam", "", "a table: names told beside where things truly went")] = False
    steps: Annotated[
        tuple[int, ...],
        option("--steps", "N,N,...", "with --exam: every Nth frame is seen", convert=counts),
        at_least(1),
    ] = ()
    focal_px: Annotated[float | None, option("--focal-px", "X", "focal length in pixels of the file, with --exam")] = (
        None
    )
    n_fixations: Annotated[int, option("--fixations", "N", "glances, the first at the centre"), at_least(2)] = 8
    n_slots: Annotated[int, option("--slots", "N", "things remembered at once, at most"), at_least(1)] = 48
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "where it all goes")] = Path("runs/track")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.is_exam and (self.steps or self.focal_px is not None):
            raise ValueError("--steps and --focal-px are of the exam; add --exam, or leave them out")
        if self.focal_px is not None and not self.focal_px > 0:
            raise ValueError(f"focal_px (--focal-px) must be above 0, got {self.focal_px}")
        if self.kind == "glances" and self.steps:
            raise ValueError("--steps is of frames; every glance is seen")

    @property
    def is_of(self) -> str:
        """Which of :data:`KINDS`: frames, unless something else is asked for or nothing is given."""
        return self.kind or ("frames" if self.images else "moved")

    @property
    def all_steps(self) -> tuple[int, ...]:
        """Every so many-th frame is seen."""
        return self.steps or ((1,) if self.is_of == "glances" else (1, 2, 4))
