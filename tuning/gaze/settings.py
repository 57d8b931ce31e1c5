"""How gaze is looked at, told beside people's and fitted: the settings of ``gaze`` and ``train gaze``."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.cortex.options import INHERITED
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option
from ciliary.tuning.cli.settings import Features, FeaturesWeights, Images, OnDevice, Seed, Size
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.sessions.options import SessionOptions

MAPS = ("priority", "learned")
OWN_SIGHT = "own"
SIGHTS = ("whole", OWN_SIGHT)
TOGETHER = "together"
COMPARED = ("discount", TOGETHER)
HALVES = ("tell", "choose")
DEFAULT_OUT = Path("runs/gaze")
PX_PER_DEG_HELP = "pixels of the file to a degree of visual angle (its width is 33.3 degrees)"


@dataclass(frozen=True, kw_only=True)
class GazeSettings(SessionOptions):
    """Where an eye would look in photographs, why, and what it would have seen: a figure, a JSON and a run of each.

    Without IMAGE, three bundled photographs are looked at. With --people DIR nothing is drawn: the maps are told beside
    people's fixations, between floors and the people themselves.
    """

    epilog: ClassVar[str] = f"""\
maps          priority  rarity, ends and colour, weighed and raised to a power: nothing fitted but these few numbers
              learned   13 weights of the same maps, fitted to half of OSIE's fixations; --weights FILE for your own
sight         whole     the map of the sharp photograph, winner after winner; the eye could not know it
              own       at each glance where a look gains most by what was seen so far
people        DIR holds images/ and fixations.npz: names, and an entry a fixation of image, subject, order, y_px, x_px,
              duration_ms. Numbers are of the half on which nothing was chosen (a bit of the hash of a name).
detail        what --glances glances leave known where people look, of a cortex that inherits so much, policy by policy:
              acuity, and the covering of its percept of the sharp photograph, both weighed by people's fixations;
              --expectation FILE, of ciliary train expectation, adds a row
compare       discount  the percept of the mosaic with edges discounted where acuity changes, beside the plain one
              together  the percepts after each glance put together, beside that of the last mosaic; and whether their
                        uncertainty tells where they are wrong, beside what acuity alone says
percept       of a cortex that inherits so much: the percepts after each fixation put together, each place by how
              sharply it was seen, and how far they disagree
output        OUT/<image>.png, the figure, OUT/<image>.gif, the film, and OUT/<image>.json, the fixations in pixels of
              the file and in degrees from its centre. --save DIR adds DIR/<image>.priority.png, 8 bits, 255 where
              priority is highest; with --percept also <image>.labels.png, .boundary.png, .regions.png,
              .uncertainty.png and .json.
              OUT/<session>/episodes.jsonl; OUT/mlflow.db, the runs: acuity, degrees and samples
              after each fixation.
              --people: OUT/gaze.md and OUT/gaze.csv, with --ablations OUT/gaze_ablations.csv, with --detail
              OUT/detail.md and OUT/detail.csv, with --compare OUT/detail_<what>.md and .csv.
many images   --workers 2 looks at two photographs at a time; --shard 3/8 does the third of eight parts of them, under a
              session of its own, and `ciliary merge OUT` puts these together; --engine ray gives them to a cluster
{IN_WORDS}

examples      ciliary gaze photo.jpg holiday/ --fixations 6 --save maps
              ciliary gaze --people osie/ --images 100
