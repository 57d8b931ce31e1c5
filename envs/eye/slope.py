"""Which way lens and pupil would have to move: the gradient of the total through the optics.

It looks through the simulator at the scene itself, where an eye would have to move to know. So it is no observation: a
controller that is told it (``use_gradients``) is a ceiling of local search.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ciliary.cortex.table import ParameterTable
from ciliary.envs.eye import terms as worth
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.frames import Eyes
from ciliary.envs.eye.sight import Sight


def total_slope(sight: Sight, table: ParameterTable, u: np.ndarray, config: EyeConfig) -> tuple[np.ndarray, np.ndarray]:
    """What lens and pupil bring to the total at settings without photons' noise, and its gradient.

    Args:
        sight: B eyes before their scenes.
        table: of all four muscles over their ranges.
        u: (B, 4) where the eyes are, in [-1, 1].
        config: of the environment; the terms of its free muscles count.

    Returns:
        (B,), and (B, 4) by u: 0 for the gaze, whose window is cut at whole pixels.

    Raises:
        ValueError: a scene of frames, between which nothing is known.
    """
    if sight.is_framed:
        raise ValueError("frames of a stack have no gradient: nothing is known between them; choose another controller")
    quiet = replace(config, photon_noise=False)
    with torch.enable_grad():
        unit = torch.tensor(u, dtype=torch.float64).requires_grad_(True)
        eye = table.from_unit(unit)
        gaze = torch.stack([eye["gaze_y_deg"], eye["gaze_x_deg"]], 1).detach()
        sighting = sight.look(Eyes(gaze, eye["focus_dpt"], eye["pupil_mm"]), None)
        terms = worth.weigh(worth.look_contrast(sighting, quiet), worth.look_response(sighting, quiet), quiet)
        total = sum((terms[name] for name in worth.counted(config) if name in terms), torch.zeros(len(unit)))
        if not total.requires_grad:  # only the gaze is free
            return total.numpy().astype(np.float64), np.zeros_like(u)
        (gradient,) = torch.autograd.grad(total.sum(), unit)
    return total.detach().double().numpy(), gradient.numpy()
