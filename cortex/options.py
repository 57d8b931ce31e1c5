"""What can be asked of this room by name, for command lines: no torch is imported here."""

from __future__ import annotations

#: Perceivers that :func:`ciliary.cortex.perceivers.make_perceiver` makes by name.
PERCEIVERS: tuple[str, ...] = ("cortex", "felzenszwalb", "slic", "watershed")
#: Providers of the depth cue, beside ``module:object`` and ``hub:REPO:MODEL``.
DEPTHS: tuple[str, ...] = ("none", "pictorial", "learned", "midas")
#: Backbone features for grouping and for recognition.
BACKBONES: tuple[str, ...] = ("none", "efficientnet_lite0")
#: Stages of the cortex in their order, and those that have a learned part beside the mathematical one.
STAGES: tuple[str, ...] = ("retina", "m1", "m2", "m3", "m4", "m5")
LEARNED: tuple[str, ...] = STAGES[1:]
