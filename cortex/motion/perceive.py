"""From frames to motion, one frame at a time: retina, magno, V1, MT and flow in a row, with what they remember."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from ciliary.cortex.motion.energy import ComponentOut, EnergySettings, motion_energy
from ciliary.cortex.motion.flow import FlowOut, FlowSettings, read_flow
from ciliary.cortex.motion.mt import PatternOut, PatternSettings, pattern_cells
from ciliary.cortex.motion.pathways import MagnoOut, ParvoOut, PathwayState, pathways_step
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
    """What is remembered from frame to frame: the filters' memory, and parvo's answer to the last frame."""

    pathways: PathwayState
    last: ParvoOut


@dataclass(frozen=True, eq=False)
class MotionOut:
    """Where, when and how fast: all that the dorsal pathway is told of motion.

    Attributes:
        magno: of the retina.
        component: of V1.
        pattern: of MT.
        flow: velocities; they are those of about ``5.5 / k`` and a frame ago (83 ms): the delay of the
            monophasic filter and of frames that are held.
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
    parvo, magno, memory = pathways_step(seen, None if state is None else state.pathways, settings.temporal)
    component = motion_energy(magno, parvo, parvo if state is None else state.last, settings.energy)
    out = MotionOut(magno, component, pattern_cells(component, settings.pattern), read_flow(component, settings.flow))
    return out, MotionState(memory, parvo)


def see_motion(
    frames: Tensor, settings: MotionSettings | None = None, *, is_last_only: bool = False
) -> list[MotionOut]:
    """Motion at every frame of sequences, or at the last alone, which is quicker.

    Args:
        frames: (B, T, 3, H, W), sRGB in [0, 1].
        settings: the defaults when None.

    Returns:
        T answers, or one.

    Raises:
        ValueError: another shape.
    """
    if frames.ndim != 5 or frames.shape[2] != 3 or not frames.shape[1]:
        raise ValueError(f"expected frames (B, T, 3, H, W), got {tuple(frames.shape)}")
    settings = settings or MotionSettings()
    theta = default_theta(len(frames), frames.device)
    state: MotionState | None = None
    answers: list[MotionOut] = []
    for i, frame in enumerate(frames.unbind(1), start=1):
        seen = retina(frame, theta)
        if is_last_only and i < frames.shape[1]:
            parvo, _, memory = pathways_step(seen, None if state is None else state.pathways, settings.temporal)
            state = MotionState(memory, parvo)
        else:
            out, state = motion_step(seen, state, settings)
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
