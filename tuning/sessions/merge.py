"""The sessions of shards put together: every episode once, in the order of the images, and what is missing by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import SESSIONS
from ciliary.tuning.sessions.conduct import PLAN

_SHARDED = re.compile(r"(.+)-shard(\d+)of(\d+)(-\d+)?")


@dataclass(frozen=True, eq=False)
class Gathered:
    """What shards come to.

    Attributes:
        base: the name that the sessions share.
        records: of the episodes that ended well, each once, in the order of the images.
        missing: a line for each shard and each episode that is not there.
        n_twice: episodes that stood in more than one place; the last record of each counts.
    """

    base: str
    records: list[dict[str, Any]]
    missing: list[str]
    n_twice: int


def find_sessions(folders: Sequence[Path], base: str | None = None) -> dict[str, list[Path]]:
    """Folders of shards' sessions by the name they share: those given, and those that lie in folders given."""
    found: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for place in sorted({folder, *(path.parent for path in folder.glob(f"*/{PLAN}"))}):
            name = _SHARDED.fullmatch(place.name)
            if name is not None and (place / PLAN).is_file() and base in (None, name[1]):
                found.setdefault(name[1], [])
                found[name[1]] += [] if place in found[name[1]] else [place]
    return found


def experiment_of(folders: Sequence[Path], base: str) -> str:
    """Which experiment the runs of these shards belong to; before plans told it there was but one."""
    plans = (json.loads((place / PLAN).read_text(encoding="utf-8")) for place in find_sessions(folders, base)[base])
    return str(next(plans).get("experiment", SESSIONS))


def gather(folders: Sequence[Path], base: str | None = None) -> Gathered:
    """Read the sessions of all shards.

    Raises:
        ValueError: there is none, there are several kinds, or they were made with different settings.
    """
    found = find_sessions(folders, base)
    if not found:
        named = f" of {base}" if base else ""
        raise ValueError(f"no session of a shard{named} in {', '.join(map(str, folders))}; make some with --shard I/N")
    if len(found) > 1:
        raise ValueError(f"expected shards of one session, got those of {', '.join(sorted(found))}; choose --session")
    ((base, places),) = found.items()
    plans = [json.loads((place / PLAN).read_text(encoding="utf-8")) for place in places]
    by_key: dict[str, dict[str, Any]] = {}
    n_twice = 0
    for place in places:
        own = {r["key"]: r for r in records.stream(place / records.FILE) if r.get("status") == "FINISHED"}
        n_twice += len(own.keys() & by_key.keys())
        by_key |= own
    settings = {record["settings"] for record in by_key.values()}
    if len(settings) > 1:
        raise ValueError(f"the shards of {base} were made with {len(settings)} different settings; make them alike")
    images = list(dict.fromkeys(name for plan in plans for name in plan["images"]))
    disturbances = list(dict.fromkeys(name for plan in plans for name in plan["disturbances"]))
    there = {(record["image"], record["disturbance"]) for record in by_key.values()}
    missing = [f"shard {shard} is missing" for shard in _missing_shards(plans)]
    missing += [f"{i} ({d}) is missing" for i in images for d in disturbances if (i, d) not in there]
    order = {name: i for i, name in enumerate(images)}
    place_of = {name: i for i, name in enumerate(disturbances)}
    merged = sorted(by_key.values(), key=lambda r: (order.get(r["image"], -1), place_of.get(r["disturbance"], -1)))
    return Gathered(base, merged, missing, n_twice)


def _missing_shards(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """``I/N`` of those of the largest N that are not there."""
    numbers = [tuple(map(int, plan["shard"].split("/"))) for plan in plans]
    n = max(n for _, n in numbers)
    return [f"{i}/{n}" for i in range(1, n + 1) if (i, n) not in numbers]
