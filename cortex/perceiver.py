"""What can be accommodated: anything that turns an image and settings into soft masks.

Environments, objectives, controllers, sessions and evaluation know a perceiver by :class:`Perceiver` alone. The cortex
is one; :class:`~ciliary.cortex.segmenters.SegmenterPerceiver` makes one of any segmentation function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from ciliary.cortex.table import ParameterTable, Theta

#: What a perceiver may declare in ``answers`` beyond masks and labels, and what that promises.
ANSWERS: Mapping[str, str] = {
    "gradient": "masks are differentiable in every continuous parameter",
    "boundary": "percepts have `boundary`, (B, 1, H, W) in [0, 1]; of others it is where labels change",
    "energy": "percepts have `energy`, (B, C, H, W) >= 0: activity of the units that see",
    "recognition": "percepts have `m5`, what is recognised of each proto-object",
    "stages": "percepts have the fields of `ciliary.cortex.percept.Percept`",
}


class AbstractPercept(Protocol):
    """What every percept of a batch of B images has. A frozen dataclass whose tensors lead with B."""

    @property
    def masks(self) -> Tensor:
        """(B, S, H, W) soft masks, on the simplex over S."""
        ...

    @property
    def masks_coarse(self) -> Tensor:
        """(B, S, H//2, W//2): the masks averaged over 2 x 2 pixels."""
        ...

    @property
    def boundary(self) -> Tensor:
        """(B, 1, H, W) strength of boundary in [0, 1]."""
        ...

    def labels(self, size: tuple[int, int] | None = None) -> Tensor:
        """(B, H, W) int64, 0 .. number of segments - 1 in each image; resampled to ``size`` (height, width)."""
        ...

    def __getitem__(self, index: Any) -> AbstractPercept:
        """The percept of some images of the batch."""
        ...


@runtime_checkable
class Perceiver(Protocol):
    """From images and settings to a percept. Deterministic: the same image and setting, the same percept.

    Attributes:
        name: short; part of what is stored.
        table: what can be set; the columns of u. (Not ``parameters``: a torch module calls its weights that.)
        answers: of :data:`ANSWERS`, those it declares. What needs one that is not declared is left out or refused.
        inert: names of parameters that can do nothing as it is built (the weight of a cue that is not there). They
            keep their defaults: nobody searches or shows them.

    One that works elsewhere than on the CPU also has ``device``: images, theta and cues are brought there.
    """

    name: str

    @property
    def table(self) -> ParameterTable:
        """What can be set."""
        ...

    @property
    def answers(self) -> frozenset[str]:
        """Declared capabilities."""
        ...

    @property
    def inert(self) -> frozenset[str]:
        """Parameters without effect here."""
        ...

    def cues(self, image: Tensor) -> Any:
        """What depends on the images (B, 3, H, W) alone, computed once and shared by all settings.

        None, or something whose ``[index tensor]`` gives that of some images and that is a dataclass of tensors
        (so that those of several images can be joined).
        """
        ...

    def __call__(self, image: Tensor, theta: Theta, cues: Any) -> AbstractPercept:
        """Perceive B images (B, 3, H, W) in [0, 1], each at its own setting: one value a parameter and image."""
        ...


def check_perceiver(perceiver: object) -> Perceiver:
    """The perceiver, if it has all that one must have.

    Raises:
        TypeError: naming what is missing, or an answer that is unknown.
    """
    wanted = ("name", "table", "answers", "inert", "cues", "__call__")
    missing = [name for name in wanted if not hasattr(perceiver, name)]
    if missing:
        raise TypeError(
            f"{type(perceiver).__name__} is no perceiver: it lacks {', '.join(missing)}; see ciliary.cortex.perceiver, "
            "or wrap a function segment(image, **parameters) -> labels in ciliary.cortex.SegmenterPerceiver"
        )
    assert isinstance(perceiver, Perceiver)
    unknown = sorted(perceiver.answers - set(ANSWERS))
    if unknown:
        raise TypeError(f"{perceiver.name} answers {unknown}, which nobody asks; choose from {', '.join(ANSWERS)}")
    perceiver.table.check_names(perceiver.inert)
    return perceiver


def needs(perceiver: Perceiver, answer: str, what: str) -> None:
    """Raise ``ValueError`` saying that ``what`` needs a perceiver with this answer, unless it declares it."""
    if answer not in perceiver.answers:
        raise ValueError(
            f"{what} needs a perceiver that answers {answer!r} ({ANSWERS[answer]}); {perceiver.name} declares "
            f"{', '.join(sorted(perceiver.answers)) or 'none'}"
        )
