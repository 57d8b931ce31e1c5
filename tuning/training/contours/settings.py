"""What the teaching of contours and merges is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ciliary.cortex.options import INHERITED
from ciliary.tuning.training.contours.learn import Learning
from ciliary.tuning.training.contours.pool import Augmentation


@dataclass(frozen=True)
class TeachingSettings:
    """What to teach from, and where.

    Attributes:
        labelled: BSDS500, of which the training images are used, or a folder of labelled images.
        out: folder of the weights, the samples and the checkpoints.
        kind: ``contours``, or ``all``, on the maps of a trunk.
        n_folds: contours of an image that merges are taught on come from a network that did not see it.
        sizes_px: long sides at which places, regions and (the first) objects are looked at.
        n_code_steps: batches that M1's code learns from.
        learning, augmentation: of the contours that are kept; networks that leave a fold out learn from two thirds of
            their batches.
        begin: folder of another teaching of the same images and folds, from whose contours these go on.
        seed: of samples, weights and order.
        device: where it is computed; what is kept lies on the CPU.
    """

    labelled: Path
    out: Path = Path("runs/inherited")
    kind: str = "contours"
    n_folds: int = 5
    sizes_px: tuple[int, ...] = (192, 256, 481)
    n_code_steps: int = 1200
    learning: Learning = field(default_factory=Learning)
    augmentation: Augmentation = field(default_factory=Augmentation)
    begin: Path | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in INHERITED[1:]:
            raise ValueError(f"expected kind to be one of {', '.join(INHERITED[1:])}, got {self.kind!r}")
        if self.n_folds < 2:
            raise ValueError(f"expected at least 2 folds, got {self.n_folds}")

    def about(self) -> dict[str, Any]:
        """What shapes the weights, as JSON types; no places."""
        return {k: v for k, v in asdict(self).items() if k not in ("labelled", "out", "begin", "device")}

    @property
    def fold_learning(self) -> Learning:
        """Of the contours that leave a fold out."""
        return replace(self.learning, n_steps=-(-2 * self.learning.n_steps // 3))
