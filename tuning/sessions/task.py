"""What is given to whoever does an episode, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.sessions.made import Made


@dataclass(frozen=True, eq=False)
class Task:
    """An episode to come.

    Attributes:
        label: what the user called the input.
        shown: the input as the job has read it: a photograph, a scene.
        key: of the episode.
        stem: names its files.
        is_drawn: whether it is drawn as soon as it was played.
        known: its record if it was kept before: it is not kept again unless its files are others.
        is_played: False if only what the known record tells is drawn.
    """

    label: str
    shown: Any
    key: EpisodeKey
    stem: str
    is_drawn: bool = True
    known: Mapping[str, Any] | None = None
    is_played: bool = True

    def is_news(self, record: Mapping[str, Any]) -> bool:
        """Whether a record says what the known one does not: there is none, or its files are others."""
        known = self.known
        return known is None or bool(known.get("files", {}).get("json") != record["files"].get("json"))


@dataclass(frozen=True, eq=False)
class Cut:
    """What is left of an episode that somebody stopped: the trials made so far, if there were any."""

    record: Mapping[str, Any] | None = None
    theta: Mapping[str, Any] | None = None


Result = Made | Cut | Exception
"""What comes of a task."""
