"""How an eye is watched while it focuses, and how its optics are examined: the settings of ``focus``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.early import FOCUSES
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option, words
from ciliary.tuning.cli.settings import EyeDevice, Images, Seed
from ciliary.tuning.sessions.options import SessionOptions

EXAMS = ("lens", "colour", "stacks", "pupil", "optics")
#: Where the gaze goes: what the whole scene's priority map says, or where it is told.
PRIORITY, CENTRE = "priority", "centre"


def _gaze(text: str) -> tuple[float, float]:
    """``y,x`` in halves of the field."""
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--gaze expects {PRIORITY}, {CENTRE} or Y,X in -1 to 1, got {text!r}") from None
    if max(abs(y), abs(x)) > 1:
        raise ValueError(f"--gaze expects Y,X in -1 to 1, halves of the field, got {text!r}")
    return y, x


@dataclass(frozen=True, kw_only=True)
class FocusSettings(SessionOptions):
    """Watch an eye focus: a figure, a film and a JSON of each scene, and a tracked run of each episode.

    With --exam DIR nothing is drawn: the lens, the pupil and the optics are examined, and tables are written.
    """

    epilog: ClassVar[str] = f"""\
scenes        a folder with depth (<name>.color.jpg with <name>.depth.png, or Middlebury's): each frame is an episode
              a folder of frames of one scene: a focus stack, ordered by name (focus.txt: their dioptres), or, where
              all have another ExposureTime in their EXIF, an exposure stack, of which the pupil is moved
              a .hdr (Radiance): the pupil · a photograph: flat and far away, the lens
controllers   lens-reflex, lens-reflex-hill, lens-hill, lens-sweep, tpe, ... of the lens; pupil-hill, pupil-reflex of
              the pupil. Real stacks know neither dioptres nor colours' distances: lens-hill unless you say otherwise
exam          DIR holds depth/, stacks/ and hdr/, or some of them; --only lens,colour,stacks,pupil,optics; with
              --controller the lens exam tells that one alone, between floor and ceiling
output        OUT/<session>/figures/<scene>.png and .gif, <scene>.json, episodes.jsonl; OUT/mlflow.db, the runs.
              --exam: OUT/focus.md and OUT/focus_<exam>.csv
many scenes   --workers 2 watches two scenes at a time; --shard 3/8 does the third of eight parts of them, under a
              session of its own, and `ciliary merge OUT` puts these together; --engine ray gives scenes to a cluster
{IN_WORDS}

examples      ciliary focus kitchen/ --gaze 0.2,-0.4
              ciliary focus stack/ room.hdr --controller lens-hill
              ciliary focus --exam active/ --only lens
"""

    untold: ClassVar[tuple[str, ...]] = ("images", "exam", "only")

    images: Images = field(default=(), kw_only=False)
    controller: Annotated[
        str, option("--controller", "NAME", "who moves lens or pupil (what suits the scene, see above)"), FOCUSES
    ] = ""
    gaze: Annotated[
        str, option("--gaze", f"{PRIORITY}|{CENTRE}|Y,X", "where to look: Y,X in halves of the field, -1 to 1")
    ] = PRIORITY
    nearness: Annotated[
        float, option("--nearness", "X", "of scenes with depth: every dioptre times so much (rooms are flat at 1)")
    ] = 5.0
    n_trials: Annotated[int, option("--looks", "N", "most looks of an episode"), at_least(1)] = 40
    n_scenes: Annotated[
        int | None,
        option("--scenes", "N", "frames of each folder with depth, evenly (all; 4 with --exam)"),
        at_least(1),
    ] = None
    has_noise: Annotated[bool, option("--noise/--no-noise", "", "photons are counted one by one")] = True
    seed: Seed = 0
    exam: Annotated[Path | None, option("--exam", "DIR", "examine lens, pupil and optics on these data: tables")] = None
    only: Annotated[
        tuple[str, ...], option("--only", ",".join(EXAMS), "with --exam: these", convert=words), one_of(*EXAMS)
    ] = EXAMS
    device: EyeDevice = "cpu"
    is_animated: Annotated[bool, option("--animation/--no-animation", "", "write a GIF beside each figure")] = True
    out: Annotated[Path, option("--out", "DIR", "where everything goes")] = Path("runs/focus")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exam is not None and self.images:
            raise ValueError("--exam has its own scenes; leave SCENE out")
        if self.exam is None and self.only != EXAMS:
            raise ValueError("--only is of --exam DIR; give it, or leave --only out")
        if self.exam is not None and self.device != "cpu":
            raise ValueError("--device is of watching; --exam examines on the CPU: leave it out")
        if self.exam is not None and self.is_parted:
            raise ValueError("--workers, --engine and --shard are of watching; leave them out, or --exam")
        if not self.nearness > 0:
            raise ValueError(f"--nearness must be above 0, got {self.nearness}")
        if self.gaze not in (PRIORITY, CENTRE):
            _gaze(self.gaze)

    @property
    def place(self) -> tuple[float, float] | None:
        """Where the gaze is, (y, x) in [-1, 1]; None where the scene's priority says."""
        if self.gaze == PRIORITY:
            return None
        return (0.0, 0.0) if self.gaze == CENTRE else _gaze(self.gaze)

    @property
    def called(self) -> str:
        """What is done, and the seed."""
        return f"focus-seed{self.seed}"