"""

    untold: ClassVar[tuple[str, ...]] = (
        *("images", "people", "n_images", "ablations", "detail", "compare", "half", "n_glances"),
    )

    images: Images = field(default=(), kw_only=False)
    people: Annotated[Path | None, option("--people", "DIR", "photographs and where people looked: a table")] = None
    n_images: Annotated[
        int | None, option("--images", "N", "with --people: so many, evenly (all of the half)"), at_least(2)
    ] = None
    ablations: Annotated[
        bool, option("--ablations", "", "with --people: also what each ingredient of priority is worth")
    ] = False
    n_fixations: Annotated[int, option("--fixations", "N", "of each path, the first at the centre"), at_least(1)] = 10
    px_per_deg: Annotated[float | None, option("--px-per-deg", "X", PX_PER_DEG_HELP)] = None
    centre: Annotated[
        float | None,
        option("--centre", "EXPONENT", "of the centre prior, 0 for none (1; of learned, what was fitted)"),
        at_least(0),
    ] = None
    map: Annotated[str, option("--map", "|".join(MAPS), "what draws the eye"), one_of(*MAPS)] = "priority"
    sight: Annotated[str, option("--sight", "|".join(SIGHTS), "what the eye knows of it"), one_of(*SIGHTS)] = "whole"
    weights: Annotated[Path | None, option("--weights", "FILE", "of `ciliary train gaze`, for the learned map")] = None
    detail: Annotated[
        str | None, option("--detail", "|".join(INHERITED), "with --people: see below"), one_of(*INHERITED)
    ] = None
    compare: Annotated[
        str | None, option("--compare", "|".join(COMPARED), "with --detail: two percepts, see below"), one_of(*COMPARED)
    ] = None
    half: Annotated[
        str,
        option("--half", "|".join(HALVES), "with --people: photographs to tell on, or to choose on"),
        one_of(*HALVES),
    ] = "tell"
    n_glances: Annotated[int, option("--glances", "N", "of --detail"), at_least(2)] = 8
    expectation: Annotated[
        Path | None, option("--expectation", "FILE", "of `ciliary train expectation`, for --sight own and --detail")
    ] = None
    percept: Annotated[
        str | None, option("--percept", "|".join(INHERITED), "also what a cortex perceives by it"), one_of(*INHERITED)
    ] = None
    size_px: Size = 320
    out: Annotated[Path, option("--out", "DIR", "where figures and tables go")] = DEFAULT_OUT
    save: Annotated[Path | None, option("--save", "DIR", "also write priority maps here")] = None
    is_animated: Annotated[bool, option("--animation/--no-animation", "", "write a GIF beside each figure")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_px_per_deg(self.px_per_deg)
        if self.people is not None and self.images:
            raise ValueError("--people has its own photographs; leave IMAGE out")
        if self.expectation is not None and self.detail is None and self.sight != OWN_SIGHT:
            raise ValueError("--expectation is of --sight own and of --detail; ask for one of them")
        if self.sight == OWN_SIGHT and (self.map != "priority" or self.weights is not None):
            raise ValueError(
                "--sight own has no --map; teach what it expects with: ciliary train expectation --weights FILE"
            )
        if self.people is None and (self.n_images is not None or self.detail is not None or self.ablations):
            raise ValueError("--images, --detail and --ablations are of --people DIR; name photographs without them")
        if self.compare is not None and self.detail is None:
            raise ValueError("--compare is of --detail; say which cortex: --detail none")
        if self.half != "tell" and self.people is None:
            raise ValueError("--half is of --people DIR; leave it out")
        if self.detail is not None and self.ablations:
            raise ValueError("--ablations are of the maps; leave --detail out")
        if self.people is not None and (self.save is not None or self.centre is not None):
            raise ValueError(
                "--save and --centre are of photographs; --people tells each map with and without a centre"
            )
        if self.people is not None and self.is_parted:
            raise ValueError("--workers, --engine and --shard are of photographs; leave them out, or --people")
        if self.percept is not None and self.people is not None:
            raise ValueError("--percept is of photographs; with --people ask for --detail KIND --compare together")
        if self.weights is not None:
            object.__setattr__(self, "map", "learned")

    @property
    def called(self) -> str:
        """What is done."""
        return "gaze"

    def fingerprint(self) -> str:
        """The same of numbers and of files, by what is in them: they may be fitted anew under their old names."""
        files = {name: path for name in ("weights", "expectation") if (path := getattr(self, name)) is not None}
        if not files:
            return super().fingerprint()
        marks = {name: digest(path.read_bytes()) for name, path in files.items()}
        return digest(json.dumps({**self.numbers(), **marks}, sort_keys=True).encode())


@dataclass(frozen=True, kw_only=True)
class GazeTraining(OnDevice):
    """Fit the weights of a density of gaze, 13 or 77, to people's fixations. Minutes; concave, so the fit is the best.

    Use it with ciliary gaze --weights FILE.
    """

    epilog: ClassVar[str] = """\
people        a folder as for ciliary gaze --people: fitted on one half of it, told on the other, on which nothing was
              chosen (a bit of the hash of a photograph's name)
features      efficientnet_lite0 adds 64 maps of a pretrained backbone to the 12 of ours
output        OUT/gaze.json, the weights (with where they come from), and OUT/gaze_mixture.md, what they are worth
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary train gaze --people osie/ --features efficientnet_lite0 --out runs/gaze
              ciliary gaze photo.jpg --weights runs/gaze/gaze.json
"""

    people: Annotated[Path, option("--people", "DIR", "photographs and where people looked")]
    features: Features = "none"
    features_weights: FeaturesWeights = None
    n_images: Annotated[int | None, option("--images", "N", "of each half, evenly (all)"), at_least(4)] = None
    px_per_deg: Annotated[float | None, option("--px-per-deg", "X", PX_PER_DEG_HELP)] = None
    size_px: Size = 320
    out: Annotated[Path, option("--out", "DIR", "where the weights go")] = DEFAULT_OUT

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_px_per_deg(self.px_per_deg)
        if self.features_weights is not None and self.features == "none":
            raise ValueError("--features-weights is of a backbone; say which with --features NAME")


@dataclass(frozen=True, kw_only=True)
class ExpectationTraining(OnDevice):
    """Teach the eye's expectation: from what glances saw, the priority that the whole photograph would have.

    Without labels: photographs and their own priority teach it. Use it with EyeConfig(expectation=FILE).
    """

    epilog: ClassVar[str] = """\
weights       of ciliary train gaze: its density of gaze is learned in place of priority, which then is inherited from
              people's fixations, and from a backbone where the mixture has one
output        OUT/expectation.safetensors, with where it comes from
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary train expectation photographs/ --views 3
              ciliary train expectation photographs/ --weights runs/gaze/gaze.json
"""

    images: Images = field(default=(), kw_only=False)
    n_views: Annotated[int, option("--views", "N", "parts of each photograph, eight glances at each"), at_least(1)] = 3
    n_epochs: Annotated[int, option("--epochs", "N", "how often all of it is seen"), at_least(1)] = 6
    weights: Annotated[Path | None, option("--weights", "FILE", "of `ciliary train gaze`, to learn in its place")] = (
        None
    )
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "where the weights go")] = DEFAULT_OUT


def _check_px_per_deg(value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"px_per_deg (--px-per-deg) must be above 0, got {value}")
