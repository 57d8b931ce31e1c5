"""What commands about many images have in common: what they look with, and that one image spoils no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.cli.exit_codes import NOTHING, USAGE
from ciliary.tuning.cli.progress import Bar

T = TypeVar("T")
Say = Callable[[object], object]


def made_or_code(make: Callable[[], T], say: Say) -> T | int:
    """What ``make`` makes of the settings, a cortex mostly; or why not is said, and this is the exit code."""
    try:
        return make()
    except ProviderUnavailable as error:
        say(error)
        return NOTHING
    except (ValueError, TypeError, KeyError, OSError) as error:
        say(error)
        return USAGE


@contextmanager
def one_of_many(label: str, problems: list[str], say: Say, bar: Bar) -> Iterator[None]:
    """Around what is done with one image: what goes wrong is said, and kept in ``problems``; the rest goes on."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        problems.append(failure(label, error))
        say(problems[-1])
    finally:
        bar.advance()
