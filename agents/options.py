"""Who can be asked to play, by name, for command lines: no torch is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ciliary.cortex.loading import did_you_mean, names_object

#: Controllers of accommodation, in the order of :data:`ciliary.agents.registry.CONTROLLERS`.
CONTROLLERS: tuple[str, ...] = (
    *("fixed", "policy", "random", "normalise", "gradient", "hybrid", "hybrid-cmaes", "reflex", "memory", "panel"),
    *("disagreement", "sb3", "search", "tpe", "cmaes", "gp", "nsga2"),
)
#: Controllers of an eye's muscles, in the order of :data:`ciliary.agents.registry.EYE_CONTROLLERS`.
EYE_CONTROLLERS: tuple[str, ...] = (
    *("gaze-centre", "gaze-random", "gaze-grid", "gaze-priority", "gaze-replay", "lens-sweep", "lens-hill"),
    *("lens-reflex", "lens-gradient", "lens-reflex-hill", "pupil-reflex", "pupil-response", "pupil-fixed"),
    *("gaze-settle", "eye-random", "eye-reflex", "eye-settle", "eye-gradient", "eye-policy", "pupil-hill"),
)
#: Names of before, and what to say of them.
GONE: Mapping[str, str] = {
    "portfolio": "is no more: its first setting was all that it gained; use policy, which tries that one (2 looks)",
}


def wrong_controller(name: str, known: Sequence[str] = CONTROLLERS) -> str | None:
    """Why no controller of this name can play, as the end of a sentence; None of one that can, or is one's own.

    ``known`` are those that can, of :data:`CONTROLLERS` and :data:`EYE_CONTROLLERS`.
    """
    if name in known or names_object(name):
        return None
    own = f"choose from {', '.join(known)}, or give your own as module:object"
    if name in GONE:
        return f"{name!r} {GONE[name]}"
    if name in EYE_CONTROLLERS:
        return f"cannot be {name!r}, which moves an eye; {own}"
    return f"knows no {name!r}{did_you_mean(name, known)}; {own}"
