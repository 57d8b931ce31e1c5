"""How things are found again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemorySettings:
    """How things are found again.

    The numbers are the best of a random search of twenty settings, by IDF1 at steps of 1, 2 and 4 frames on 12
    photographs that a camera moves over (of the half of OSIE on which things are chosen).

    Attributes:
        overlap_weight: of one less the overlap of masks, where the thing was expected; weights are shares of their sum.
        place_weight: of the distance of the centres, in units of what is uncertain about them.
        code_weight: of the distance of the codes.
        size_weight: of the difference of the log extents.
        limit: cost above which two are not the same thing, in (0, 1).
        code_spread: distance of codes at which that term is a half.
        size_spread: difference of log extents, likewise.
        noise_share: error of a place, in extents.
        acceleration_sd_px: how much velocity changes in a frame.
        velocity_sd_px: how fast new things may be.
        n_lost: frames unseen after which a file is closed; >= 1.
        code_rate: share of what is seen in the remembered code and extent, in (0, 1].
        decay: of confidence a frame unseen, in [0, 1].
        moves: whether things are expected to go on as they went; without it, and without a flow, they stay.
    """

    overlap_weight: float = 1.0
    place_weight: float = 0.5
    code_weight: float = 1.0
    size_weight: float = 1.0
    limit: float = 0.6
    code_spread: float = 0.5
    size_spread: float = 0.6
    noise_share: float = 0.15
    acceleration_sd_px: float = 0.5
    velocity_sd_px: float = 8.0
    n_lost: int = 5
    code_rate: float = 0.3
    decay: float = 0.8
    moves: bool = True

    def __post_init__(self) -> None:
        names = ("overlap_weight", "place_weight", "code_weight", "size_weight")
        weights = {name: getattr(self, name) for name in names}
        if wrong := {name: value for name, value in weights.items() if not 0 <= value < float("inf")}:
            raise ValueError(f"expected weights >= 0 and finite, got {wrong}")
        if not any(weights.values()):
            raise ValueError("expected one weight above 0: with none, all things are alike")
        for name in ("code_spread", "size_spread", "noise_share", "acceleration_sd_px", "velocity_sd_px"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"expected {name} > 0 and finite, got {getattr(self, name)}")
        if not 0 < self.limit < 1:
            raise ValueError(f"expected limit in (0, 1), got {self.limit}")
        if not 0 < self.code_rate <= 1:
            raise ValueError(f"expected code_rate in (0, 1], got {self.code_rate}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"expected decay in [0, 1], got {self.decay}")
        if self.n_lost < 1:
            raise ValueError(f"expected n_lost >= 1, got {self.n_lost}")
