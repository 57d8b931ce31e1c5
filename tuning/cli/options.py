"""Options: one line of a settings class says an option's name, help, type, check, default and field.

    n_trials: Annotated[int, option("--trials", "N", "settings per episode"), at_least(1)] = 64

Imports nothing heavy: ``--help`` must not wait for torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from ciliary.cortex.loading import did_you_mean
from ciliary.cortex.options import LEARNED, STAGES
from ciliary.tuning.cli.panels import panel_of

#: A field that has no option.
PYTHON_ONLY = Parameter(parse=False)

Convert = Callable[[Sequence[str]], Any]
"""Values given on the command line, in order, to the value of the field; may raise ``ValueError``."""


@dataclass(frozen=True)
class Check:
    """A rule for the value of a field; None, which stands for "not given", passes every rule.

    Attributes:
        wrong: what is wrong with a value, as the end of a sentence that begins with the option's name, or None.
    """

    wrong: Callable[[Any], str | None]


def at_least(least: int) -> Check:
    """A number, or each of several, not below ``least``."""

    def wrong(value: Any) -> str | None:
        low = [v for v in (value if isinstance(value, tuple) else (value,)) if v < least]
        return f"must be at least {least}, got {low[0]}" if low else None

    return Check(wrong)


def one_of(*known: str) -> Check:
    """A name, or each of several, out of a list."""

    def wrong(value: Any) -> str | None:
        unknown = [v for v in (value if isinstance(value, tuple) else (value,)) if v not in known]
        close = did_you_mean(str(unknown[0]), known) if len(unknown) == 1 else ""
        return f"knows no {', '.join(map(repr, unknown))}{close}; choose from {', '.join(known)}" if unknown else None

    return Check(wrong)


def one_of_or_object(*known: str) -> Check:
    """A name out of a list, or one's own as ``module:object``."""

    def wrong(value: Any) -> str | None:
        if value in known or ":" in value:
            return None
        close = did_you_mean(value, known)
        return f"knows no {value!r}{close}; choose from {', '.join(known)}, or your own as module:object"

    return Check(wrong)


def option(
    flag: str,
    shape: str = "",
    help: str = "",  # noqa: A002 -- what every command line calls it
    *,
    convert: Convert | None = None,
    is_list: bool = False,
    also: str = "",
) -> Parameter:
    """What an option is called, what its value looks like, and what it is for.

    Args:
        flag: ``--name``; ``--name/--no-name`` for what can be switched off.
        shape: of the value, such as ``PX``; nothing for a switch.
        help: a line; the default is added.
        convert: makes the field's value of one or more texts: the option may be repeated.
        is_list: takes all values that follow it.
        also: another name of it, ``--name``.
    """
    name, _, negative = flag.partition("/")
    common: dict[str, Any] = {
        "name": (name, also) if also else name,
        "group": panel_of(name),
        "help": f"{shape}: {help}" if shape else help,
        "negative": negative or (),
        "show_default": _shown,
        "consume_multiple": is_list,
        "allow_repeating": None if is_list or convert else True,  # the last one holds, as everywhere
    }
    if convert is not None:
        common |= {"n_tokens": -1, "accepts_keys": False}
        common["converter"] = lambda kind, tokens: convert([token.value for token in tokens])
    return Parameter(**common)


def words(texts: Sequence[str]) -> tuple[str, ...]:
    """``["fog:1,none", "jpeg:2"]`` -> ``("fog:1", "none", "jpeg:2")``."""
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def counts(texts: Sequence[str]) -> tuple[int, ...]:
    """``["5,1", "20"]`` -> ``(1, 5, 20)``: whole numbers in rising order, each once."""
    return tuple(sorted({int(word) for word in words(texts)}))


def assignments(texts: Sequence[str]) -> dict[str, float]:
    """``["n_regions=6", "lens_blur_px=1"]`` -> the two by name; a file of settings stands for those it holds."""
    found: dict[str, float] = {}
    for text in texts:
        if "=" not in text and text.endswith(".json"):
            found |= _read_values(Path(text))
            continue
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value if equals else "")
        except ValueError:
            raise ValueError(f"expected NAME=VALUE with a number, such as n_regions=6, got {text!r}") from None
    return found


def stored_values(text: str, name: str) -> dict[str, float]:
    """Settings by name of the JSON that ``ciliary open`` exports, or that ``--save`` writes beside the maps.

    Args:
        text: of the file; an object whose ``set``, or else ``parameters``, has a number for each name.
        name: of the file, for the complaint.

    Raises:
        ValueError: it is no such thing.
    """
    try:
        page = json.loads(text)
        values = page.get("set", page.get("parameters"))
        return {str(key): float(value) for key, value in values.items()}
    except (ValueError, TypeError, AttributeError):
        raise ValueError(
            f'{name}: expected JSON with a number for each name, such as {{"set": {{"n_regions": 6}}}}'
        ) from None


def _read_values(path: Path) -> dict[str, float]:
    try:
        return stored_values(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None


def stages(texts: Sequence[str]) -> tuple[str, ...]:
    """``all``, ``none``, or names such as ``m2,m5``, to names in their order; unknown ones, for the check, last."""
    names = set(words(texts))
    if names <= {"all"} or names <= {"none"}:
        return LEARNED if "all" in names else ()
    return (*(name for name in LEARNED if name in names), *sorted(names - set(LEARNED)))


def stage_objects(texts: Sequence[str]) -> tuple[str, ...]:
    """``m2=mine:Grouping`` as it is, one a stage; unknown stages are for the check to name."""
    return tuple(sorted(text.replace(" ", "") for text in texts))


def is_stage(value: tuple[str, ...]) -> str | None:
    """The check of :func:`stage_objects`."""
    for text in value:
        name, _, path = text.partition("=")
        if name not in STAGES or ":" not in path:
            return f"expected STAGE=module:object with STAGE from {', '.join(STAGES)}, got {text!r}"
    return None


def _shown(default: Any) -> str | None:
    """How a default is told in the help."""
    if isinstance(default, bool) or default is None or default in ("", (), {}):
        return None
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
