"""Who plays on which labelled images: the settings of the evaluation and of the race of controllers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from ciliary.agents.options import CONTROLLERS, GONE, wrong_controller
from ciliary.cortex.loading import names_object
from ciliary.cortex.options import CORTEX
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option, words
from ciliary.tuning.cli.settings import Images, PerceiverOptions, Workers

if TYPE_CHECKING:
    from ciliary.tuning.evaluation.measure import MeasureSettings

#: Methods by name that are no controllers.
NO_CONTROLLERS = ("setting", "best-fixed", "refit-fixed")
SEVERITIES = """\
disturbances  none, KIND:SEVERITY as for accommodate, all:3 (each of the eight kinds), mixed:3 (one kind an image, in
              rotation); a bare number repeats the kind: all:1,3,5"""


def controller_of(method: str) -> str:
    """``tpe`` of ``tpe:raw:16``; ``mine:Walker`` of ``mine:Walker:raw:16``, a controller of one's own."""
    from ciliary.envs.options import UNCALIBRATED  # brings NumPy, for which --help does not wait

    name, _, rest = method.strip().partition(":")
    second = rest.partition(":")[0]
    is_own = name not in (*CONTROLLERS, *NO_CONTROLLERS, *GONE) and names_object(f"{name}:{second}")
    return f"{name}:{second}" if is_own and second not in (*UNCALIBRATED, "calibrated", "single") else name


@dataclass(frozen=True, kw_only=True)
class ContestSettings(PerceiverOptions):
    """What evaluation and race share: labelled images, or photographs nobody drew on (compare alone can use them)."""

    images: Images = field(default=(), kw_only=False)
    bsds: Annotated[
        Path | None, option("--bsds", "PATH", "BSDS500: the folder that holds images/ and groundTruth/")
    ] = None
    labelled: Annotated[Path | None, option("--labelled", "FOLDER", "your own: images/ and labels/<name>*.png")] = None
    split: Annotated[str, option("--split", "val|train", "of BSDS500"), one_of("val", "train")] = "val"
    n_images: Annotated[int | None, option("--images", "N", "so many, evenly spaced (all)"), at_least(1)] = None
    methods: Annotated[
        tuple[str, ...] | None,
        option("--methods", "A,B,C", "who plays (see below)", convert=words, also="--controllers"),
    ] = None
    disturb: Annotated[str, option("--disturb", "LIST", "how images are disturbed")] = "none,mixed:3"
    n_workers: Workers = 1
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/contest")
    table: Annotated[
        Path | None, option("--table", "FILE", "response table of these images, made by compute_table (see below)")
    ] = None
    train_table: Annotated[
        Path | None, option("--train-table", "FILE", "response table of others: chooses best fixed settings")
    ] = None
    page: Annotated[Path | None, option("--page", "FILE", "results page (in OUT)")] = None
    reading: Annotated[
        Path | None, option("--reading", "FILE", "Markdown that the page quotes (<page>_reading.md beside it)")
    ] = None

    def hopeless(self) -> Sequence[str]:
        """Nothing; paths that are missing, and unknown controllers of methods, are wrong usage here.

        Raises:
            ValueError: naming one of either.
        """
        for line in super().hopeless():
            raise ValueError(line)
        for text in self.methods or ():
            complaint = wrong_controller(controller_of(text), (*CONTROLLERS, *NO_CONTROLLERS))
            if complaint:
                raise ValueError(f"method {text!r} {complaint}")
        return ()

    @property
    def how(self) -> "MeasureSettings":
        """Who sees, and how large."""
        from ciliary.tuning.evaluation.measure import MeasureSettings  # brings torch

        other = None if self.perceiver == CORTEX else self.perceiver
        return MeasureSettings(cortex=self.cortex, size_px=self.size_px, perceiver=other, device=self.device)

    @property
    def marks(self) -> dict[str, str]:
        """What else the numbers depend on: the name of the data, and what is in files the cortex is made of."""
        return {"data": self.source} | self.cortex_marks | ({} if self.perceiver == CORTEX else {"seer": self.seer})

    @property
    def source(self) -> str:
        """Where the images are from, in words."""
        if self.images:
            return "photographs that nobody drew on"
        if self.labelled is not None:
            return f"labelled images of {self.labelled.name}"
        return f"BSDS500, {'validation' if self.split == 'val' else 'training'} images"


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(ContestSettings):
    """Does accommodation see better? Methods, peers and people on labelled images, as one page of results."""

    epilog: ClassVar[str] = f"""\
methods       CONTROLLER[:OBJECTIVE[:TRIALS]] with CONTROLLER from fixed, normalise, random, policy, panel,
              disagreement, tpe, cmaes, gp, nsga2 and OBJECTIVE raw, recognition, agreement, looks, calibrated or the
              file of a calibration; then, if wanted, :no-guard and :NAME=VALUE for a changed default. With looks the
              answer is all of them together (with :single, the one that all agree with most); who sees is then best
              --perceiver glances. setting:FILE.json is a fixed setting. With --train-table,
              best-fixed and refit-fixed (best fixed for each kind of disturbance). fixed always plays; without
              --methods, normalise, the policy and two searches.
{SEVERITIES}
tables        --table: what many settings answered on these images (compute_table): oracle, protocols, validity

results       PAGE (OUT/results.md) and its tables and figures in a folder of its name beside it. Its reading comes from
              <PAGE>_reading.md beside it, written by hand. Runs in OUT/mlflow.db, or where MLFLOW_TRACKING_URI says.
interrupted   The same command goes on where it stood: every case that was measured is kept in OUT.
{IN_WORDS}

examples      ciliary evaluate --bsds bsds500 --images 20
              ciliary evaluate --labelled mine --methods normalise,tpe:raw:16 --disturb none --no-portraits
"""

    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/evaluate")
    with_portraits: Annotated[
        bool, option("--portraits/--no-portraits", "", "peers, stages and people on clean images")
    ] = True
    shown: Annotated[str | None, option("--show", "METHOD", "whose gains are drawn (the last of --methods)")] = None


