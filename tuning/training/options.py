"""What is trained, and on what: the settings of training a policy and of training the cortex."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.cortex.options import INHERITED, cortex_name, default_objective
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import PYTHON_ONLY, at_least, one_of, option, words
from ciliary.tuning.cli.settings import CortexOptions, FeaturesWeights, Images, OnDevice, Seed, Size

ALGORITHMS = ("gradient", "ppo", "sac", "reflex")
RULES = ("sanger", "sparse", "stdp")
CODES = "exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM"


@dataclass(frozen=True, kw_only=True)
class PolicySettings(CortexOptions):
    """Train a policy: what to set the cortex to, from what it sees, learned beforehand on photographs without labels.

    Play it with accommodate --controller policy (gradient), sb3 (ppo, sac) or reflex, and --policy FILE.
    """

    epilog: ClassVar[str] = f"""\
algorithms    gradient  the objective's own gradient through the cortex; OUT/policy.safetensors
              ppo, sac  reinforcement learning (stable-baselines3, the extra rl; see ciliary doctor); OUT/policy.zip
              reflex    set points and gains of the homeostat, measured; OUT/reflex.json
how long      a step of ppo or sac is one look at one image, and its views where the objective has any. The calibrated
              objective first looks at each of the --cases under 32 settings.
output        in OUT, beside the policy: learning_curve.png, progress.jsonl, checkpoints, and the run in mlflow.db (or
              where MLFLOW_TRACKING_URI says).
interrupted   The same command goes on where it stood, and with more --steps it goes on when it was complete. Other
              settings need another --out.
{CODES}

examples      ciliary train policy --algo ppo --images holiday/ --steps 20000 --out runs/policies/holiday
              ciliary accommodate beach.jpg --controller sb3 --policy runs/policies/holiday/policy.zip
"""

    algo: Annotated[str, option("--algo", "|".join(ALGORITHMS), "how it is trained"), one_of(*ALGORITHMS)]
    images: Annotated[str | Path, option("--images", "FOLDER", "photographs to learn from")] = "bundled"
    bsds: Annotated[Path | None, option("--bsds", "DIR", "BSDS500: its training images are used")] = None
    objective: Annotated[
        str, option("--objective", "calibrated|raw|recognition|agreement|FILE", "what is to fall (as for accommodate)")
    ] = ""
    n_steps: Annotated[
        int | None, option("--steps", "N", "looks (ppo, sac: 20000), or optimiser steps (gradient: 400)"), at_least(1)
    ] = None
    n_views: Annotated[
        int | None,
        option("--views", "N", "views a percept is judged by; fewer are faster (the objective's)"),
        at_least(1),
    ] = None
    n_cases: Annotated[
        int | None, option("--cases", "N", "disturbed photographs to learn from (ppo, sac: 256)"), at_least(1)
    ] = None
    without: Annotated[
        tuple[str, ...],
        option("--without", "KIND,...", "gradient: disturbances to leave out, to test on them later", convert=words),
    ] = ()
    n_envs: Annotated[int, option("--envs", "N", "ppo, sac: episodes side by side"), at_least(1)] = 8
    size_px: Size = 96
    seed: Seed = 0
    out: Annotated[
        Path | None, option("--out", "DIR", "folder of this training (runs/policies/<algo>-<objective>)")
    ] = None
    register: Annotated[
        str | None, option("--register", "NAME", "also register it in MLflow; then --policy models:/NAME/VERSION")
    ] = None
    store: Annotated[
        Path | None, option("--store", "DIR", "whose registry (runs/accommodate: where accommodate looks)")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.objective:
            object.__setattr__(self, "objective", default_objective(cortex_name(self.inherited)))
        if self.register and self.algo == "reflex":
            raise ValueError("a reflex is a table, not a policy that can be registered")
        if self.bsds is not None and self.images != "bundled":
            raise ValueError("--images and --bsds exclude each other")


@dataclass(frozen=True, kw_only=True)
class CortexTraining(OnDevice):
    """Train the learned parts of the cortex, from newborn to adult, on any folder of photographs. No labels.

    Use what it learned with --learned all in the other commands, or cortex.Cortex(learned=True, weights=FILE). With
    --labelled it is taught what a cortex inherits instead: regions, contours and merges, from people's drawings.
    """

    epilog: ClassVar[str] = f"""\
curriculum    M2 contours, M3 texture code, M5 experts. Each phase follows its own losses, the other stages stand still,
              and ends when the photographs held out no longer gain. All numbers are in one file: copy the one that
              --print-config shows.
