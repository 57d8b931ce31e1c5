"""The dorsal pathway: where to look next, from what draws the eye before anything is recognised."""
