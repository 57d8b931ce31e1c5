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
from ciliary.tuning.inspect.attributions import BLOBS, EDGES, OCCLUSION, PIXELS, backward
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
    """One map, over all images: areas, less those of a random map as coarse, less those of edges; its control."""

    target: str
    map: str
    deletion: Interval
    insertion: Interval
    deletion_less_chance: Interval | None
    insertion_less_chance: Interval | None
    deletion_less_edges: Interval | None
    insertion_less_edges: Interval | None
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
            chance = BLOBS if name in (OCCLUSION, BLOBS) else PIXELS
            alike = [one.alike for one in here if np.isfinite(one.alike)]
            less, more = _areas(here)
            differences = [_difference(here, [one for one in own if one.map == base]) for base in (chance, EDGES)]
            rows.append(
                Row(
                    target,
                    name,
                    bootstrap_mean(less),
                    bootstrap_mean(more),
                    *differences[0],
                    *differences[1],
                    float(np.mean(alike)) if alike else None,
                )
            )
    return rows


def _difference(found: Sequence[Found], base: Sequence[Found]) -> tuple[Interval | None, Interval | None]:
    """Of the areas of deletion and of insertion, image by image; none of a map from itself."""
    if found[0].map == base[0].map:
        return None, None
    less, more = (paired_difference(mine, other) for mine, other in zip(_areas(found), _areas(base), strict=True))
    return less, more


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
        "coarse, blobs for occlusion, pixels for the others; less edges: that of the image's own edges. Intervals: "
        "95 %, bootstrap over images. Alike control: rank correlation with the map of a cortex whose weights were "
        "drawn by lot.\n\n" + rows_to_markdown(rows)
    )
    if rows:
        for path, content in zip(paths_of(settings.out), (page, rows_to_csv(rows), rows_to_csv(found)), strict=True):
            write_atomically(path, content.encode())
    return page, n_done


def paths_of(out: Path) -> tuple[Path, ...]:
    """Where :func:`tell_faithful` writes: the page, its table, and the numbers of each image."""
    return out / "faithful.md", out / "faithful.csv", out / "faithful_images.csv"
