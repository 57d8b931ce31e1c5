"""What is examined, and on what; what is timed: the settings of the exams and of the benchmark of speed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from ciliary.cortex.options import DEEP, DEVICES, INHERITS, LEARNED
from ciliary.tuning.cli.early import ACCOMMODATES
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import (
    PYTHON_ONLY,
    at_least,
    counts,
    one_of,
    option,
    words,
)
from ciliary.tuning.cli.settings import (
    Depth,
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

FEW_SHOT, OCCLUSION, ENERGY, CONTOURS = EXAMS = ("few-shot", "occlusion", "energy", "contours")

EPILOG = f"""\
exams         few-shot   how well test images are named from 1, 5, 20 examples of each class, by M5's codes and by V4;
                         official runs also by their pixels and by where the ink lies
              occlusion  the same behind grey, noise and black squares of 25, 50 and 75 %, and how well M5 fills in
                         a hidden part of what it is told of a proto-object
              energy     operations and sparsity of each stage, experts that answer, and naming with fewer of them
              contours   M2's completion and the one lifted to position and angle: gaps, illusory figures, junctions,
                         people's contours in fog; --data is BSDS500's folder, and --split, --images, --size (192),
                         --seed and --out are all it takes
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
              ciliary examine contours --data bsds500 --images 50
"""


@dataclass(frozen=True, kw_only=True)
class ExamSettings(OnDevice):
    """The cortex's final exams: naming from few examples, robustness to occlusion, energy; and contours completed."""

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
    split: Annotated[
        Literal["train", "val"], option("--split", "val|train", "of BSDS500 (contours)"), one_of("val", "train")
    ] = "val"
    seed: Annotated[int, option("--seed", "N", "of draws and occluders"), at_least(0)] = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/examine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exam != FEW_SHOT and len(self.shots) > 1:
            raise ValueError(f"{self.exam} takes one number of --shots, got {self.shots}")
        if self.exam == CONTOURS and (self.learned or self.shots or self.deep != "none"):
            raise ValueError("contours are examined in the mathematical cortex: leave --learned, --deep, --shots out")
        if self.exam == CONTOURS and self.device not in ("auto", "cpu"):
            raise ValueError("contours are examined on the CPU: leave --device out")

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

        own = (self.learned, self.weights, self.deep, self.n_tokens)
        return Look(*own, inherited=self.inherited, curvature=self.exam == FEW_SHOT, device=self.device)


#: Parts of the benchmark, in their order.
PARTS = ("percept", "panel", "episode", "steps", "folder", "peers")

BENCHMARK_EPILOG = f"""\
parts         percept   a percept, and a candidate of a search with its views, by stage, size and population
              panel     the looks that an objective compares with, and those of an episode put together
              episode   whole episodes, nothing drawn
              steps     steps of the environments, single and vector
              folder    a folder of pictures by one worker and by two; its stages alone, and what a queue of them says
              peers     scikit-image's segmenters, and the environments of ap_gym and DACBench where they are installed
record        OUT as JSON, and the same as a page beside it (.md). Times stand twice: by the wall, which other work on
              the machine lengthens, and by the processor.
{IN_WORDS}

examples      ciliary benchmark --compare docs/benchmark.json
              ciliary benchmark --parts all --out runs/benchmark/all.json
"""


def named_parts(texts: Sequence[str]) -> tuple[str, ...]:
    """``all``, or names of :data:`PARTS`, in their order; unknown ones, for the check, last."""
    names = words(texts)
    known = PARTS if "all" in names else tuple(part for part in PARTS if part in names)
    return (*known, *(name for name in names if name not in (*PARTS, "all")))


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Settings):
    """Measure what perceiving, accommodating and stepping cost on this machine; by default a percept and its stages.

    An image of long side s is 3:2, and has views beside itself.
    """

    epilog: ClassVar[str] = BENCHMARK_EPILOG
    out_is_file: ClassVar[bool] = True

    parts: Annotated[
        tuple[str, ...], option("--parts", "all|NAME,NAME", "what is measured", convert=named_parts), one_of(*PARTS)
    ] = (PARTS[0],)
    sizes_px: Annotated[tuple[int, ...], option("--sizes", "PX ...", "long sides", is_list=True), at_least(24)] = (
        *(96, 192, 288),
        384,
    )
    populations: Annotated[
        tuple[int, ...], option("--populations", "N ...", "candidates in one batch", is_list=True), at_least(1)
    ] = (1, 16)
    episode_sizes_px: Annotated[
        tuple[int, ...],
        option("--episode-sizes", "PX ...", "long sides of episodes; steps and folder take the first", is_list=True),
        at_least(32),
    ] = (96, 192)
    controller: Annotated[str, option("--controller", "NAME", "who plays the folder"), ACCOMMODATES] = "panel"
    n_images: Annotated[int, option("--images", "N", "pictures in the folder"), at_least(3)] = 24
    n_envs: Annotated[int, option("--envs", "N", "environments of a vector"), at_least(1)] = 8
    n_repeats: Annotated[int, option("--repeats", "N", "evaluations after warm-up"), at_least(1)] = 5
    n_threads: Annotated[int, option("--threads", "N", "torch threads"), at_least(1)] = 2
    n_warmup: Annotated[int, PYTHON_ONLY] = 2
    n_photometric: Annotated[int, PYTHON_ONLY] = 2
    n_geometric: Annotated[int, PYTHON_ONLY] = 2
    max_images: Annotated[int, PYTHON_ONLY] = 20  # images per forward pass
    device: Annotated[
        str,
        option("--device", "|".join(DEVICES), "auto is the processor, and a GPU too where there is one"),
        one_of(*DEVICES),
    ] = "auto"
    depth: Depth = "none"
    features: Features = "none"
    features_weights: FeaturesWeights = None
    inherited: Inherited = INHERITS
    seed: Seed = 0
    out: Annotated[Path, option("--out", "FILE", "JSON record")] = Path("runs/benchmark.json")
    compare: Annotated[
        Path | None, option("--compare", "FILE", "an older record; exit code 1 if something is slower")
    ] = None

    @property
    def cortex(self) -> dict[str, Any]:
        """Keyword arguments of the cortex."""
        from ciliary.tuning.runs.fingerprints import cortex_options

        return cortex_options(
            depth=self.depth,
            features=self.features,
            features_weights=self.features_weights,
            inherited=self.inherited,
        )

    def of_cortex(self, controller: str) -> dict[str, Any]:
        """The same as options of a session; a policy that comes along plays the mathematical cortex alone."""
        own = {name: getattr(self, name) for name in ("depth", "features", "features_weights", "inherited")}
        return own | ({"inherited": "none"} if controller == "policy" else {})
