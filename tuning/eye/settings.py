"""How an eye is trained to move and how it is examined: the settings of ``train eye`` and ``eye``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.options import at_least, option
from ciliary.tuning.cli.settings import EyeDevice, OnDevice, Seed

DEFAULT_OUT = Path("runs/eye")
_SCENES = "photographs, set up in depth: planes, strips and slants of .3 to 8 dpt drawn by their names"


@dataclass(frozen=True, kw_only=True)
class EyeTraining(OnDevice):
    """Train an eye to move gaze, lens and pupil together: PPO of stable-baselines3 on photographs in depth, no labels.

    Play it with the controller eye-policy, examine it with ciliary eye --policies FILE.
    """

    epilog: ClassVar[str] = """\
scenes        a folder of photographs of 320 x 240 px or more. It learns on one half of them (a bit of the hash of a
              name) but for every fourth, on which the best of its states is chosen; it never sees the other half.
what          first it teaches itself what places promise: it looks at some, focuses, and sees what each comes to show.
              The policy then corrects what the best hand-written rule commands, in six numbers a look that say which
              reflex has its way. It begins as that rule, places judged by the promise, and goes on by reinforcement,
              the reward being the environment's; the critic alone is told what the rule earned at each photograph.
              What is kept are its weights averaged over the last updates. No label anywhere.
              --scratch: without all that, the environment's four actions from pixels.
faster        it learns on coarser optics (2 layers, a window of 48 px, a coarser periphery and memory) than it is
              examined on.
output        in OUT: eye.safetensors (the best on the photographs held out), curve.png, curve.csv, progress.jsonl,
              checkpoint.zip, and the run in mlflow.db (or where MLFLOW_TRACKING_URI says).
interrupted   The same command goes on where it stood; with more --minutes it goes on when it was complete.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary train eye --scenes osie/images --minutes 60 --seed 0 --out runs/eye/0
              ciliary eye --scenes osie/images --policies runs/eye/0/eye.safetensors
"""

    scenes: Annotated[Path, option("--scenes", "DIR", _SCENES)]
    minutes: Annotated[float, option("--minutes", "M", "of learning, evaluations included"), at_least(0)] = 60.0
    n_envs: Annotated[int, option("--envs", "N", "episodes side by side"), at_least(1)] = 16
    n_places: Annotated[int, option("--places", "N", "looked at to learn what places promise"), at_least(1)] = 3000
    n_taught: Annotated[int, option("--taught", "N", "of the rule, for the critic to learn first"), at_least(0)] = 64
    with_maps: Annotated[bool, option("--maps", "", "it also looks at the glance and the map of priority")] = False
    is_scratch: Annotated[bool, option("--scratch", "", "no rule, no reflexes: pixels to muscles")] = False
    seed: Seed = 0
    device: EyeDevice = "cpu"
    out: Annotated[Path, option("--out", "DIR", "folder of this training")] = DEFAULT_OUT / "training"


@dataclass(frozen=True, kw_only=True)
class EyeExam(OnDevice):
    """How well an eye is moved: hand-written rules and trained policies on photographs in depth that no one chose on.

    Every controller meets the same photographs and photons, on Ciliary/Eye-v0 as it is. Printed as Markdown.
    """

    epilog: ClassVar[str] = """\
scenes        as of ciliary train eye; told on the half that no training sees
gain          what the environment pays in an episode: the fall of its total, less costs of looks and degrees
ceiling       greedy, with the simulator and the true distances at hand: of some actions the one that pays best now
output        the table, also as OUT/eye.md, and every episode in OUT/eye.csv
interrupted   The same command goes on where it stood: who was played is not played again, unless the code has changed.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary eye --scenes osie/images --policies runs/eye/*/eye.safetensors --images 120
"""

    scenes: Annotated[Path, option("--scenes", "DIR", _SCENES)]
    policies: Annotated[
        tuple[str, ...], option("--policies", "FILE ...", "of ciliary train eye, a row each", is_list=True)
    ] = ()
    n_images: Annotated[int, option("--images", "N", "so many, evenly (at most the half there is)"), at_least(2)] = 120
    n_starts: Annotated[
        int, option("--starts", "N", "episodes at a photograph, each from another place near the centre"), at_least(1)
    ] = 3
    n_ceiling: Annotated[
        int, option("--ceiling", "N", "photographs the ceiling is told on; 0 for none"), at_least(0)
    ] = 0
    held_out: Annotated[bool, option("--choosing", "", "on the photographs held out in training: to choose by")] = False
    seed: Seed = 0
    device: EyeDevice = "cpu"
    out: Annotated[Path, option("--out", "DIR", "where the table goes")] = DEFAULT_OUT
