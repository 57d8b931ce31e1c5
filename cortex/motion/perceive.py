"""From frames to motion, one frame at a time: retina, magno, V1, MT and flow in a row, with what they remember."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from ciliary.cortex.motion.energy import ComponentOut, EnergySettings, motion_energy
from ciliary.cortex.motion.flow import FlowOut, FlowSettings, read_flow
from ciliary.cortex.motion.mt import PatternOut, PatternSettings, pattern_cells
from ciliary.cortex.motion.pathways import MagnoOut, MagnoState, magno_step
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.percept import RetinaOut
from ciliary.cortex.stages.retina import retina


@dataclass(frozen=True)
class MotionSettings:
    """Of all steps."""

    temporal: TemporalSettings = field(default_factory=TemporalSettings)
    energy: EnergySettings = field(default_factory=EnergySettings)
    pattern: PatternSettings = field(default_factory=PatternSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)


@dataclass(frozen=True, eq=False)
class MotionState:
    """What is remembered from frame to frame: the filters' memory, and the magno answer to the last frame."""

    magno: MagnoState
    last: MagnoOut


@dataclass(frozen=True, eq=False)
class MotionOut:
    """Where, when and how fast: all that the dorsal pathway is told of motion.

    Attributes:
        magno: of the retina.
        component: of V1.
        pattern: of MT.
        flow: velocities; they are those of about ``7 / k`` ago (64 ms), the delay of the slow filter.
    """

    magno: MagnoOut
    component: ComponentOut
    pattern: PatternOut
    flow: FlowOut


def motion_step(
    seen: RetinaOut, state: MotionState | None = None, settings: MotionSettings | None = None
) -> tuple[MotionOut, MotionState]:
    """One frame more; the first, without a state, is taken to have stood there always."""
    settings = settings or MotionSettings()
    magno, memory = magno_step(seen, None if state is None else state.magno, settings.temporal)
    component = motion_energy(magno, magno if state is None else state.last, settings.energy)
    out = MotionOut(magno, component, pattern_cells(component, settings.pattern), read_flow(component, settings.flow))
    return out, MotionState(memory, magno)


def see_motion(frames: Tensor, settings: MotionSettings | None = None) -> list[MotionOut]:
    """Motion at every frame of sequences.

    Args:
        frames: (B, T, 3, H, W), sRGB in [0, 1].
        settings: the defaults when None.

    Returns:
        T answers.

    Raises:
        ValueError: another shape.
    """
    if frames.ndim != 5 or frames.shape[2] != 3 or not frames.shape[1]:
        raise ValueError(f"expected frames (B, T, 3, H, W), got {tuple(frames.shape)}")
    theta, state, answers = default_theta(len(frames), frames.device), None, []
    for frame in frames.unbind(1):
        out, state = motion_step(retina(frame, theta), state, settings)
        answers.append(out)
    return answers


class Motion(nn.Module):
    """:func:`motion_step` with its settings."""

    def __init__(self, settings: MotionSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or MotionSettings()

    def forward(self, seen: RetinaOut, state: MotionState | None = None) -> tuple[MotionOut, MotionState]:
        """See :func:`motion_step`."""
        return motion_step(seen, state, self.settings)
