"""What can be asked of this room by name, for command lines: no torch is imported here."""

from __future__ import annotations

#: Perceivers that :func:`ciliary.cortex.perceivers.make_perceiver` makes by name.
PERCEIVERS = ("cortex", "felzenszwalb", "slic", "watershed")
