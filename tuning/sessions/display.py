"""What a person at a terminal sees of a session: a progress bar, problems as they come, one table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ciliary.agents.episode import Progress as Batch
from ciliary.envs.objective.recognition import RECOGNITION_TERMS
from ciliary.envs.objective.terms import TERMS
from ciliary.tuning.cli.progress import Bar, pace
from ciliary.tuning.sessions.gains import is_of_looks
from ciliary.tuning.sessions.outcome import CONTACTS, Told
from ciliary.tuning.sessions.resume import Session

COLUMNS = ("total", "predicted_score", *TERMS, *RECOGNITION_TERMS)  # those that were measured are shown
_HIGHER_IS_BETTER = ("predicted_score",)
_SHORT = {
    "predicted_score": "score",
    "stability": "stab.",
    "consistency": "cons.",
    "collapse": "coll.",
    "economy": "econ.",
    "code_stability": "codes",
    "completion": "compl.",
    "gate_entropy": "gates",
}
_MIN_WIDTH = 104  # a table that goes into a file must not be folded to the width of no terminal
_MAX_FIGURES = 12
_MOST_REASONS = 12
_ENLARGED = 4  # times that an image is larger than it was seen, from which it is said
#: What the columns are, in a line each, where they are shown.
LEGEND = {
    "total": "what is minimised",
    "predicted_score": "what the calibration expects of it; higher is better",
    "stability": "how much it changes in other light",
    "consistency": "how much it changes when seen from other places",
    "collapse": "how near it is to one region",
    "economy": "what its regions leave unexplained",
}
_TOGETHER = "how far all looks disagree with the percept (it falls nearly always: no proof of better regions)"
_MOST_ROWS = 1000


class TerminalDisplay:
    """Progress and problems on stderr, so that stdout holds the table alone. A context manager.

    Args:
        command: who tells it.
        n_trials: most of an episode; 1 where it has no parts.
        trials: what an episode's parts are called.
        inputs: what episodes are of.
        is_quiet: only problems.
    """

    def __init__(
        self,
        command: str = "accommodate",
        *,
        n_trials: int = 1,
        trials: str = "trials",
        inputs: str = "images",
        is_quiet: bool = False,
    ) -> None:
        self._command, self._inputs, self._is_quiet = command, inputs, is_quiet
        self._n_trials = n_trials
        unit = trials if n_trials > 1 else inputs
        self._bar = Bar(None, title="opening the tracking store", unit=unit, is_quiet=is_quiet)
        self.console = self._bar.console
        self._n_over, self._n_left, self._start_s = 0, 0, time.perf_counter()

    def __enter__(self) -> TerminalDisplay:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def begin(self, session: Session, n_episodes: int) -> None:
        """Say where we stand."""
        self._n_left, self._start_s = n_episodes, time.perf_counter()
        self._bar.move(total=n_episodes * self._n_trials)
        if not self._is_quiet and session.is_continued:
            killed = f", {session.n_killed} runs left open now closed as KILLED" if session.n_killed else ""
            self._say(f"session {session.name} goes on: {len(session.done)} episodes already done{killed}")

    def episode(self, title: str) -> None:
        """Show which episode runs."""
        self._bar.move(title=title)

    def batch(self, progress: Batch) -> None:
        """Move the bar."""
        self._bar.move(self._n_over * self._n_trials + progress.n_done)

    def done(self, *, was_done_before: bool) -> None:
        """Move the bar to the end of the episode, however many trials it took. What was done before is not to do."""
        self._n_over, self._n_left = self._n_over + (not was_done_before), self._n_left - 1
        self._bar.move(
            self._n_over * self._n_trials,
            total=(self._n_over + self._n_left) * self._n_trials,
            note=pace(self._n_over, time.perf_counter() - self._start_s, unit=self._inputs),
        )

    def note(self, text: str) -> None:
        """One plain line on stderr, unless quiet."""
        if not self._is_quiet:
            self._say(f"{self._command}: {text}")

    def problem(self, text: str) -> None:
        """One plain line on stderr, even when quiet."""
        self._say(f"{self._command}: {text}")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)


def results_tables(records: Sequence[Mapping[str, Any]], *, is_narrow: bool = False) -> Iterator[Table]:
    """Loss and terms before and after (the lines of a cell), trials, seconds and which setting the guard let pass.

    One table, or of a long session one for each :data:`_MOST_ROWS` episodes, with the means under the last: a table is
    laid out in memory, 10 kB an episode.
    """
    means = _Means()
    for record in records:
        means.add(record)
    terms = [name for name in COLUMNS if name in means.names]
    are_looks = all(is_of_looks(record) for record in islice(records, 1))
    empty = partial(_empty_table, terms, is_narrow=is_narrow, are_looks=are_looks)
    table = empty()
    for record in records:
        if table.row_count == _MOST_ROWS:
            yield table
            table = empty()
        values = [f"{_number(record['before'].get(t))}\n{_better(record, t)}" for t in terms]
        disturbance = "undisturbed" if record["disturbance"] == "none" else record["disturbance"]
        table.add_row(
            f"{_plain(record['image'])}\n[dim]{disturbance}[/]",
            "[dim]before\nafter[/]",
            *values,
            str(record["n_trials"]),
            f"{record['seconds']:.1f}",
            verdict(record),
            end_section=True,
        )
    if len(records) > 1:
        table.add_row(
            f"[bold]mean[/]\n[dim]of {len(records)}[/]",
            "[dim]before\nafter[/]",
            *(f"{means.of('before', t)}\n{means.of('after', t)}" for t in terms),
            "",
            f"{means.seconds:.1f}\n[dim]sum[/]",
            "",
        )
    yield table


def legend(records: Sequence[Mapping[str, Any]]) -> str:
    """What the table's columns are, and which way is better."""
    shown = {name for record in islice(records, _MOST_ROWS) for side in ("before", "after") for name in record[side]}
    words = LEGEND | ({"total": _TOGETHER} if any(is_of_looks(record) for record in islice(records, 1)) else {})
    lines = [f"  {name.replace('_', ' '):15} {text}" for name, text in words.items() if name in shown]
    return "\n".join(["lower is better:", *lines])