@dataclass(frozen=True, kw_only=True)
class CompareSettings(ContestSettings):
    """Which controller? Loss against evaluations and seconds, and covering against people, as one page.

    With photographs or folders in place of labelled images, the race is about the loss alone.
    """

    epilog: ClassVar[str] = f"""\
methods       CONTROLLER[:OBJECTIVE[:TRIALS]] with CONTROLLER from the registry (fixed, random, reflex,
              gradient, tpe, cmaes, gp, policy, sb3, hybrid, memory, ...) or your own as module:object, and OBJECTIVE
              raw, recognition, agreement, calibrated or the file of a calibration; then, if wanted, :no-guard,
              :policy=FILE (.safetensors, or .zip for sb3), :memory=FILE (.npz), :label=TEXT, :NAME=VALUE for a
              number of the controller or a changed default. With --train-table, best-fixed and refit-fixed. fixed
              always plays, under every objective; without --methods, random, tpe, cmaes, policy.
{SEVERITIES}
seeds         change views and controllers; who draws nothing plays once where the objective has no views.
seconds       --workers 1 gives an episode all cores; more workers give each one thread: name it when comparing.
tables        --table: what many settings answered on these images (compute_table): oracle, seeds

results       PAGE (OUT/controllers.md) and its tables and figures in a folder of its name beside it. Its reading comes
              from <PAGE>_reading.md beside it, written by hand. Runs in OUT/mlflow.db, or where MLFLOW_TRACKING_URI
              says.
interrupted   The same command goes on where it stood; with more methods, images or seeds it plays only what is new.
{IN_WORDS}

examples      ciliary compare holiday/ --methods random:raw:16,tpe:raw:16
              ciliary compare --bsds bsds500 --images 20 --methods \\
                  tpe:raw:64,policy:raw:2,policy:raw:2:policy=mine.safetensors:label=mine
"""

    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/compare")
    n_seeds: Annotated[int, option("--seeds", "N", "episodes of each case"), at_least(1)] = 5
    reference: Annotated[
        str | None, option("--reference", "METHOD", "whose gain is the measure of the others (tpe of most trials)")
    ] = None
