"""A ramp from 0 to 1 whose gradient does not vanish at whole counts."""

from __future__ import annotations

import torch
from torch import Tensor


def ramp(x: Tensor) -> Tensor:
    """``x`` clipped to [0, 1], with gradient 1 on (0, 1].

    ``clamp`` has no gradient at its bounds in recent versions of torch: a count at a whole number, as the defaults are,
    would have none. Half-open, so that at a whole number one unit answers, not two.
    """
    return torch.where(x <= 0, 0.0, torch.where(x > 1, 1.0, x))