def reasons(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Why the defaults were kept, an episode a line; the first few."""
    kept = (r for r in islice(records, _MOST_ROWS) if r.get("guard") is not None and not r["guard"]["is_accepted"])
    for record in islice(kept, _MOST_REASONS):
        disturbance = "" if record["disturbance"] == "none" else f" ({record['disturbance']})"
        yield f"defaults kept: {record['image']}{disturbance}: {record['guard']['reason']}"


def seen_size(records: Sequence[Mapping[str, Any]]) -> str:
    """At what size the images were seen, where that is much smaller than the largest of them; else nothing."""
    told = (record for record in islice(records, _MOST_ROWS) if "original_size" in record)
    sizes = [(max(record["original_size"]), record.get("seen_with", {}).get("size_px")) for record in told]
    long_px, seen_px = max(((long, seen) for long, seen in sizes if seen), default=(0, 0))
    if long_px < _ENLARGED * seen_px or not seen_px:
        return ""
    return f"seen at {seen_px} px of the long side, maps of {long_px} px enlarged {long_px / seen_px:.0f} times: --size"


def _empty_table(terms: Sequence[str], *, is_narrow: bool, are_looks: bool = False) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("image", overflow="fold", min_width=12)
    table.add_column("", no_wrap=True)
    for name in terms:
        heading = _SHORT.get(name, name) if is_narrow else name.replace("_", " ")
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("looks" if are_looks else "trials", justify="right", no_wrap=True)
    table.add_column("sec" if is_narrow else "seconds", justify="right", no_wrap=True)
    table.add_column("applied", no_wrap=True)
    return table


class _Means:
    """Of what was measured in any episode, over those in which it was; and the seconds of all."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.seconds = 0.0
        self._sums: dict[tuple[str, str], tuple[float, int]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        self.seconds += record["seconds"]
        for side in ("before", "after"):
            self.names |= record[side].keys()
            for name, value in record[side].items():
                if value is not None:
                    total, n = self._sums.get((side, name), (0.0, 0))
                    self._sums[side, name] = total + value, n + 1

    def of(self, side: str, name: str) -> str:
        total, n = self._sums.get((side, name), (0.0, 0))
        return _number(total / n if n else None)


def verdict(record: Mapping[str, Any]) -> str:
    """What is in place, and whether the guard let it pass."""
    if record["controller"] == "normalise":
        return "stretch"
    word = "best" if record["i_chosen"] != 0 else "defaults"
    word = "all looks" if record.get("answer") == "integrated" else word
    if record.get("guard") is None:
        return word
    return f"{word}\n[dim]{'beyond noise' if record['guard']['is_accepted'] else 'gain too small'}[/]"


def print_outcome(outcome: Told, *, save: Path | None, console: Console | None = None) -> None:
    """The table, where things are, and how to see the runs; on stdout."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _MIN_WIDTH)
    if outcome.records:
        for table in results_tables(outcome.records, is_narrow=console.width < _MIN_WIDTH):
            console.print(table)
        _line(console, legend(outcome.records))
        for reason in reasons(outcome.records):
            _line(console, reason)
        if where := seen_size(outcome.records):
            _line(console, where)
    state = "stopped" if outcome.is_stopped else "done"
    words = [f"session {outcome.name} {state}: {len(outcome.records)} episodes"]
    if outcome.n_before:
        words.append(f"{outcome.n_before} of them from an earlier start")
    if outcome.problems:
        words.append(f"{len(outcome.problems)} failed")
    _line(console, ", ".join(words))
    drawn = (r["files"] for r in outcome.records if "figure" in r.get("files", {}))
    figures = [*islice(drawn, _MAX_FIGURES + 1)]
    if len(figures) <= _MAX_FIGURES:
        for files in figures:
            _line(console, f"figure   {files['figure']}")
            if "animation" in files:
                _line(console, f"animated {files['animation']}")
            if "stages" in files:
                _line(console, f"stages   {files['stages']}")
    else:
        _line(console, f"figures  {outcome.folder / 'figures'} ({len(figures) + sum(1 for _ in drawn)} pages)")
    if save is not None and outcome.records:
        _line(console, f"saved    {save} (.regions.png is to be looked at; .labels.png has the numbers)")
    _line(console, f"records  {outcome.folder / 'episodes.jsonl'}")
    if outcome.is_stopped:
        _line(console, "The same command goes on from here.")
    if (sheet := outcome.folder / CONTACTS).is_file():
        _line(console, f"look first at  {sheet}")
    _line(console, f"see the runs with:\n  {outcome.command}")


def print_files(outcome: Told, titles: Mapping[str, str]) -> None:
    """Where the files of these roles are, each under its title, and how the runs are seen; on stdout."""
    console = Console(highlight=False)
    width = max(8, *map(len, titles.values())) + 1
    for record in outcome.records:
        for role, title in titles.items():
            if role in record["files"]:
                _line(console, f"{title:{width}}{record['files'][role]}")
    state = "stopped" if outcome.is_stopped else "done"
    _line(console, f"session {outcome.name} {state}: {len(outcome.records)} episodes, {len(outcome.problems)} failed")
    _line(console, f"see the runs with:\n  {outcome.command}")


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _better(record: Mapping[str, Any], term: str) -> str:
    before, after = record["before"].get(term), record["after"].get(term)
    text = _number(after)
    if before is None or after is None or abs(after - before) < 5e-4:
        return text
    is_better = after > before if term in _HIGHER_IS_BETTER else after < before
    return f"[green]{text}[/]" if is_better else f"[red]{text}[/]"
