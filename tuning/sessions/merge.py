"""The sessions of shards put together: every episode once, in the order of the images, and what is missing by name.

Records are not held: a million of them are tens of gigabytes. Of each, the place is known (:class:`Line`), and whoever
wants it reads it there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import SESSIONS
from ciliary.tuning.sessions.conduct import PLAN

_SHARDED = re.compile(r"(.+)-shard(\d+)of(\d+)(-\d+)?")


class Line(NamedTuple):
    """Where a record is, and where it belongs.

    Attributes:
        rank: of its image and disturbance among all that were planned; records of the same keep their order.
        i_file: which file it is in.
        start: byte of the file at which its line begins.
    """

    rank: int
    i_file: int
    start: int


class Lines:
    """Records that stay in their files: each is read when it is its turn."""

    def __init__(self, files: Sequence[Path], lines: Sequence[Line]):
        self._files, self._lines = files, lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (records.read_at(self._files[line.i_file], line.start) for line in self._lines)


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
    records: Lines
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
    shards, images, disturbances = _read_plans(places)
    files = [place / records.FILE for place in places]
    by_key: dict[str, Line] = {}
    settings: set[str] = set()
    n_twice = 0
    for i_file, file in enumerate(files):
        for start, record in records.placed(file):
            if record.get("status") != "FINISHED":
                continue
            earlier = by_key.get(record["key"])
            n_twice += earlier is not None and earlier.i_file != i_file
            by_key[record["key"]] = Line(_rank(record, images, disturbances), i_file, start)
            settings.add(record["settings"])
    if len(settings) > 1:
        raise ValueError(f"the shards of {base} were made with {len(settings)} different settings; make them alike")
    there = {line.rank for line in by_key.values()}
    missing = [f"shard {shard} is missing" for shard in _missing_shards(shards)]
    missing += [
        f"{image} ({name}) is missing"
        for image in images
        for name in disturbances
        if _rank({"image": image, "disturbance": name}, images, disturbances) not in there
    ]
    merged = sorted(by_key.values(), key=lambda line: line.rank)
    return Gathered(base, Lines(files, merged), missing, n_twice)


def _read_plans(places: Sequence[Path]) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """``I/N`` of the shards, and the place of each image and disturbance in the order they were planned in."""
    shards: list[str] = []
    images: dict[str, int] = {}
    disturbances: dict[str, int] = {}
    for place in places:
        plan = json.loads((place / PLAN).read_text(encoding="utf-8"))
        shards.append(plan["shard"])
        for name in plan["images"]:
            images.setdefault(name, len(images))
        for name in plan["disturbances"]:
            disturbances.setdefault(name, len(disturbances))
    return shards, images, disturbances


def _rank(episode: Mapping[str, Any], images: Mapping[str, int], disturbances: Mapping[str, int]) -> int:
    """Place of an image under a disturbance; what nobody planned comes first."""
    i, j = images.get(episode["image"], -1), disturbances.get(episode["disturbance"], -1)
    return (i + 1) * (len(disturbances) + 1) + j + 1


def _missing_shards(shards: Sequence[str]) -> list[str]:
    """``I/N`` of those of the largest N that are not there."""
    numbers = [tuple(map(int, shard.split("/"))) for shard in shards]
    n = max(n for _, n in numbers)
    return [f"{i}/{n}" for i in range(1, n + 1) if (i, n) not in numbers]
