"""What ``merge`` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import PYTHON_ONLY, option
from ciliary.tuning.cli.settings import Settings


@dataclass(frozen=True, kw_only=True)
class MergeSettings(Settings):
    """Put the sessions of shards together: one table, one summary, one session, every episode once.

    FOLDER is where sessions of `ciliary accommodate --shard I/N` went (their --out), or such a session itself; those of
    `ciliary gaze` and `ciliary focus` likewise. What is missing is named; given again when it is there, merge adds it.
    """

    epilog: ClassVar[str] = f"""\
output        OUT/<session>-merged/episodes.jsonl; runs in OUT/mlflow.db, or where MLFLOW_TRACKING_URI says
{IN_WORDS}

examples      sbatch --array=1-8 --wrap \\
                'ciliary accommodate photos/ --shard $SLURM_ARRAY_TASK_ID/8 --out runs/$SLURM_ARRAY_TASK_ID'
              ciliary merge runs/1 runs/2 runs/3 runs/4 runs/5 runs/6 runs/7 runs/8 --out runs/all
"""

    folders: Annotated[tuple[str, ...], PYTHON_ONLY] = field(default=(), kw_only=False)
    out: Annotated[Path | None, option("--out", "DIR", "where the merged session goes (the first FOLDER)")] = None
    session: Annotated[
        str | None, option("--session", "NAME", "which, where there are shards of several: without -shardIofN")
    ] = None

    def as_params(self) -> dict[str, str]:
        """The settings as strings, for the parameters of a tracked run."""
        return {"merged": ",".join(self.folders)}
