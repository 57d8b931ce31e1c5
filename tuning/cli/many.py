"""What commands about many images have in common: what they look with, and that one image spoils no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ciliary.cortex import Cortex
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.cli.exit_codes import NOTHING, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.settings import CortexOptions

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


def cortex_or_code(settings: CortexOptions, say: Say, **more: Any) -> Cortex | int:
    """The cortex that the settings describe, frozen, where they say; or why not is said, and this is the exit code.

    ``more`` are keyword arguments of the cortex besides.
    """
    return made_or_code(
        lambda: Cortex(**{**settings.cortex, **more}).eval().requires_grad_(False).to(choose_device(settings.device)),
        say,
    )


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
