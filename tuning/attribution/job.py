"""Sessions in, a figure and rows of a table for each of their episodes out. An exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.envs.data.images import open_images
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.attribution.figure import draw_why
from ciliary.tuning.attribution.gain import NothingMoved, Why, explain
from ciliary.tuning.attribution.settings import WhySettings
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import plan_stems, write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown
from ciliary.tuning.sessions.figures import title, write_figure
from ciliary.tuning.sessions.inputs import mark_of
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.settings import SessionSettings

_CANCEL = " What helps and what harms cancel to less than a tenth: no share is told in percent."
N_TOLD = 8  # players of an episode that the page tells


@dataclass(frozen=True)
class Row:
    """One player of one episode."""

    image: str
    disturbance: str
    player: str
    change: str
    share: float
    standard_error: float
    percent: float
    undone: float
    gain: float
    rank_agreement: float
    evaluations: int
    seconds: float


def run(settings: WhySettings) -> int:
    """Share out the gain of every episode that sessions left.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some episodes failed, 130 stopped by Ctrl-C.
    """
    sessions = [place for folder in settings.folders for place in records.sessions_in(Path(folder))]
    if not sessions:
        asked = ", ".join(settings.folders) or "nothing"
        _complain(f"expected a session of `ciliary accommodate` or a folder of some, got {asked}")
        return USAGE
    codes = []
    try:
        for place in sessions:
            several = len(sessions) > 1
            out = place / "why" if settings.out is None else settings.out / place.name if several else settings.out
            codes.append(_explain_session(place, out, settings))
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED
    if all(code == NOTHING for code in codes):
        return NOTHING
    return ALL_WELL if all(code == ALL_WELL for code in codes) else SOME_FAILED


def _explain_session(place: Path, out: Path, settings: WhySettings) -> int:
    wanted = [r for r in records.finished(place) if not settings.episodes or r["image"] in settings.episodes]
    if not wanted:
        _complain(
            f"{place}: no finished episode" + (f" of {', '.join(settings.episodes)}" if settings.episodes else "")
        )
        return NOTHING
    stems = plan_stems((_stem(record) for record in wanted), ["none"])
    rows: list[Row] = []
    n_failed = n_kept = 0
    with Bar(len(wanted) * settings.n_evaluations, unit="settings", is_quiet=settings.is_quiet) as bar:
        envs = _Environments(settings.device)
        for i, (record, stem) in enumerate(zip(wanted, stems, strict=True)):
            bar.move(i * settings.n_evaluations, title=title(record))
            start = time.perf_counter()
            try:
                env = envs.at(record)
                why = explain(
                    env, record, n_evaluations=settings.n_evaluations, seed=settings.seed, on_some=bar.advance
                )
                path = write_figure(draw_why(why, title=title(record)), out / f"{stem['none']}.png")
            except NothingMoved as reason:
                n_kept += 1
                if not settings.is_quiet:
                    _complain(f"{_called(record)}: {reason}: there is no gain to share")
                continue
            except (ValueError, OSError, RuntimeError, MemoryError, ProviderUnavailable) as error:
                n_failed += 1
                _complain(failure(_called(record), error))
                continue
            rows += rows_of(record, why, time.perf_counter() - start)
            _say(settings, f"why      {path}")
    if rows:
        table = out / "why.csv"
        write_atomically(table, rows_to_csv(rows).encode())
        page = page_of(rows)
        write_atomically(out / "why.md", page.encode())
        _say(settings, f"{page}\nwhy      {table}")
    if not rows and not n_kept:
        return NOTHING
    return SOME_FAILED if n_failed else ALL_WELL


class _Environments:
    """The environment that an episode was played in, made once for all that were seen with the same settings."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._made: dict[str, tuple[AccommodationEnv, SessionSettings]] = {}

    def at(self, record: Mapping[str, Any]) -> AccommodationEnv:
        """At the episode's image.

        Raises:
            ValueError: the record does not say how it was seen, or the image is gone or another one.
        """
        seen_with = record.get("seen_with")
        if seen_with is None:
            raise ValueError("the record does not say what it was seen with (of an earlier version); accommodate again")
        name = json.dumps(seen_with, sort_keys=True)
        if name not in self._made:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in seen_with.items()}
            settings = SessionSettings(device=self._device, **fields)
            self._made[name] = make_env(settings), settings
        env, settings = self._made[name]
        (photograph,) = open_images(record["path"] or record["image"], settings.size_px)
        if mark_of(photograph) != record["fingerprint"]:
            raise ValueError(
                f"{record['path'] or record['image']} is another image now than when it was accommodated to"
            )
        photograph = replace(photograph, name=record["image"])
        disturbance = None if record["disturbance"] == "none" else record["disturbance"]
        env.reset(seed=record["seed"], options={"image": photograph, "disturbance": disturbance})
        return env


def rows_of(record: Mapping[str, Any], why: Why, seconds: float) -> list[Row]:
    """A row for each player, the largest share first."""
    shares = why.shares
    return [
        Row(
            record["image"],
            record["disturbance"],
            why.names[i],
            why.words[i],
            float(shares.share[i]),
            float(shares.standard_error[i]),
            float(why.percent[i]),
            float(shares.undone[i]),
            shares.gain,
            why.rank_agreement,
            shares.n_evaluations,
            seconds,
        )
        for i in why.order
    ]


def page_of(rows: Sequence[Row]) -> str:
    """The table of each episode, of its largest shares, in Markdown."""
    parts = ["# Which parameter did it\n"]
    for own in _by_episode(rows):
        first = own[0]
        agreement = "" if first.rank_agreement != first.rank_agreement else f"'s correlation {first.rank_agreement:.2f}"
        parts.append(
            f"## {first.image}, {first.disturbance.replace('none', 'undisturbed')}\n\n"
            f"Gain {first.gain:.4f}, {len(own)} players, {first.evaluations} evaluations, {first.seconds:.1f} s; ranks "
            f"beside undoing one at a time: Spearman{agreement or ' has no meaning for fewer than three'}."
            + (_CANCEL if first.percent != first.percent else "")
            + "\n"
        )
        told = ("image", "disturbance", "gain", "rank_agreement", "evaluations", "seconds")
        parts.append(rows_to_markdown(own[:N_TOLD], without=told))
        left = sum(row.share for row in own[N_TOLD:])
        parts.append(f"The other {len(own) - N_TOLD} together: {left:.4f}.\n" if len(own) > N_TOLD else "")
    return "\n".join(parts)


def _by_episode(rows: Sequence[Row]) -> Iterator[list[Row]]:
    names = dict.fromkeys((row.image, row.disturbance) for row in rows)
    for name in names:
        yield [row for row in rows if (row.image, row.disturbance) == name]


def _stem(record: Mapping[str, Any]) -> str:
    return f"{record['image']}__{record['disturbance'].replace(':', '_')}"


def _called(record: Mapping[str, Any]) -> str:
    return f"{record['image']} {record['disturbance']}"


def _say(settings: WhySettings, text: str) -> None:
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(text, markup=False)


_complain = partial(complain, "why")
