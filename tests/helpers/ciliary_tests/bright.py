"""Segmenters of one's own, for tests of what calls them: at the top of a module, so that they are found by name."""

from __future__ import annotations


def bright(image, *, threshold=0.5, n_levels=2):
    """Levels of brightness above and below a threshold."""
    return (image.mean(-1) / threshold * n_levels / 2).astype(int)


def picky(image, *, threshold=0.5):
    """Fails above 0.8, and returns no label map above 0.7."""
    if threshold > 0.8:
        raise ArithmeticError("too bright for me")
    return image if threshold > 0.7 else image.mean(-1) > threshold
