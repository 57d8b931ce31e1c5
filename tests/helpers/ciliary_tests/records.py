"""Records of episodes, made by hand."""

from __future__ import annotations

import numpy as np

from ciliary.cortex.parameters import PARAMETERS


def record_of(i=0, *, image=None, **changes):
    """A record with what is remembered of it."""
    u = np.full((3, len(PARAMETERS)), 0.1 * i)
    made = {
        "key": f"key {i}",
        "status": "FINISHED",
        "image": image or f"image {i}",
        "fingerprint": f"print {i}",
        "disturbance": "none",
        "objective": "raw",
        "parameters": dict.fromkeys(PARAMETERS.names, 1.0),
        "i_chosen": 2,
        "before": {"total": 0.5},
        "after": {"total": 0.2},
        "history": {"u": u.tolist()},
        "statistics": [0.1 * i, 0.2],
    }
    return made | changes
