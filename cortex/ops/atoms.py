"""What the stages after M2 ask of the small regions a picture is made of, whichever kind these are."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Atoms(Protocol):
    """N small regions of each picture of a batch: :class:`ciliary.cortex.ops.patches.Patches` or ``basins.Basins``."""

    @property
    def label(self) -> Tensor:
        """(B, H, W) int64, the atom each pixel belongs to (most)."""

    @property
    def mean(self) -> Tensor:
        """(B, N, C) mean of the cue vectors; 0 for an atom that is padding."""

    @property
    def size(self) -> Tensor:
        """(B, N) pixels; 0 for padding."""

    @property
    def centre_px(self) -> Tensor:
        """(B, N, 2) centre of mass, y and x."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def unit_px(self) -> float:
        """Pixels of one atom as thresholds and linkages count them; the same for all pictures of one size."""

    def render(self, values: Tensor, *, is_coarse: bool = False) -> Tensor:
        """Values of the atoms (B, N, C) at every pixel: (B, C, H, W); coarse: (B, C, H//2, W//2), means of 2 x 2."""

    def winner(self, values: Tensor) -> Tensor:
        """The channel that is largest at every pixel, of values (B, N, C) as they are rendered: (B, H, W) int64."""
