"""What ``why`` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import PYTHON_ONLY, at_least, option, words
from ciliary.tuning.cli.settings import OnDevice, Seed


@dataclass(frozen=True, kw_only=True)
class WhySettings(OnDevice):
    """Which parameter did it: the share of an episode's gain that each moved parameter carries.

    FOLDER is a session of `ciliary accommodate`, or holds sessions. Nothing is searched again: the settings between the
    defaults and the one applied are looked at. Of an answer that puts all looks together, the players are the looks,
    and what is shared out is how far they moved the percept from that at the defaults.
    """

    epilog: ClassVar[str] = f"""\
shares        Shapley values: what a parameter adds to those changed before it, mean over all orders of changing them;
              exact up to six parameters, else from sampled orders, with standard errors. They sum to the gain.
undone        what is lost if this one alone is set back
output        SESSION/why/<episode>.png, why.csv and why.md (or OUT/); nothing is tracked
{IN_WORDS}

examples      ciliary accommodate photo.jpg --answer best --out runs/a
              ciliary why runs/a
              ciliary why runs/a --episodes photo --evaluations 2000
"""

    folders: Annotated[tuple[str, ...], PYTHON_ONLY] = field(default=(), kw_only=False)
    episodes: Annotated[
        tuple[str, ...], option("--episodes", "IMAGE,IMAGE", "only those of these images (all)", convert=words)
    ] = ()
    n_evaluations: Annotated[
        int, option("--evaluations", "N", "settings looked at in each episode, about"), at_least(8)
    ] = 320
    seed: Seed = 0
    out: Annotated[Path | None, option("--out", "DIR", "what is kept (why/ in the session)")] = None
