"""How sequences are looked at and how motion is examined: the settings of ``motion``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, option
from ciliary.tuning.cli.settings import Device, Images, OnDevice, Size

DEFAULT_OUT = Path("runs/motion")
_LEAST_FILMS = 4  # two of either kind of ground


@dataclass(frozen=True, kw_only=True)
class MotionCommand(OnDevice):
    """What moves in a sequence, where to and how fast, and whether it draws the eye: a figure. Or the exam: a table.

    IMAGE are the frames of one sequence, in the order they are named, a folder's by name. Without any, a patch that
    moves before a panning background is made up.
    """

    epilog: ClassVar[str] = f"""\
figure        the last frame, what has just changed (magno), MT's directions and the flow (hue is direction, as on the
              wheel), what moves otherwise than the whole, and the priority map without and with it
exam          --exam prints a table instead: plaids before component and pattern cells, speeds, a patch before a panning
              background. --run DIR adds flow on real frames, DIR holding <name>.color.jpg, <name>.depth.png and
              <name>.pose.txt (camera to world, metres) for each; told on the second half of it. With --pursuit it is
              an eye before patches that move: how often policies of gaze are where the patch is (some minutes), and
              what it remembers of the frames of --run DIR, which then need no depth and no poses.
output        OUT/<first frame>.png, or OUT/motion.md (pursuit.md) and OUT/motion.csv (pursuit.csv)
{IN_WORDS}

examples      ciliary motion holiday/frame_00*.jpg --frame-ms 40
              ciliary motion --exam --run kitchen_run/ --ablations
"""

    images: Images = field(default=(), kw_only=False)
    is_exam: Annotated[bool, option("--exam", "", "the table instead of a figure")] = False
    run: Annotated[Path | None, option("--run", "DIR", "with --exam: frames with depth and poses")] = None
    has_ablations: Annotated[bool, option("--ablations", "", "with --exam: one ingredient left out at a time")] = False
    has_pursuit: Annotated[bool, option("--pursuit", "", "with --exam: of gaze before moving patches")] = False
    frame_ms: Annotated[float, option("--frame-ms", "MS", "between two frames")] = round(1000 / 30, 3)
    px_per_deg: Annotated[
        float | None, option("--px-per-deg", "X", "pixels of the file to a degree (its width is 33.3 degrees)")
    ] = None
    n_scenes: Annotated[int, option("--scenes", "N", "with --exam: made-up scenes of a patch"), at_least(2)] = 24
    size_px: Size = 320
    device: Device = "cpu"
    out: Annotated[Path, option("--out", "DIR", "where the figure or the table goes")] = DEFAULT_OUT

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, value in (("--px-per-deg", self.px_per_deg), ("--frame-ms", self.frame_ms)):
            if value is not None and not value > 0:
                raise ValueError(f"{flag} must be above 0, got {value}")
        if self.is_exam and self.device != "cpu":
            raise ValueError("--device is of the figure; --exam examines on the CPU: leave it out")
        if self.is_exam and self.images:
            raise ValueError("--exam has its own sequences; leave IMAGE out")
        if not self.is_exam and (self.run is not None or self.has_ablations or self.has_pursuit):
            raise ValueError("--run, --ablations and --pursuit are of the exam; give --exam too")
        if self.has_pursuit and self.has_ablations:
            raise ValueError("--pursuit is an exam of its own; leave --ablations out")
        if self.has_pursuit and self.n_scenes < _LEAST_FILMS:
            raise ValueError(f"--pursuit needs --scenes {_LEAST_FILMS} or more, got {self.n_scenes}")
