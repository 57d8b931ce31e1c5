"""Identity over frames: names that a memory gives, told beside where things truly went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ciliary.cortex.memory.settings import MemorySettings
from ciliary.envs.metrics.identity import IdentityCounts, count_identities, true_tracks
from ciliary.tuning.track.rows import names_by_links, names_by_memory, names_by_slot, rows_of
from ciliary.tuning.track.truth import Truth

MAX_GAP = 3  # frames back that a true thing is looked for
FLOOR, CEILING = "slot of M4", "true motion from the last frame"


def tell_clip(
    truth: Truth,
    *,
    step: int = 1,
    settings: MemorySettings | None = None,
    n_slots: int = 48,
    on_row: Callable[[], None] = lambda: None,
) -> Mapping[str, Sequence[IdentityCounts]]:
    """Every row's mistakes on a clip of which every ``step``-th frame is seen, from each first frame that can be.

    Raises:
        ValueError: fewer than two frames are left.
    """
    clip, objects = truth.clip, truth.objects
    if len(objects) <= step:
        raise ValueError(f"{clip.name}: every {step}th of {len(objects)} frames is less than two; use smaller --steps")
    rows = rows_of(settings or MemorySettings())
    found: dict[str, list[IdentityCounts]] = {name: [] for name in (FLOOR, *rows, CEILING)}
    for first in range(min(step, len(objects) - step)):
        frames = range(first, len(objects), step)
        seen = [objects[i] for i in frames]
        links = {
            (s, t): truth.link(frames[s], frames[t]) for t in range(len(frames)) for s in range(max(t - MAX_GAP, 0), t)
        }
        true = true_tracks([int(one.is_there.sum()) for one in seen], links, max_gap=MAX_GAP)
        flows = [clip.given_flow(frames[t - 1], frames[t]) for t in range(1, len(frames))]
        names = {FLOOR: names_by_slot(seen), CEILING: names_by_links(seen, links)}
        for name, row in rows.items():
            names[name] = names_by_memory(seen, row, flows, n_slots=n_slots)
            on_row()
        for name, told in names.items():
            found[name].append(count_identities(true, told))
    return found
