"""The panels of a page of ``--help``: which options stand together, whatever the command."""

from __future__ import annotations

from cyclopts import Group

#: Panel -> its options; those of no panel stand last, as others.
PANELS: dict[str, tuple[str, ...]] = {
    "What sees": (
        *("--size", "--perceiver", "--depth", "--features", "--features-weights", "--inherited", "--inherited-weights"),
        *("--contours", "--learned", "--stage"),
    ),
    "How it is done": (
        *("--answer", "--controller", "--trials", "--population", "--spread", "--objective", "--policy", "--trust"),
        *("--set", "--guard", "--disturb", "--seed", "--storage", "--methods", "--reference", "--seeds"),
    ),
    "What comes out": (
        *("--out", "--save", "--coco", "--animation", "--figures", "--no-figures", "--fluency", "--page", "--reading"),
        *("--show", "--portraits"),
    ),
    "Many images and machines": ("--session", "--resume", "--workers", "--engine", "--address", "--shard"),
}
OTHERS = "Other options"
_PLACES = {flag: i for i, flags in enumerate(PANELS.values()) for flag in flags}
_GROUPS = [Group(title, sort_key=i) for i, title in enumerate((*PANELS, OTHERS))]


def panel_of(flag: str) -> Group:
    """Where an option stands."""
    return _GROUPS[_PLACES.get(flag, -1)]
