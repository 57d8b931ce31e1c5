"""Teach a depth head from the command line: the job, its weights, its report, and exit codes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from ciliary.cortex.cues.base import DepthUnavailable
from ciliary.cortex.cues.learned_depth import FrozenMaps, head_to_bytes
from ciliary.cortex.device import choose_device
from ciliary.envs.data.depth import DepthSet, read_depth
from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.training.curves import Curve
from ciliary.tuning.training.depth import TeachSettings, teach, teach_without_each
from ciliary.tuning.training.depth_report import Judged, judge, judge_left_out, provider_of, report_tables
from ciliary.tuning.training.depth_views import see_views
from ciliary.tuning.training.options import DepthTraining

_EVERY = 10  # steps between two lines of the log


def run(asked: DepthTraining) -> int:
    """Teach and report; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 130 stopped.
    """
    try:
        judged, trust = _train(asked)
    except Stopped:
        complain("train_depth", "stopped; nothing is kept of a training that did not end")
        return STOPPED
    except (ValueError, FileNotFoundError, UnreadableImage, DepthUnavailable) as error:
        complain("train_depth", error)
        return NOTHING
    path = write_atomically(asked.out / "report.md", _page(judged, trust).encode())
    if not asked.is_quiet:
        print(f"weights    {asked.out / 'depth.safetensors'}\nreport     {path}")
    return ALL_WELL


def _train(asked: DepthTraining) -> tuple[list[Judged], float]:
    """Write the weights; what they and the heads of scenes left out are worth, and the trust in what was learned."""
    checked = read_depth(asked.check) if asked.check else DepthSet(())
    frames = read_depth(asked.data).without(checked)
    scenes = frames.scenes
    if len(scenes) < 2:
        raise ValueError(
            f"expected at least two scenes to learn from, got {', '.join(scenes) or 'none'}; frames of one folder are "
            "one scene, so put another room's in a folder of their own and name both after --data"
        )
    settings = TeachSettings(n_steps=asked.n_steps, seed=asked.seed)
    trunk = FrozenMaps().to(choose_device(asked.device))
    n_rounds = len(scenes) + 1
    total = len(frames) + n_rounds * asked.n_steps + len(scenes) + len(checked.scenes)
    curve = Curve(asked.out / "progress.jsonl", 0)
    with Stopper() as stopper, Bar(total, is_quiet=asked.is_quiet, title="depth   ") as bar:

        def done() -> None:
            stopper.check()
            bar.advance()

        def told(step: int, loss: float) -> None:
            done()
            if step % _EVERY == 0 or step == asked.n_steps:
                curve.log({"loss": loss}, step)

        views = see_views(frames, trunk, n_views=asked.n_views, seed=asked.seed, on_frame=done)
        heads, trust = teach_without_each(views, len(scenes), settings, on_step=done)
        head = teach(views, settings, on_step=told)
        head.trust.fill_(trust)
        about = {
            "scenes": {scene: len(frames.of_scene(scene)) for scene in scenes},
            "data": [Path(one).resolve().name for one in asked.data],
            "n_views": len(views),
            "settings": settings.about(),
            "trust": trust,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(),
        }
        write_atomically(asked.out / "depth.safetensors", head_to_bytes(head, about))
        judged = judge_left_out(frames, heads, trunk, on_scene=done)
        see = provider_of(head, trunk)
        for scene in checked.scenes:
            judged.append(judge(scene, checked.of_scene(scene), see, is_checked=True))
            done()
    return judged, trust


def _page(judged: Sequence[Judged], trust: float) -> str:
    head = (
        "# What learned depth is worth\n\nEach scene is judged by a head taught on the other scenes; frames of --check "
        "by the head that was kept, which saw none of these photographs, but perhaps others of the same place. "
        f"`learned` is a line in the height and {trust:g} of what the maps say beside it: as much as helped on scenes "
        "left out. An interval over frames of one room says nothing of other rooms.\n\n"
    )
    return head + "\n".join(table.markdown() for table in report_tables(judged))
