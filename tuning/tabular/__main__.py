"""``python -m ciliary.tuning.tabular``: see its ``--help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.door import be_lenient, run_job
from ciliary.tuning.cli.exit_codes import ALL_WELL, USAGE
from ciliary.tuning.tabular.settings import TabularSettings

_DEFAULTS = TabularSettings()


def _asked(*, settings: Annotated[TabularSettings, Parameter(name="*")] = _DEFAULTS) -> TabularSettings:
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and return the exit code."""
    app = App(
        name="python -m ciliary.tuning.tabular",
        help=TabularSettings.__doc__ or "",
        help_epilogue=TabularSettings.epilog,
        help_format="plaintext",
        version_flags=(),
        console=Console(highlight=False, width=None if sys.stdout.isatty() else 120),
    )
    app["--help"].show = False  # it is no command
    app.default(_asked)
    try:
        asked = app(argv, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ValueError) as error:
        complain("tabular", f"{error} (see --help)")
        return USAGE
    if not isinstance(asked, TabularSettings):  # a page of help was all
        return ALL_WELL
    from ciliary.tuning.tabular.job import run  # brings NumPy

    return run_job("tabular", run, asked)


if __name__ == "__main__":
    be_lenient()
    sys.exit(main())
