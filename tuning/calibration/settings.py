"""What a calibration is made of: the settings of the calibration job."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.cortex.options import CORTEX
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option
from ciliary.tuning.cli.settings import PerceiverOptions, Seed, Workers

FORMS = ("line", "firm line")  # a ridge of 1, of 10
INPUTS = ("terms", "+ features", "+ panel")  # each with the ones before it

EPILOG = f"""\
data          BSDS500, or a folder of your own with images/ and labels/ (labels/<name>*.png: one or more label maps of
              each image). The file that is written is used by --objective FILE of accommodate and by the environments.
how long      about 0.1 s per image, disturbance and setting on one core without views: 200 images, each clean and
              disturbed, 32 settings, two workers: a quarter of an hour. Stopped, the same command goes on.
inherited     What is inherited saw people's drawings: a calibration on the same images would take it for better than it
              is. --left-out names the folder of `ciliary train cortex --labelled`, which keeps stages that were taught
              without each fifth of its images.
{IN_WORDS}

looks         With --looks N no calibration is learned: of 64 settings those N are chosen whose looks come to most
              together, of any perceiver. Eight looks of scikit-image's segmenters on ten images of 256 px took half a
              minute of processor time per image. It is not resumed.

example       ciliary calibrate --labelled cells/ --out cells.npz
              ciliary accommodate cells/images --objective cells.npz --answer best
              ciliary calibrate --labelled cells/ --perceiver watershed --looks 8 --out looks.json
              ciliary accommodate cells/images --perceiver watershed --objective looks.json
"""


@dataclass(frozen=True, kw_only=True)
class CalibrateSettings(PerceiverOptions):
    """Learn from labelled images how good a percept is, so that it can be told without labels afterwards."""

    out_is_file: ClassVar[bool] = True
    epilog: ClassVar[str] = EPILOG

    bsds: Annotated[Path | None, option("--bsds", "DIR", "BSDS500: its training images are used")] = None
    labelled: Annotated[Path | None, option("--labelled", "DIR", "a folder with images/ and labels/")] = None
    out: Annotated[Path, option("--out", "FILE", "the file to write")] = Path("runs/calibrate/calibration.npz")
    folder: Annotated[Path, option("--work", "DIR", "where measurements are kept")] = Path("runs/calibrate/table")
    n_images: Annotated[int | None, option("--images", "N", "use only so many images, evenly spaced"), at_least(1)] = (
        None
    )
    n_settings: Annotated[int, option("--settings", "N", "settings measured on each image"), at_least(2)] = 32
    n_views: Annotated[int, option("--views", "N", "views for the terms of agreement; 0: do without"), at_least(0)] = 0
    n_panel: Annotated[
        int, option("--panel", "N", "settings whose percepts stand in for people; 0: none"), at_least(0)
    ] = 32
    n_looks: Annotated[
        int, option("--looks", "N", "choose so many looks by what they come to together; 0: a calibration"), at_least(0)
    ] = 0
    left_out: Annotated[
        Path | None,
        option("--left-out", "DIR", "with --inherited: each image is seen by stages taught without it (see below)"),
    ] = None
    form: Annotated[
        str | None, option("--form", "|".join(FORMS), "keep this form, whatever the comparison says"), one_of(*FORMS)
    ] = None
    inputs: Annotated[
        str | None, option("--inputs", "|".join(INPUTS), "keep this group of inputs"), one_of(*INPUTS)
    ] = None
    n_workers: Workers = 2
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.perceiver != CORTEX and not self.n_looks:
            raise ValueError(f"a calibration is of the cortex; with --perceiver {self.perceiver} give --looks N")
        if self.left_out is not None and self.inherited == "none":
            raise ValueError("--left-out is of what is inherited; say what with --inherited contours or all")
