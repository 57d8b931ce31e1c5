"""The notes in Markdown that stand above the runs of a session and of its episodes in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ciliary.tuning.runs.links import run_link
from ciliary.tuning.runs.record import printable
from ciliary.tuning.runs.tables import markdown_table, shown
from ciliary.tuning.sessions.gains import WORSE, Summary, gains_of, moved_parameters, ranked

_MOST_ROWS, _MOST_MOVED, _COMMAND_WIDTH = 50, 4, 76


def describe_episode(record: Mapping[str, Any], command: str = "") -> str:
    """Of an episode's run: what was seen, what came of it, what moved, and the command that does it again."""
    size = record.get("original_size")
    seen = f"**{_plain(record['image'])}**" + (f" ({size[1]} × {size[0]} px)" if size else "")
    words = [
        f"{seen}, {_disturbance(record)}. {_plain(record['controller'])}, {_trials(record)}: total {_change(record)}."
    ]
    gains, before, after = gains_of(record), record["before"], record["after"]
    # first in a sentence: MLflow folds a note after five lines
    words += [f"Gain: {', '.join(f'{_signed(gain)} in {name}' for name, gain in gains.items())} (above 0 is better)."]
    words = words if gains else words[:1]
    rows = [(_spelled(name), *map(shown, (before[name], after[name], gain))) for name, gain in gains.items()]
    words += [markdown_table(("", "before", "after", "gain"), rows, is_number=[False, *[True] * 3])] if rows else []
    guard = record.get("guard")
    words += [f"The guard: {guard['reason']}"] if guard else []
    moved = moved_parameters(record)
    told = [f"`{name}` {value:.3g}" for name, value in [*moved.items()][:_MOST_MOVED]]
    if told:
        what = "Of the best single look" if record.get("answer") == "integrated" else "Furthest from its default"
        words += [f"{what}: {', '.join(told)}{f' and {len(moved) - len(told)} more' * (len(moved) > len(told))}."]
    words += ["Pages are under Artifacts, `figures/`; Model metrics shows the regions over the trials (`regions`)."]
    words += _again(command)
    return "\n\n".join(words)


def describe_session(
    records: Sequence[Mapping[str, Any]],
    run_ids: Mapping[str, str],
    problems: Sequence[str],
    experiment_id: str,
    *,
    command: str = "",
    links: Mapping[str, str] | None = None,
) -> str:
    """Of a session's run: means, the best and the worst episode and all others as links, and the command.

    Args:
        records: of the episodes.
        run_ids: key of an episode -> its run.
        problems: what failed.
        experiment_id: of the runs.
        command: does it again.
        links: title -> address, of what else there is to see.
    """

    def link(record: Mapping[str, Any]) -> str:
        name = f"{_plain(record['image'])} · {_disturbance(record)}"
        run_id = run_ids.get(record["key"])
        return name if run_id is None else f"[{name}]({run_link(experiment_id, run_id)})"

    order, summary = ranked(records), Summary(records)
    lines = [f"{len(records)} episodes, {len(problems)} failed."]
    if len(order) > 1:
        change = f" {summary.n_better} gained and {summary.n_worse} lost more than {WORSE}." if summary.gain else ""
        lines[0] += change
        # among the first lines: MLflow folds a note, and fades what follows
        lines[0] += f" Mean gain in the total: {shown(summary.gain['total'])}." if "total" in summary.gain else ""
        lines += [f"Gained most: {link(records[order[0]])}; least: {link(records[order[-1]])}."]
    rows = [
        (_spelled(name), shown(summary.before[name]), shown(summary.after[name]), shown(gain))
        for name, gain in summary.gain.items()
    ]
    if rows:
        columns = ("mean", "before", "after", "gain [95 % of episodes resampled]")
        lines += [markdown_table(columns, rows, is_number=[False, *[True] * 3])]
    if links:
        lines += [" · ".join(f"[{title}]({address})" for title, address in links.items())]
    told = (records[i] for i in order[:_MOST_ROWS])  # one in memory at a time
    linked = [(link(one), _change(one), shown(gains_of(one)["total"])) for one in told]
    lines += [_linked(linked)] if linked else []
    lines += [f"… and {len(order) - _MOST_ROWS} more."] if len(order) > _MOST_ROWS else []
    lines += ["\n".join(f"- {_plain(problem)}" for problem in problems[:_MOST_ROWS])] if problems else []
    return "\n\n".join([*lines, *_again(command)])


def _linked(rows: Sequence[tuple[str, ...]]) -> str:
    """A table whose cells are Markdown already."""
    lines = ["| episode | total | gain |", "|---|---|---:|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _again(command: str) -> list[str]:
    return [f"Again:\n\n```\n{_wrapped(printable(command))}\n```"] if command else []


def _wrapped(command: str) -> str:
    """A command on lines that a narrow page shows whole, as a shell goes on reading them: cut before options."""
    lines = [""]
    for part in command.split(" --"):
        word = part if lines == [""] else f" --{part}"
        if len(lines[-1]) + len(word) > _COMMAND_WIDTH and lines[-1]:
            lines.append(" " + word)
        else:
            lines[-1] += word
    return " \\\n".join(lines)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _spelled(name: str) -> str:
    return f"{name.replace('_', ' ')} ({'higher' if name == 'predicted_score' else 'lower'} is better)"


def _disturbance(record: Mapping[str, Any]) -> str:
    return "undisturbed" if record["disturbance"] == "none" else _plain(record["disturbance"])


def _trials(record: Mapping[str, Any]) -> str:
    n = record["n_trials"]
    what = "look" if record.get("answer") == "integrated" else "trial"
    return f"{n} {what}{'s' * (n != 1)}"


def _change(record: Mapping[str, Any]) -> str:
    before, after = (record[side].get("total") for side in ("before", "after"))  # one cut short has no before
    if before is None or after is None:
        return "no finite total"
    is_kept = record["i_chosen"] == 0 and record.get("answer") != "integrated"
    return f"{before:.3f}, unchanged" if is_kept else f"{before:.3f} → {after:.3f}"


def _plain(text: str) -> str:
    """User's text inside Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]()#|<>!" else letter for letter in printable(text))
