"""Settings as the command that asks for them, so that a run says how it is repeated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from cyclopts import Parameter

from ciliary.tuning.cli.settings import Settings


def command_of(command: str, settings: Settings, inputs: Sequence[str] = (), **other: Any) -> str:
    """The shell command that makes these settings again: options that are not at their defaults, and no others.

    Args:
        command: such as ``accommodate``.
        settings: of it.
        inputs: what stands in front of the options.
        other: fields by name, with the value to write instead of the settings' own; None leaves the option out.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    words = ["ciliary", *command.split(), *inputs]
    for field in fields(settings):
        value = other[field.name] if field.name in other else getattr(settings, field.name)
        parameter = next((m for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, Parameter)), None)
        if parameter is not None and parameter.name and value is not None and value != _default(field):
            words += _option(parameter, value)
    return shlex.join(words)


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _option(parameter: Parameter, value: Any) -> list[str]:
    flag = parameter.name[0]  # type: ignore[index]
    if isinstance(value, bool):
        return [flag] if value else list(parameter.negative or ())
    if isinstance(value, Mapping):
        return [word for name, number in value.items() for word in (flag, f"{name}={number!r}")]
    return [flag, ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)]
