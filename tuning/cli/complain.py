"""Telling what is wrong: one line on stderr, with the name of the command before it."""

from __future__ import annotations

import sys


def complain(command: str, problem: object) -> None:
    """Print ``command: problem`` on stderr, in one line.

    Args:
        command: who complains, such as ``accommodate``.
        problem: a text, or the error that tells it.
    """
    said = problem.args[0] if isinstance(problem, KeyError) and problem.args else problem  # a KeyError quotes its text
    print(f"{command}: {' '.join(str(said).split()) or type(problem).__name__}", file=sys.stderr, flush=True)
