"""Telling what is wrong: one line on stderr, with the name of the command before it."""

from __future__ import annotations

import sys

from ciliary.tuning.runs.secrets import masked


def complain(command: str, problem: object) -> None:
    """Print ``command: problem`` on stderr, in one line.

    Args:
        command: who complains, such as ``accommodate``.
        problem: a text, or the error that tells it.
    """
    print(f"{command}: {_line(problem)}", file=sys.stderr, flush=True)


def failure(label: str, error: Exception) -> str:
    """What went wrong with one of many, in one line that names it."""
    line = _line(error)
    return line if label in line else f"{label}: {line}"


def _line(problem: object) -> str:
    said = problem.args[0] if isinstance(problem, KeyError) and problem.args else problem  # a KeyError quotes its text
    return " ".join(masked(str(said)).split()) or type(problem).__name__
