"""What can be asked of this room by name, for command lines: no torch is imported here."""

from __future__ import annotations

from pathlib import Path

from ciliary.cortex.loading import did_you_mean, names_object

#: Objectives by name that need no calibration.
UNCALIBRATED: tuple[str, ...] = ("raw", "recognition", "worst_case", "texture", "agreement", "joint", "looks")
#: Kinds of disturbance, in the order of :data:`ciliary.envs.data.disturbances.DISTURBANCES`.
KINDS: tuple[str, ...] = (
    *("gaussian_noise", "defocus_blur", "motion_blur", "low_light", "low_contrast", "fog", "colour_cast", "jpeg"),
)
MAX_SEVERITY = 5.0


def kind_and_severity(text: str) -> tuple[str, float]:
    """``"fog:3"`` -> ``("fog", 3.0)``, ``"none"`` -> ``("none", 0.0)``.

    Raises:
        ValueError: naming the legal kinds, or the legal range, when the text is anything else.
    """
    name, _, severity = text.strip().partition(":")
    if name == "none" and not severity:
        return "none", 0.0
    if name not in KINDS:
        raise ValueError(
            f"unknown disturbance {text!r}{did_you_mean(name, KINDS)}; write KIND:SEVERITY with KIND from "
            f"{', '.join(KINDS)}, or none"
        )
    try:
        value = float(severity)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SEVERITY:
        raise ValueError(f"{text!r} needs a severity from 0 to {MAX_SEVERITY:g}, for example {name}:3")
    return name, value


def wrong_objective(name: str) -> str | None:
    """Why no objective is called so, as the end of a sentence; None of a name, a path or a form that may be one."""
    known = (*UNCALIBRATED, "calibrated")
    if name in known or names_object(name) or Path(name).suffix or Path(name).exists():
        return None
    return (
        f"knows no {name!r}{did_you_mean(name, known)}; choose from {', '.join(known)}, a file of a calibration or of "
        "looks, or your own as module:object"
    )