inherited     --labelled DIR --inherited contours teaches M1's code, M2's contours, the cost of merging and objectness
              from BSDS500's training images, or a folder's images/ and labels/: OUT/inherited_contours.safetensors,
              for cortex.Cortex(inherited="contours", inherited_weights=FILE). all does so on a pretrained trunk. What
              is fitted after the contours sees them from networks that had not seen the image (five folds): six
              networks, each some 40 minutes of a core that has bfloat16, and hours where it has not.
output        OUT/cortex.safetensors (with where it comes from), curves.png, report.md (each stage beside its
              mathematical part, the untrained network and trivial solutions), progress.jsonl, checkpoint.pt, and a run
              in mlflow.db (or where MLFLOW_TRACKING_URI says).
interrupted   The same command goes on where it stood.
{CODES}

examples      ciliary train cortex --images holiday/ --out runs/cortex
              ciliary look beach.jpg --learned all --weights runs/cortex/cortex.safetensors
"""

    images: Annotated[tuple[str, ...], option("--images", "FOLDER ...", "photographs to learn from", is_list=True)] = (
        "bundled",
    )
    config: Annotated[Path | None, option("--config", "FILE", "another curriculum (TOML)")] = None
    is_printing: Annotated[
        bool, option("--print-config", "", "show the curriculum that comes with the project, and stop")
    ] = False
    labelled: Annotated[
        Path | None, option("--labelled", "DIR", "people's drawings: teach what is inherited, from them")
    ] = None
    inherited: Annotated[
        str, option("--inherited", "|".join(INHERITED[1:]), "what to teach with --labelled"), one_of(*INHERITED[1:])
    ] = INHERITED[1]
    n_steps: Annotated[int, option("--steps", "N", "with --labelled: batches the contours learn from"), at_least(1)] = (
        6000
    )
    begin: Annotated[
        Path | None, option("--from", "DIR", "with --labelled: go on from contours taught before on the same images")
    ] = None
    out: Annotated[Path, option("--out", "DIR", "folder of this training")] = Path("runs/cortex")
    with_report: Annotated[bool, option("--report/--no-report", "", "a report beside the weights")] = True


@dataclass(frozen=True, kw_only=True)
class FeaturesTraining(OnDevice):
    """Fit what the channels of a backbone are reduced to: principal components over photographs. Minutes, once a model.

    Use it with --features NAME in the other commands, or cortex.Cortex(features="NAME").
    """

    out_is_file: ClassVar[bool] = True
    epilog: ClassVar[str] = f"""\
name          any model of timm's that shows its stages, with or without the tag of its weights: resnet50,
              vit_small_patch14_dinov2.lvd142m, convnext_tiny.in12k_ft_in1k. efficientnet_lite0 comes fitted.
weights       the hub's, where there is a network or they were fetched once; or a file (.safetensors, .pth) with
              --features-weights FILE, here and wherever --features NAME is said
output        a projection of some 100 kB, kept in CILIARY_PROJECTIONS or else in ~/.cache/ciliary/projections under
              the model's name; the bundled photographs are few: better give some hundred of the kind it is to see
{CODES}

examples      ciliary train features resnet50 --images holiday/
              ciliary train features vit_small_patch14_dinov2 --features-weights dino.pth --images holiday/
              ciliary accommodate beach.jpg --features vit_small_patch14_dinov2 --features-weights dino.pth
"""

    name: Annotated[str, PYTHON_ONLY] = field(default="", kw_only=False)  # positional
    images: Annotated[
        tuple[str, ...], option("--images", "FOLDER ...", "photographs to fit it on; no labels", is_list=True)
    ] = ("bundled",)
    features_weights: FeaturesWeights = None
    out: Annotated[Path | None, option("--out", "FILE", "another place (then nothing finds it by the name)")] = None


@dataclass(frozen=True, kw_only=True)
class DepthTraining(OnDevice):
    """Teach the depth cue that --depth learned uses: a small head on a frozen network's maps, on frames with depth.

    Each scene is left out once, to say what the head is worth on a scene it has not seen, and how far to trust it.
    """

    epilog: ClassVar[str] = f"""\
frames        a folder is a scene, and so is each folder below it: NAME.color.jpg (or .png) with NAME.depth.png
              (16 bits, millimetres, 0 unknown); or Middlebury's view1.png, disp1.png and dmin.txt. At least two scenes.
output        OUT/depth.safetensors (with where it comes from), report.md (beside the height in the
              image and the pictorial cue, on scenes left out), progress.jsonl. Minutes; started anew when interrupted.
{CODES}

