"""What is looked at, and what has to be there: the settings of ``doctor``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.cortex.options import DEVICES
from ciliary.tuning.cli.options import one_of, option, words
from ciliary.tuning.cli.settings import Settings

#: Extra -> what it is for; those of pyproject.toml but for what only changing Ciliary needs.
EXTRAS: Mapping[str, str] = {
    "features": "--features with real ImageNet weights, offline",
    "readout": "a U-Net beside a readout: ciliary readout --beside unet",
    "rl": "agents of stable-baselines3",
    "app": "a page in the browser: ciliary open",
    "optuna": "studies in optuna-dashboard: ciliary ui --studies; the benchmark as OptunaHub's",
    "napari": "a panel in napari: sliders, the percept as layers, accommodation",
    "ray": "sessions on a cluster: --engine ray",
    "postgres": "studies and runs in PostgreSQL",
    "video": "episodes as mp4: RecordVideo",
    "browser": "tests that open pages in Chromium, which comes from the system",
    "docs": "the documentation site: make docs",
}


@dataclass(frozen=True, kw_only=True)
class DoctorSettings(Settings):
    """What is installed, reachable and writable here, what is not, and what to do about it. Changes nothing.

    Put the output into a report of a fault; passwords of addresses are masked.
    """

    epilog: ClassVar[str] = """\
well, note    nothing to do; something to know
missing       asked for (an extra, a device, the store of MLFLOW_TRACKING_URI), and not there
broken        Ciliary needs it, and it does not work
exit code     0 all well · 1 something is broken · 2 wrong usage · 3 something is missing that was asked for

examples      ciliary doctor
              ciliary doctor --extras rl,ray --device cuda --json
"""
    computes: ClassVar[bool] = False  # what is to be found out may be that torch cannot be imported

    out: Annotated[Path, option("--out", "DIR", "where results would go")] = Path("runs")
    extras: Annotated[
        tuple[str, ...],
        option("--extras", "|".join(EXTRAS) + ",...", "extras that have to be there", convert=words),
        one_of(*EXTRAS),
    ] = ()
    device: Annotated[
        str, option("--device", "|".join(DEVICES), "a device that has to be there, and to compute"), one_of(*DEVICES)
    ] = "auto"
    is_json: Annotated[bool, option("--json", "", "one JSON object on stdout")] = False

    @property
    def places(self) -> tuple[Path, ...]:
        """None is tried before the work: whether it can be written into is the work."""
        return ()
