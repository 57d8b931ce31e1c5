"""Photographs in depth in, a table of controllers of an eye out. An exit code."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from ciliary.agents.eye.playing import Played, play_from
from ciliary.envs.data.sources import folder
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.vector import EyeVectorEnv
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.eye.ceiling import Greedy
from ciliary.tuning.eye.exam import as_csv, as_markdown, controllers, rows_of
from ciliary.tuning.eye.kept import kept
from ciliary.tuning.eye.scenes import evenly, parts_of, scenes_of
from ciliary.tuning.eye.settings import EyeExam
from ciliary.tuning.runs.files import write_atomically

_N_TOGETHER = 8


def run(settings: EyeExam) -> int:
    """Examine and tell.

    Returns:
        0 all well, 1 nothing could be done, 130 stopped by Ctrl-C.
    """
    try:
        words = tell(settings)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; the same command goes on")
        return STOPPED
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(words, markup=False)
    return ALL_WELL


def tell(settings: EyeExam) -> str:
    """The table, which is written too.

    Raises:
        ValueError, OSError: too few photographs, or a policy that is none.
    """
    s, config = settings, EyeConfig(in_depth=True, device=settings.device)
    indices = evenly(parts_of(s.scenes)["choose" if s.held_out else "tell"], s.n_images)
    names = [folder(s.scenes, None).names[i] for i in indices]
    played_by = controllers([Path(one) for one in s.policies])
    with Bar(len(indices), title="reading", is_quiet=s.is_quiet) as bar:
        scenes = scenes_of(s.scenes, indices, config, on_scene=bar.advance)
        bar.next("controllers", len(played_by))
        envs = EyeVectorEnv(_N_TOGETHER, scenes=scenes, in_depth=True, device=s.device)
        played: dict[str, Played] = {}
        for name, controller in played_by.items():
            bar.move(len(played), note=name)
            play = partial(play_from, envs, controller, list(range(len(scenes))), n_starts=s.n_starts, seed=s.seed)
            played[name] = kept(s.out / "played", controller, names, f"{s.seed} {s.n_starts}", play)
        ceiling = None
        if s.n_ceiling:
            some = evenly(range(len(scenes)), s.n_ceiling)
            bar.next("ceiling", len(some))
            gains = []
            for i in some:
                gains.append(Greedy().gain(scenes[i], config, s.seed + i))
                bar.advance()
            ceiling = bootstrap_mean(np.array(gains)) if len(gains) > 1 else Interval(gains[0], -np.inf, np.inf, 1)
    part = "photographs held out in training" if s.held_out else "photographs that nothing was chosen or trained on"
    words = (
        f"{len(scenes)} {part}, of {s.scenes.name}; gain: what the environment pays in at most 16 looks, "
        f"the mean of {s.n_starts} start{'s' * (s.n_starts > 1)} beside the centre; intervals "
        "95 %, bootstrap over photographs; over the best rule: paired by photograph."
    )
    table = as_markdown(rows_of(played), ceiling)
    write_atomically(s.out / "eye.csv", as_csv(played, names).encode())
    write_atomically(s.out / "eye.md", f"# An eye that acts\n\n{words}\n\n{table}".encode())
    return f"{words}\n\n{table}\neye      {s.out / 'eye.md'}"


_complain = partial(complain, "eye")
