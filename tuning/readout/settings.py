"""What a readout is learned of, by what, and beside what: the settings of ``readout``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import Check, at_least, one_of, option, words
from ciliary.tuning.cli.settings import CortexOptions, Images, Seed

FIELDS = ("retina", "m1", "m2", "m3", "m4", "code")
HEADS = ("linear", "conv")
BESIDE = ("blurs", "blurs-conv", "unet")
WAYS = ("default", "looks", "chosen", "reflex")
DEFAULT_OUT = Path("runs/readout")


def a_share(value: float) -> str | None:
    """The check of a share of the images."""
    return None if 0 < value < 1 else f"must lie between 0 and 1, got {value}"


@dataclass(frozen=True, kw_only=True)
class ReadoutSettings(CortexOptions):
    """Learn to read classes of pixels off the cortex's fields, from labelled masks; or apply what was learned.

    With --labelled a head is learned, and measured on images held out, beside the majority class, a head on the image
    and its blurs, and, if asked, a U-Net. With IMAGE and --model what was learned is applied.
    """

    epilog: ClassVar[str] = f"""\
labelled      DIR of images/ and labels/: a map a name, every value a class (--classes foreground: 0 and the rest); or
              synthetic-cells:N, cells that are drawn: ground, cytoplasm, nucleus.
fields        retina, m1, m2, m3: what they say of every pixel; m4: of the proto-object it lies in; code: what M1 and M3
              have learned
split         images: at random; blocks: of a stack of slices in order of their names the last to test on, those before
              to validate, the first to learn from
losses        dice, iou, tversky:FP:FN, focal:GAMMA, ce, or the sum of two, as dice+ce; pixels of focal and ce weigh by
              class, as the training images have them
beside        blurs: a linear head on the image and four Gaussian blurs; blurs-conv: the other head on these;
              unet: a U-Net of segmentation_models_pytorch from scratch (the extra readout; see ciliary doctor)
read          default: at the cortex's defaults; looks: mean of 8 looks around them; chosen: of those that helped on
              validation images; reflex: at the setting that the reflex finds for each image
              (--taught-looks N: the head has learned from N looks, too)
output        OUT/readout.safetensors (the head whose validation loss was lowest), readout.md, readout.csv, images.csv,
              curves.png, test.png, progress.jsonl, and a run in mlflow.db (or where MLFLOW_TRACKING_URI says).
              With --model: OUT/<image>.classes.png (values as in the label maps) and OUT/<image>.p_<class>.png
              (probability, 255 is 1), at the size of the image.
{IN_WORDS}

examples      ciliary readout --labelled cells/ --size 256
              ciliary readout --labelled stack/ --split blocks --disturb none,fog:3 --read default,chosen --beside unet
              ciliary readout new/ --model runs/readout/readout.safetensors --out found
"""

    images: Images = field(default=(), kw_only=False)
    labelled: Annotated[str | None, option("--labelled", "DIR|synthetic-cells:N", "images and masks to learn from")] = (
        None
    )
    model: Annotated[Path | None, option("--model", "FILE", "apply this readout to IMAGE")] = None
    classes: Annotated[
        str,
        option("--classes", "values|foreground", "what the numbers in the maps are"),
        one_of("values", "foreground"),
    ] = "values"
    void: Annotated[int | None, option("--void", "VALUE", "of pixels that nobody labelled")] = None
    split: Annotated[str, option("--split", "images|blocks", "see below"), one_of("images", "blocks")] = "images"
    validation: Annotated[float, option("--validation", "SHARE", "of the images, to stop by"), Check(a_share)] = 0.2
    test: Annotated[float, option("--test", "SHARE", "of the images, to measure on"), Check(a_share)] = 0.2
    gap: Annotated[int, option("--gap", "N", "with blocks: slices left out between them"), at_least(0)] = 0
    n_train: Annotated[int | None, option("--train", "N", "learn from so many of the others (all)"), at_least(1)] = None
    heads: Annotated[
        tuple[str, ...], option("--head", "linear,conv", "on the fields", convert=words), one_of(*HEADS)
    ] = ("conv",)
    is_oriented: Annotated[
        bool, option("--oriented", "", "each orientation a field, and no turned crops; else mean and largest of them")
    ] = False
    fields: Annotated[
        tuple[str, ...], option("--fields", "STAGE,...", "stages that heads read", convert=words), one_of(*FIELDS)
    ] = ("retina", "m1", "m2", "m3")
    n_taught: Annotated[
        int, option("--taught-looks", "N", "looks at each training image that the head learns from"), at_least(1)
    ] = 1
    loss: Annotated[str, option("--loss", "LOSS", "what is to fall; see below")] = "dice+ce"
    beside: Annotated[
        tuple[str, ...], option("--beside", "NAME,...", "other models in the table", convert=words), one_of(*BESIDE)
    ] = ("blurs",)
    encoder: Annotated[str, option("--encoder", "NAME", "of the U-Net")] = "resnet18"
    disturbances: Annotated[
        tuple[str, ...], option("--disturb", "KIND:SEVERITY,...", "of test images", convert=words)
    ] = ("none",)
    ways: Annotated[
        tuple[str, ...], option("--read", "WAY,...", "how the cortex looks", convert=words), one_of(*WAYS)
    ] = ("default",)
    n_epochs: Annotated[
        int, option("--epochs", "N", "at most; it ends when validation no longer gains"), at_least(1)
    ] = 60
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = DEFAULT_OUT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model is not None and self.labelled is not None:
            raise ValueError("give IMAGE and --model, or --labelled DIR, not both")
        if self.images and self.model is None:
            raise ValueError("IMAGE needs --model FILE, a readout that was learned; learn one with --labelled DIR")
        if not (self.fields and self.heads and self.ways and self.disturbances):
            raise ValueError("--fields, --head, --read and --disturb need a name or more")
        if self.gap and self.split != "blocks":
            raise ValueError("--gap is between blocks; add --split blocks")
