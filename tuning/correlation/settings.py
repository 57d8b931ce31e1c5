"""What ``correlate`` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, one_of, option
from ciliary.tuning.cli.settings import Images, Seed
from ciliary.tuning.fluency.settings import SIZE_PX, FluencySettings


@dataclass(frozen=True, kw_only=True)
class CorrelateSettings(FluencySettings):
    """Do people's ratings of images go with any number of fluency, or term of the objective? Nothing is promised.

    The ratings are a CSV: a column `image` (a path or a name), the others numbers. The numbers are those of a table
    that `ciliary fluency` made (--numbers), or are measured now: of IMAGE, else of the paths in the table.
    """

    epilog: ClassVar[str] = f"""\
ratings       FILE, a CSV. Or a DIR whose people's doings are the ratings: photographs that several drew (BSDS500's
              validation set, or images/ and labels/): how far they agree; or that people looked at (images/ and
              fixations.npz): the entropy of where they looked
one by one    Pearson's and Spearman's correlation with bootstrap intervals over images; p of Spearman's, corrected for
              all numbers tried: holm, or bh (the share of false ones among those found)
together      R2 of a ridge regression on images that it has not learned from (nested cross-validation over images),
              beside the same with the ratings shuffled among the images, everything learned anew
refused       ratings that are all alike, and fewer than ten images
output        OUT/correlate.html, a page that holds its pictures, and OUT/correlate.csv
{IN_WORDS}

examples      ciliary correlate --ratings ratings.csv photos/
              ciliary correlate --ratings ratings.csv --numbers runs/fluency/fluency.csv --correction bh
"""

    images: Images = field(default=(), kw_only=False)
    size_px: Annotated[int, option("--size", "PX", "long side that images are shrunk to"), at_least(32)] = SIZE_PX
    ratings: Annotated[
        Path | None, option("--ratings", "FILE|DIR", "CSV of images and ratings, or see below; needed")
    ] = None
    numbers: Annotated[Path | None, option("--numbers", "FILE", "CSV of images and their numbers, made before")] = None
    correction: Annotated[str, option("--correction", "holm|bh", "for many numbers"), one_of("holm", "bh")] = "holm"
    n_permutations: Annotated[
        int, option("--permutations", "N", "shuffles of the ratings that the null is of"), at_least(20)
    ] = 200
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/correlate")
