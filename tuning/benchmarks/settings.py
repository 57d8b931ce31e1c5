"""What is examined, and on what; what is timed: the settings of the exams and of the benchmark of speed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from ciliary.cortex.options import DEEP, LEARNED
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import (
    PYTHON_ONLY,
    at_least,
    counts,
    one_of,
    option,
)
from ciliary.tuning.cli.settings import (
    Depth,
    Device,
    Features,
    FeaturesWeights,
    Inherited,
    Learned,
    OnDevice,
    Seed,
    Settings,
)

if TYPE_CHECKING:
    from ciliary.tuning.benchmarks.data import ReadSettings
    from ciliary.tuning.benchmarks.perceive import Look

FEW_SHOT, OCCLUSION, ENERGY = EXAMS = ("few-shot", "occlusion", "energy")

EPILOG = f"""\
exams         few-shot   how well test images are named from 1, 5, 20 examples of each class
              occlusion  the same behind grey, noise and black squares of 25, 50 and 75 %, and how well M5 fills in
                         a hidden part of what it is told of a proto-object
              energy     operations and sparsity of each stage, experts that answer, and naming with fewer of them
data          an .npz of small images (train_images, train_labels, test_images, test_labels, classes), 64 px;
              a folder with train/ and val/ of class folders, or class folders alone (every third image is held out),
              middle square of 160 px; a .zip of Omniglot's one-shot runs, 96 px: the official runs, of one example
learned       without --learned all is mathematics; --learned m5 is M5 alone, on mathematical proto-objects

results       OUT/exam_<exam>.md, its figures beside it, and every number in OUT/exam_<exam>.json
interrupted   The same command goes on where it stood: what was perceived is kept in OUT/tokens.
{IN_WORDS}

examples      ciliary examine few-shot --data cifar10.npz --learned all --out runs/examine/cifar
              ciliary examine occlusion --data imagenette --learned all --deep efficientnet_lite0
              ciliary examine energy --data mine --learned all --images 20
"""


@dataclass(frozen=True, kw_only=True)
class ExamSettings(Settings):
    """The cortex's final exams: naming from few examples, robustness to occlusion, energy."""

    epilog: ClassVar[str] = EPILOG

    exam: Annotated[str, PYTHON_ONLY, one_of(*EXAMS)] = field(default=FEW_SHOT, kw_only=False)  # positional
    data: Annotated[Path, option("--data", "PATH", "named images: an .npz, a folder, or a .zip of runs")]
    learned: Annotated[tuple[str, ...], Learned, one_of(*LEARNED)] = ()
    weights: Annotated[
        Path | None, option("--weights", "FILE", "of the learned stages (those that come with the project)")
    ] = None
    inherited: Inherited = "none"
    deep: Annotated[str, option("--deep", "|".join(DEEP), "backbone for recognition"), one_of(*DEEP)] = "none"
    shots: Annotated[
        tuple[int, ...],
        option("--shots", "N,N", "examples of each class (1,5,20; 5 for occlusion and energy)", convert=counts),
        at_least(1),
    ] = ()
    n_episodes: Annotated[int, option("--episodes", "N", "draws of examples"), at_least(1)] = 50
    size_px: Annotated[
        int | None, option("--size", "PX", "side that images are brought to (64, 160 or 96, by kind)"), at_least(32)
    ] = None
    n_images: Annotated[
        int | None, option("--images", "N", "at most so many of a class, in training and in test (all)"), at_least(1)
    ] = None
    n_queries: Annotated[
        int | None, option("--queries", "N", "at most so many test images of a class (as --images)"), at_least(1)
    ] = None
    n_tokens: Annotated[int, option("--tokens", "N", "heaviest proto-objects kept of an image"), at_least(1)] = 16
    seed: Annotated[int, option("--seed", "N", "of draws and occluders"), at_least(0)] = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/examine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exam != FEW_SHOT and len(self.shots) > 1:
            raise ValueError(f"{self.exam} takes one number of --shots, got {self.shots}")

    @property
    def tried(self) -> tuple[int, ...]:
        """Numbers of examples of each class."""
        return self.shots or ((1, 5, 20) if self.exam == FEW_SHOT else (5,))

    @property
    def reading(self) -> "ReadSettings":
        """How much of the images is read, and how large."""
        from ciliary.tuning.benchmarks.data import ReadSettings  # brings torch

        return ReadSettings(self.size_px, self.n_images, self.n_queries)

    @property
    def look(self) -> "Look":
        """Which cortex looks."""
        from ciliary.tuning.benchmarks.perceive import Look

        return Look(self.learned, self.weights, self.deep, self.n_tokens, inherited=self.inherited)


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(OnDevice):
    """Measure what a candidate setting costs (one image and its views through the whole cortex), per stage and size.

    An image of long side s is 3:2, and has views beside itself.
    """

    out_is_file: ClassVar[bool] = True

    sizes_px: Annotated[tuple[int, ...], option("--sizes", "PX ...", "long sides", is_list=True), at_least(24)] = (
        *(96, 192, 288),
        384,
    )
    populations: Annotated[
        tuple[int, ...], option("--populations", "N ...", "candidates in one batch", is_list=True), at_least(1)
    ] = (1, 16)
    n_repeats: Annotated[int, option("--repeats", "N", "evaluations after warm-up"), at_least(1)] = 7
    n_threads: Annotated[int, option("--threads", "N", "torch threads"), at_least(1)] = 2
    n_warmup: Annotated[int, PYTHON_ONLY] = 2
    n_photometric: Annotated[int, PYTHON_ONLY] = 2
    n_geometric: Annotated[int, PYTHON_ONLY] = 2
    max_images: Annotated[int, PYTHON_ONLY] = 20  # images per forward pass
    depth: Depth = "none"
    features: Features = "none"
    features_weights: FeaturesWeights = None
    inherited: Inherited = "none"
    seed: Seed = 0
    device: Device = "cpu"
    out: Annotated[Path, option("--out", "FILE", "JSON record")] = Path("runs/benchmark.json")
    compare: Annotated[
        Path | None, option("--compare", "FILE", "an older record; exit code 1 if something is slower")
    ] = None
