"""What a user names as ``module:object``: a controller, a sampler, an objective, a perceiver or a stage of their own.

The module is found where Python finds any other, and in the working directory, which stays on the search path (behind
everything installed) so that worker processes and later imports of the module find their neighbours too.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from types import ModuleType


def names_object(text: str) -> bool:
    """Whether a text has the form ``module:object``, such as ``mine:Walker`` or ``package.mine:Outer.Inner``."""
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'cmaes'?)`` of ``cma-es``, to be put behind it; nothing where no name is like it."""
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""


def load_object(path: str, *, what: str = "object") -> object:
    """The object that ``module:object`` names: a class, a function or a finished instance.

    Args:
        path: such as ``mine:Walker`` for what ``from mine import Walker`` gives in the working directory.
        what: what it is to be, for the messages: ``controller``, ``objective``, ...

    Raises:
        ValueError: the text has another form; there is no such module, it fails while it is imported, or holds no such
            object. What went wrong inside the module is the error's cause.
    """
    if not names_object(path):
        hint = "; leave the .py out" if ".py:" in path else ""
        raise ValueError(f"{what} {path!r}: expected module:object, such as mine:MyClass{hint}")
    module_name, _, object_name = path.partition(":")
    module = _import(module_name, path=path, what=what)
    try:
        return reduce(getattr, object_name.split("."), module)
    except AttributeError as error:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ValueError(
            f"{what} {path!r}: {_place_of(module)} has no {object_name!r}; it has {', '.join(public) or 'nothing'}"
        ) from error


def object_mark(path: str, *, what: str = "object") -> str:
    """What numbers that depend on ``module:object`` are stored with: its name, and a digest of its module's source.

    What that module imports does not count. Errors as :func:`load_object`.
    """
    load_object(path, what=what)
    file = getattr(sys.modules[path.partition(":")[0]], "__file__", None)
    source = Path(file).read_bytes() if file else path.encode()
    return f"{path} {hashlib.sha256(source).hexdigest()[:16]}"


def _import(name: str, *, path: str, what: str) -> ModuleType:
    here = Path.cwd()
    if here not in [Path(entry or ".").resolve() for entry in sys.path]:
        sys.path.append(str(here))
    importlib.invalidate_caches()  # the file may be younger than what was last seen of its folder
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"{what} {path!r}: {_failure(error)}") from error
        raise ValueError(
            f"{what} {path!r}: found no module {name!r} ({error}); looked in the working directory {here} and in "
            f"{len(sys.path) - 1} other places that Python imports from"
        ) from error
    except Exception as error:
        raise ValueError(f"{what} {path!r}: {_failure(error)}") from error


def _failure(error: Exception) -> str:
    """One line on what a module failed of, with the line of the user's file."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename}, line {frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}, line {error.lineno}"
    return f"its module fails while it is imported ({type(error).__name__}: {error}; {where})"


def _place_of(module: ModuleType) -> str:
    return f"the module {module.__name__} ({getattr(module, '__file__', None) or 'built in'})"
