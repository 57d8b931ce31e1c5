"""Homeostasis: whatever moves an activity is turned until the activity is what it should be (Turrigiano 2008).

Integral feedback: each step adds gain x error to a setting. Where the activity answers a change of the setting by
``response``, the share 1 + gain x response of the error is left after every step: with gain = -1 / (response tau) the
error falls to 1/e in tau steps. Setting and activity may be a synaptic gain and a unit's rate, or a cortex's parameter
and a statistic of its percept.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from torch import Tensor

A = TypeVar("A", Tensor, np.ndarray)


def correction(
    activity: A, target: A | float, *, gain: A | float, spread: A | float = 1.0, dead_zone: float = 0.0
) -> A:
    """What to add to a setting, of the shape of ``activity``.

    Args:
        activity: tensor or array, what is there.
        target: what there should be.
        gain: change of the setting per spread of error (activity less target), negative where more of the setting
            means more activity.
        spread: how far the activity usually lies from its target, > 0.
        dead_zone: errors up to so many spreads are left alone, and larger ones reduced by it, >= 0.
    """
    error = (activity - target) / spread
    asked: A = gain * (error - error.clip(-dead_zone, dead_zone))
    return asked


def gain_for(tau_steps: float, response: float) -> float:
    """The gain that brings an error to 1/e of itself in ``tau_steps``: (exp(-1 / tau) - 1) / response.

    Args:
        tau_steps: > 0.
        response: change of the activity per change of the setting, not 0.
    """
    return math.expm1(-1 / tau_steps) / response
