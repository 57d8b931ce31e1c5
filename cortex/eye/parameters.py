"""The eye's own parameters: where it looks, how near its lens is set, how wide its pupil is.

A second table of the same kind as the cortex's. It is not part of that one: the eye's muscles are moved by an action
at each look, the cortex's parameters by accommodation.
"""

from __future__ import annotations

from ciliary.cortex.table import Parameter, ParameterTable

#: Field (height, width) of the table that comes ready-made: 800 x 600 px at 24 px a degree (OSIE, Xu et al. 2014).
FIELD_DEG = (25.0, 100 / 3)
#: Width of the field where nothing says otherwise, as OSIE's photographs were shown.
WIDTH_DEG = FIELD_DEG[1]
#: Range of the lens. 10 dpt are a child's accommodation, 0 is infinity (Duane 1912).
FOCUS_DPT = (0.0, 10.0)
#: Range of the human pupil (Watson & Yellott 2012).
PUPIL_MM = (2.0, 8.0)


def eye_table(field_deg: tuple[float, float] = FIELD_DEG) -> ParameterTable:
    """The eye's four parameters for a scene of that size.

    Args:
        field_deg: (height, width) of what can be looked at; gaze is counted from its centre, y down and x right, and
            reaches half of it either way.

    Raises:
        ValueError: unless both sides are > 0.
    """
    height_deg, width_deg = field_deg
    if not (height_deg > 0 and width_deg > 0):
        raise ValueError(f"expected a field (height, width) > 0 degrees, got {field_deg}")
    y, x = height_deg / 2, width_deg / 2
    return ParameterTable((
        Parameter("gaze_y_deg", "eye", -y, y, 0.0, "deg", "linear", "ours", "Gaze below the centre."),
        Parameter("gaze_x_deg", "eye", -x, x, 0.0, "deg", "linear", "ours", "Gaze to the right of the centre."),
        Parameter("focus_dpt", "eye", *FOCUS_DPT, 1.0, "dpt", "linear", "Leibowitz & Owens 1978", "Nearness in focus."),
        Parameter("pupil_mm", "eye", *PUPIL_MM, 4.0, "mm", "log", "Watson & Yellott 2012", "Diameter of the pupil."),
    ))  # fmt: skip


EYE = eye_table()
