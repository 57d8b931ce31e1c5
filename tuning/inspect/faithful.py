"""How faithful each map is over many images, beside edges and chance, as a table: ``look --faithful``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ciliary.cortex import Cortex
from ciliary.cortex.explain.controls import likeness
from ciliary.cortex.explain.scalars import Tick
from ciliary.cortex.parameters import Theta
from ciliary.cortex.plot.look import look
from ciliary.envs.data.sources import Photograph
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean, paired_difference
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.inspect.attribution_figures import judge
from ciliary.tuning.inspect.attributions import BLOBS, OCCLUSION, PIXELS, backward
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.inspect.targets import make_targets
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.inputs import Input


@dataclass(frozen=True)
class Found:
    """One map of one image, for one target; ``alike`` is Spearman's correlation with its control, nan without one."""

    image: str
    target: str
    map: str
    deletion: float
    insertion: float
    alike: float


@dataclass(frozen=True)
class Row:
    """One map, over all images: areas, the same less those of a random map as coarse, its likeness to its control."""

    target: str
    map: str
    deletion: Interval
    insertion: Interval
    deletion_less_chance: Interval | None
    insertion_less_chance: Interval | None
    alike_control: float | None


def judge_image(
    cortex: Cortex, photograph: Photograph, theta: Theta, settings: LookSettings, tick: Tick
) -> list[Found]:
    """All maps of all targets of one photograph.

    Raises:
        ValueError: the image has no such target.
    """
    one = look(cortex, photograph.image, theta, name=photograph.name)
    targets = make_targets(one, settings.targets, seed=settings.seed)
    seen = Seen(one, targets, settings.is_hasty, settings.seed, tick)
    judged, back = judge(seen), backward(seen)
    deletion, insertion = judged.curves.deletion_area.tolist(), judged.curves.insertion_area.tolist()
    found = []
    for name, i, less, more in zip(judged.names, judged.which.tolist(), deletion, insertion, strict=True):
        alike = float("nan")
        if back is not None and name in back.maps:
            at = back.targets.index(targets[i])
            alike = likeness(back.maps[name][at], back.control[name][at]).rank
        found.append(Found(photograph.name, targets[i].name, name, less, more, alike))
    return found


def summary(found: Sequence[Found]) -> list[Row]:
    """A row for each target and map."""
    rows = []
    for target in dict.fromkeys(one.target for one in found):
        own = [one for one in found if one.target == target]
        for name in dict.fromkeys(one.map for one in own):
            here = [one for one in own if one.map == name]
            less, more = _areas(here)
            chance = BLOBS if name in (OCCLUSION, BLOBS) else PIXELS
            base_less, base_more = _areas([one for one in own if one.map == chance])
            is_chance = name == chance
            alike = [one.alike for one in here if np.isfinite(one.alike)]
            rows.append(
                Row(
                    target,
                    name,
                    bootstrap_mean(less),
                    bootstrap_mean(more),
                    None if is_chance else paired_difference(less, base_less),
                    None if is_chance else paired_difference(more, base_more),
                    float(np.mean(alike)) if alike else None,
                )
            )
    return rows


def _areas(found: Sequence[Found]) -> tuple[np.ndarray, np.ndarray]:
    """Of deletion and of insertion, (N,) each."""
    return np.array([one.deletion for one in found]), np.array([one.insertion for one in found])


def tell_faithful(
    settings: LookSettings, cortex: Cortex, theta: Theta, inputs: Sequence[Input], say: Callable[[str], object]
) -> tuple[str, int]:
    """The page, and of how many images it is; each that cannot be read is named."""
    found: list[Found] = []
    n_done = 0
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            try:
                found += judge_image(cortex, item.load(), theta, settings, bar.within)
                n_done += 1
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                say(failure(item.label, error))
            bar.advance()
    rows = summary(found)
    many = "image" if n_done == 1 else "images"
    page = (
        f"# Which maps name the pixels that count\n\n{n_done} {many} at {settings.size_px} px; a cortex that inherits "
        f"{settings.inherited}. Areas under a target as pixels are blurred (deletion, less is better) and as they come "
        "back (insertion, more is better), those a map names first. Less chance: less the area of a random map as "
        "coarse, blobs for occlusion, pixels for the others. Intervals: 95 %, bootstrap over images. Alike control: "
        "rank correlation with the map of a cortex whose weights were drawn by lot.\n\n" + rows_to_markdown(rows)
    )
    if rows:
        write_atomically(settings.out / "faithful.md", page.encode())
        write_atomically(settings.out / "faithful.csv", rows_to_csv(rows).encode())
    return page, n_done


def paths_of(out: Path) -> tuple[Path, ...]:
    """Where :func:`tell_faithful` writes."""
    return out / "faithful.md", out / "faithful.csv"
