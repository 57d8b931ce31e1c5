"""What can be asked of this room by name, for command lines: no torch is imported here."""

from __future__ import annotations

from collections.abc import Iterable

#: Perceivers that :func:`ciliary.cortex.perceivers.make_perceiver` makes by name.
PERCEIVERS: tuple[str, ...] = ("cortex", "felzenszwalb", "slic", "watershed", "glances")
#: In front of the name of a perceiver: it looks in other light and at other sizes, too.
GLANCES = "glances"
#: Providers of the depth cue, beside ``module:object`` and ``hub:REPO:MODEL``.
DEPTHS: tuple[str, ...] = ("none", "pictorial", "learned", "midas")
#: Deep features for recognition.
DEEP: tuple[str, ...] = ("none", "efficientnet_lite0")
#: Backbones for grouping that need no network; any model of timm's, by its name, is another.
BACKBONES: tuple[str, ...] = DEEP
#: Stages of the cortex in their order, and those that have a learned part beside the mathematical one.
STAGES: tuple[str, ...] = ("retina", "m1", "m2", "m3", "m4", "m5")
LEARNED: tuple[str, ...] = ("m2", "m3", "m5")
#: What a cortex inherits of people's drawings: nothing, contours and merges, or these on a pretrained trunk.
INHERITED: tuple[str, ...] = ("none", "contours", "all")
#: What a cortex inherits that looks many times, unless something else is asked for: see :func:`inherits`.
INHERITS = "contours"
#: The cortex as a perceiver: its name, before the kind that it inherits.
CORTEX = "cortex"
#: Where a perceiver lies; ``auto`` is ``cuda`` where there is one, else ``cpu``.
DEVICES: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
#: Where an eye lies: places are told in double precision, which Apple's devices have not.
EYE_DEVICES: tuple[str, ...] = ("auto", "cpu", "cuda")
#: The backbone that ``all`` was taught on.
INHERITED_TRUNK = "efficientnet_lite0"


def cortex_name(inherited: str = "none") -> str:
    """The name of a cortex that inherits so much; what is fitted to one is not for another."""
    return CORTEX if inherited == "none" else f"{CORTEX}-{inherited}"


def inherits(learned: Iterable[str] = ()) -> str:
    """What a session's cortex inherits unless it is said, whatever door it is asked for at.

    Args:
        learned: stages whose learned part it has in the place of what would be inherited.
    """
    return "none" if set(learned) - {"m5"} else INHERITS


def inherited_by(perceiver: str) -> str | None:
    """What a cortex of this name inherits; None of any other perceiver."""
    return {cortex_name(kind): kind for kind in INHERITED}.get(perceiver)


def default_objective(perceiver: str = CORTEX) -> str:
    """The name of the objective that a perceiver is judged by, unless another is asked for."""
    return "agreement" if inherited_by(perceiver) is None else "calibrated"


def is_of_looks(objective: object) -> bool:
    """Whether an objective is that of episodes whose answer is all looks together: ``looks``, or a file of looks."""
    return str(objective) == "looks" or str(objective).endswith(".json")
