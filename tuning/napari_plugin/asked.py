"""Who is to see, and how it is to be accommodated: what the panel asks, as a session's settings and as a command line.

Imports nothing heavy: the panel is there before torch is.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ciliary.cortex.loading import load_object, names_object
from ciliary.cortex.options import PERCEIVERS
from ciliary.tuning.sessions.settings import SessionSettings

#: Whose percept it is: what the panel calls it, and the options of a session. Another name is one's own function.
SEERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "contours": ("cortex, with contours that people drew", {}),
    "none": ("cortex, mathematics alone", {"inherited": "none"}),
    **{name: (f"{name} (scikit-image)", {"perceiver": name}) for name in ("slic", "felzenszwalb", "watershed")},
}
#: How it is accommodated.
WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "looks": ("all looks together", {}),
    "tpe": ("one setting, searched (tpe)", {"controller": "tpe"}),
    "hybrid": ("one setting, by policy and search (hybrid)", {"controller": "hybrid"}),
}


@dataclass(frozen=True)
class Asked:
    """What the panel stands at, besides the sliders.

    Attributes:
        perceiver: of :data:`SEERS`; ``module:object``; a Python file, with ``:object`` where it holds more than one
            segmenter; or a function (kept as ``module:object``).
        way: of :data:`WAYS`.
        size_px: long side that is seen.
        n_trials: settings an episode, the defaults included.
        seed: of everything that is drawn.
        is_shown: whether grey values are taken between the layer's contrast limits, as napari shows them; else as the
            commands take them from a file.

    Raises:
        ValueError: a function that cannot be found again by its name, or an unknown way.
    """

    perceiver: str | Callable[..., Any] = "contours"
    way: str = "looks"
    size_px: int = SessionSettings.size_px
    n_trials: int = SessionSettings.n_trials
    seed: int = SessionSettings.seed
    is_shown: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.perceiver, str):
            object.__setattr__(self, "perceiver", named(self.perceiver))
        if self.way not in WAYS:
            raise ValueError(f"way: expected one of {', '.join(WAYS)}, got {self.way!r}")

    def session(self, **changes: float) -> SessionSettings:
        """The session whose episodes are played, from these changes of the defaults.

        Raises:
            ValueError: there is no such perceiver, or it cannot be accommodated in this way.
        """
        text = str(self.perceiver)
        who = SEERS[text][1] if text in SEERS else {"perceiver": own(text, reads_anew=True)[0]}
        return SessionSettings(
            size_px=self.size_px, n_trials=self.n_trials, seed=self.seed, changes=changes, **who, **WAYS[self.way][1]
        )

    def command(self, image: str, **changes: float) -> str:
        """The words that play the same episode at a terminal.

        Args:
            image: a file, or the name of a bundled photograph.
            **changes: of the defaults.

        Raises:
            ValueError: as :meth:`session`; or the function lives in this session alone.
        """
        text = str(self.perceiver)
        if text.startswith("__main__:"):
            raise ValueError(
                f"{text.partition(':')[2]} lives in this session alone: a command needs it in a file, such as mine.py"
            )
        name, folder = ("", None) if text in SEERS else own(text)
        who = SEERS[text][1] if text in SEERS else {"perceiver": name}
        options: dict[str, Any] = {f"--{name}": value for name, value in who.items()}
        options |= {f"--{name}": value for name, value in WAYS[self.way][1].items()}
        plain = Asked()
        numbers = {"--size": "size_px", "--trials": "n_trials", "--seed": "seed"}
        options |= {o: getattr(self, f) for o, f in numbers.items() if getattr(self, f) != getattr(plain, f)}
        words = ["ciliary", "accommodate", image]
        for option, value in options.items():
            words += [option, str(value)]
        for changed, number in changes.items():
            words += ["--set", f"{changed}={number:g}"]
        return shlex.join(words) if folder is None else f"cd {shlex.quote(str(folder))} && {shlex.join(words)}"

    def seen_by_same(self, other: Asked) -> bool:
        """Whether who sees, and what can be set, is the same."""
        return replace(other, n_trials=self.n_trials, seed=self.seed, is_shown=self.is_shown) == self


def own(text: str, *, reads_anew: bool = False) -> tuple[str, Path | None]:
    """One's own perceiver as ``module:object``, and the folder that its module is found in where a file was named.

    A file is put where Python finds it: its folder behind everything else.

    Args:
        text: ``module:object``, ``mine.py:segment``, or ``mine.py`` where that holds one segmenter.
        reads_anew: a file that was read before is read again when it is imported next.

    Raises:
        ValueError: there is no such file, its module fails, another of that name is found first, or it is not clear
            which of its functions is meant.
    """
    file, colon, name = text.strip().rpartition(":")
    if not colon or not file.endswith(".py"):
        file, name = text.strip(), ""
    if not file.endswith(".py"):
        if text not in PERCEIVERS and not names_object(text.strip()):
            raise ValueError(f"expected a segmenter as module:function or mine.py:function, got {text!r}")
        return text.strip(), None
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if not path.stem.isidentifier():
        raise ValueError(f"{path.name}: Python cannot import a file of this name; call it such as my_segmenter.py")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    if reads_anew and _file_of(sys.modules.get(path.stem)) == path:
        del sys.modules[path.stem]
    importlib.invalidate_caches()
    found = importlib.util.find_spec(path.stem)
    where = None if found is None else found.origin
    if where is None or Path(where).resolve() != path:
        raise ValueError(f"{path.name}: Python finds another module {path.stem!r} first ({where}); rename the file")
    return f"{path.stem}:{name or _only_segmenter(path)}", path.parent


def named(function: Callable[..., Any]) -> str:
    """``module:object`` of a function, or of a perceiver that a module holds. ``ValueError`` where there is none."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    text = f"{module}:{name}"
    if not names_object(text) or load_object(text, what="perceiver") is not function:
        raise ValueError(
            f"{function!r} cannot be found again by its name; define it with def at the top of a module or a notebook"
        )
    return text


def _only_segmenter(path: Path) -> str:
    held: Any = load_object(f"{path.stem}:__dict__", what="perceiver")
    public: dict[str, Any] = {name: thing for name, thing in held.items() if not name.startswith("_")}
    perceivers = [name for name, thing in public.items() if hasattr(thing, "cues") and hasattr(thing, "answers")]
    perceivers = [name for name in perceivers if not isinstance(public[name], type)]
    found = perceivers or [name for name, thing in public.items() if _segments(thing, path.stem)]
    if len(found) != 1:
        holds = f"it holds {', '.join(found)}" if found else "no function with an image and numbers for defaults in it"
        raise ValueError(f"{path.name}: say which function segments, as {path.name}:segment; {holds}")
    return found[0]


def _segments(thing: Any, module: str) -> bool:
    """Whether it looks like ``segment(image, scale=1.0)``, of this module."""
    if not inspect.isfunction(thing) or thing.__module__ != module:
        return False
    takes = [*inspect.signature(thing).parameters.values()]
    has_image = bool(takes) and takes[0].default is inspect.Parameter.empty
    return has_image and any(type(one.default) in (int, float) for one in takes[1:])


def _file_of(module: Any) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None
