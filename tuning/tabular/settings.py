"""Which samplers, on which table: the settings of ``python -m ciliary.tuning.tabular``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, counts, one_of, option, words
from ciliary.tuning.cli.settings import Settings

SAMPLERS = ("random", "tpe", "cmaes", "gp")


@dataclass(frozen=True, kw_only=True)
class TabularSettings(Settings):
    """Optuna's samplers choose a setting for each image without its labels; what that is worth, as a table.

    Beside them: a random setting, the default, the setting that is best on other images, what each label-free number
    likes best of all settings, and the oracle, which knows the labels.
    """

    epilog: ClassVar[str] = f"""\
table         FILE of a response table whose meta has folds; without it the one that ships: 100 BSDS500 validation
              photographs, 64 of them also disturbed, the mathematical cortex, 64 settings of five parameters
output        the table on stdout; with --out also as Markdown and CSV
{IN_WORDS}

examples      python -m ciliary.tuning.tabular
              python -m ciliary.tuning.tabular --samplers tpe,gp --budgets 16,32 --seeds 3 --objective term.total
"""
    computes: ClassVar[bool] = False

    table: Annotated[Path | None, option("--table", "FILE", "a response table (the one that ships)")] = None
    samplers: Annotated[
        tuple[str, ...], option("--samplers", ",".join(SAMPLERS), "of Optuna's", convert=words), one_of(*SAMPLERS)
    ] = ("random", "tpe", "cmaes")
    budgets: Annotated[
        tuple[int, ...], option("--budgets", "N,N", "trials for each image", convert=counts), at_least(1)
    ] = (8, 16, 32)
    n_seeds: Annotated[int, option("--seeds", "N", "studies of each image and sampler"), at_least(1)] = 1
    objective: Annotated[str, option("--objective", "COLUMN", "label-free, what is minimised")] = "term.dissent"
    out: Annotated[Path | None, option("--out", "FILE", "the table as Markdown, with a CSV beside it")] = None