examples      ciliary train depth --data kitchen/ middlebury/ --out runs/depth
              python: cortex.cues.make_depth("learned", weights="runs/depth/depth.safetensors")
"""

    data: Annotated[tuple[str, ...], option("--data", "FOLDER ...", "scenes to learn from", is_list=True)]
    check: Annotated[
        tuple[str, ...],
        option("--check", "FOLDER ...", "frames only to report on; the same photographs are not learned", is_list=True),
    ] = ()
    n_views: Annotated[int, option("--views", "N", "cuts of the frames, in all"), at_least(32)] = 800
    n_steps: Annotated[int, option("--steps", "N", "optimiser steps of each head"), at_least(1)] = 100
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "folder of this training")] = Path("runs/depth")


@dataclass(frozen=True, kw_only=True)
class RobustTraining(OnDevice):
    """Harden the contours that people taught against the worst of small changes of the pixels: adversarial training.

    Each batch is learned from as it is and under an attack. Told before and after: clean, with noise, attacked.
    """

    epilog: ClassVar[str] = f"""\
labelled      BSDS500 (its training photographs; judged on its validation photographs), or a folder's images/ and
              labels/ (judged on every fifth image, which is not learned from)
output        OUT/inherited_contours.safetensors, report.md, progress.jsonl; some 20 minutes of one core, started anew
              when interrupted
{CODES}

examples      ciliary train robust --labelled bsds500 --epsilon 4
              python: Cortex(inherited="contours", inherited_weights="runs/robust/inherited_contours.safetensors")
"""

    labelled: Annotated[Path, option("--labelled", "DIR", "people's drawings to learn from")]
    epsilon: Annotated[float, option("--epsilon", "E", "largest change of a value, of 255")] = 4.0
    n_steps: Annotated[int, option("--steps", "N", "batches"), at_least(1)] = 300
    n_checked: Annotated[int, option("--checked", "N", "judge by at most so many images"), at_least(1)] = 50
    weights: Annotated[Path | None, option("--weights", "FILE", "begin from these, not from what comes along")] = None
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "folder of this training")] = Path("runs/robust")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.epsilon < 255:
            raise ValueError(f"expected --epsilon between 0 and 255, got {self.epsilon:g}; 4 is hardly seen")


@dataclass(frozen=True, kw_only=True)
class FiltersTraining(OnDevice):
    """Grow V1's filters from photographs by a rule of plasticity, and measure them beside log-Gabors and macaque V1.

    Without IMAGE, the bundled photographs, which are few: better give some hundred.
    """

    out_is_file: ClassVar[bool] = True
    epilog: ClassVar[str] = f"""\
rules         sparse  units that inhibit each other, each kept at its rate; they learn what they leave over
              sanger  the generalised Hebbian algorithm: principal components, under a Gaussian window
              stdp    units race to fire on the first spikes of ON and OFF; the winner's synapses learn
output        FILE, with where it comes from; beside it <stem>.png, the receptive fields, <stem>.tuning.png and
              <stem>.md: tuning, reconstruction and sparsity on every eighth photograph, which is not learned from, and
              with --bsds the covering of people's drawings with these filters and with log-Gabors. Minutes; started
              anew when interrupted.
{IN_WORDS}

examples      ciliary train filters holiday/ --out runs/filters/holiday.safetensors
              ciliary look beach.jpg --inherited none --stage m1=ciliary.cortex.stages.m1_grown:grown
              python: cortex.Cortex(m1=ciliary.cortex.stages.m1_grown.grown("runs/filters/holiday.safetensors"))
"""

    images: Images = field(default=("bundled",), kw_only=False)
    rule: Annotated[str, option("--rule", "|".join(RULES), "what is learned by"), one_of(*RULES)] = "sparse"
    n_units: Annotated[
        int | None, option("--units", "N", "filters to grow (sparse 192, stdp 96, sanger 32)"), at_least(6)
    ] = None
    patch_px: Annotated[int, option("--patch-px", "PX", "side of the patches"), at_least(6)] = 16
    n_steps: Annotated[int | None, option("--steps", "N", "batches (sparse, stdp 3000, sanger 6000)"), at_least(1)] = (
        None
    )
    size_px: Size = 192
    seed: Seed = 0
    bsds: Annotated[
        Path | None, option("--bsds", "DIR", "BSDS500: tell covering of its validation photographs too")
    ] = None
    out: Annotated[Path | None, option("--out", "FILE", "the filters (runs/filters/<rule>.safetensors)")] = None
