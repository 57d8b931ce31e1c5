"""What can be asked of this room by name, for command lines: no torch is imported here."""

from __future__ import annotations

#: Perceivers that :func:`ciliary.cortex.perceivers.make_perceiver` makes by name.
PERCEIVERS: tuple[str, ...] = ("cortex", "felzenszwalb", "slic", "watershed")
#: Providers of the depth cue, beside ``module:object`` and ``hub:REPO:MODEL``.
DEPTHS: tuple[str, ...] = ("none", "pictorial", "learned", "midas")
#: Deep features for recognition.
DEEP: tuple[str, ...] = ("none", "efficientnet_lite0")
#: Backbones for grouping that need no network; any model of timm's, by its name, is another.
BACKBONES: tuple[str, ...] = DEEP
#: Stages of the cortex in their order, and those that have a learned part beside the mathematical one.
STAGES: tuple[str, ...] = ("retina", "m1", "m2", "m3", "m4", "m5")
LEARNED: tuple[str, ...] = STAGES[1:]
#: What a cortex inherits of people's drawings: nothing, contours and merges, or these on a pretrained trunk.
INHERITED: tuple[str, ...] = ("none", "contours", "all")
#: The backbone that ``all`` was taught on.
INHERITED_TRUNK = "efficientnet_lite0"
