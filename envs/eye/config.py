"""What an eye's environment is made of: one frozen dataclass, shared by the single and the vector form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ciliary.cortex.device import choose_device
from ciliary.cortex.eye.contrast import LEAST_WINDOW_PX
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.parameters import EYE, FOCUS_DPT, PUPIL_MM, WIDTH_DEG
from ciliary.cortex.eye.receptor import RECEPTORS
from ciliary.cortex.options import EYE_DEVICES
from ciliary.envs.config import check_names
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.active.sequences import FRAME_MS
from ciliary.envs.dynamics import Rules

#: Scenes by name, that are no folder.
KINDS = ("synthetic", "photographs", "mixed", "moving")
#: The eye's muscles, in the order of the columns of every action.
MUSCLES = EYE.names
#: Largest change of the lens in one step. Accommodation runs at up to about 10 dpt/s, a look takes 0.25 s (Campbell &
#: Westheimer 1960).
MAX_FOCUS_STEP_DPT = 2.0
#: Largest factor of the pupil's diameter in one step, either way. Real pupils are slower.
MAX_PUPIL_FACTOR = 2.0


@dataclass(frozen=True)
class EyeConfig:
    """Everything about an eye's environment but how it is drawn; all optional.

    Attributes:
        muscles: those that are free, of :data:`MUSCLES`; the others stay where the episode starts.
        scenes: what is looked at: ``synthetic`` (planes, slants and dots with known answers), ``photographs`` (bundled,
            flat), ``mixed`` (either), ``moving`` (films of a patch before a ground), the path of a folder with depth
            (:mod:`ciliary.envs.data.depth`), with a focus stack and its ``focus.txt``
            (:mod:`ciliary.envs.data.active.stacks`) or of photographs, or scenes.
        film: the folder is a film, or holds folders that each are one (:mod:`ciliary.envs.data.active.sequences` says
            how): every look sees a later frame. Nothing in a folder tells a film from photographs.
        frame_ms: between two frames of a film that is read from a folder.
        frames_per_look: of a film, that pass in one look; None: as many as in a fixation of .25 s.
        sees_motion: what moves while the gaze rests ages the memory (:mod:`ciliary.envs.eye.memory`).
        motion_draws: what moves otherwise than the whole is worth looking at.
        in_depth: photographs are not flat and far: see :func:`ciliary.envs.data.active.pictures.photograph_in_depth`.
        nearness: of a folder with depth, see :func:`ciliary.envs.data.active.scene.depth_scene`.
        size_px: (height, width) to which scenes are brought (shrunk until they just cover it, never enlarged, and
            cropped about their centre). None keeps their size.
        width_deg: width of the field of scenes that are not given as objects.
        photon_noise: light is known from the photons caught.
        white_cd_m2: luminance of light 1; None: the scene's own.
        receptor: what light falls on: ``cones``, or the ``sensor`` of a camera whose white is the display's
            (:mod:`ciliary.cortex.eye.receptor`).
        rods: take over where a scene's mean luminance is under 5 cd/m2 (:mod:`ciliary.cortex.eye.rods`).
        lattice: of a glance.
        window_px: side of the square at the gaze that is imaged at the scene's resolution, even, >= 32.
        n_layers: of that square, see :func:`ciliary.cortex.eye.layers.split_layers`.
        coarse: what is outside the square is imaged so many times coarser, and without colour fringes.
        mosaic_coarse: the memory of what was seen has pixels so many times larger than the scene's.
        things: what is seen is taken apart into things, which keep their names over looks
            (:mod:`ciliary.envs.eye.things`): in ``info``, and in frames. Slow: a percept a look.
        expectation: file of ``ciliary train expectation``, that tells where looking would pay; None: what comes along.
        centre_exponent: of the prior for the centre that multiplies it, >= 0.
        device: where scenes, optics, memory and expectation lie: ``cpu``, ``cuda``, ``auto`` (cuda where there is one)
            or torch's own; photons are drawn on the CPU, actions and observations are NumPy's, whatever it is.
        focus_dpt, pupil_mm: where an episode starts.
        degree_cost: subtracted from the reward for every degree of a saccade, >= 0.
        horizon: looks that the observation's ``time`` counts to; it is 1 from then on.
        step_cost, tolerance, patience: see :class:`ciliary.envs.dynamics.Rules`.
    """

    muscles: tuple[str, ...] = MUSCLES
    scenes: str | Path | EyeScene | Sequence[EyeScene] = "mixed"
    film: bool = False
    frame_ms: float = FRAME_MS
    frames_per_look: int | None = None
    sees_motion: bool = True
    motion_draws: bool = True
    in_depth: bool = False
    nearness: float = 5.0
    size_px: tuple[int, int] | None = (240, 320)
    width_deg: float = WIDTH_DEG
    photon_noise: bool = True
    white_cd_m2: float | None = None
    receptor: str = "cones"
    rods: bool = False
    lattice: FoveatedLattice = field(default_factory=FoveatedLattice)
    window_px: int = 64
    n_layers: int = 8
    coarse: int = 4
    mosaic_coarse: int = 2
    things: bool = False
    device: str | torch.device = "cpu"
    expectation: str | Path | None = None
    centre_exponent: float = 0.5
    focus_dpt: float = EYE["focus_dpt"].default
    pupil_mm: float = EYE["pupil_mm"].default
    degree_cost: float = 0.001
    horizon: int = 16
    step_cost: float = 0.005
    tolerance: float = 0.002
    patience: int = 3

    def __post_init__(self) -> None:
        muscles = (self.muscles,) if isinstance(self.muscles, str) else tuple(self.muscles)
        if not muscles or set(muscles) - set(MUSCLES) or len(set(muscles)) != len(muscles):
            raise ValueError(f"expected muscles of {', '.join(MUSCLES)}, each once, at least one, got {self.muscles!r}")
        object.__setattr__(self, "muscles", tuple(name for name in MUSCLES if name in muscles))
        self.check_eye(self.focus_dpt, self.pupil_mm)
        if self.window_px < LEAST_WINDOW_PX or self.window_px % 2:
            raise ValueError(f"expected window_px even and >= {LEAST_WINDOW_PX}, got {self.window_px}")
        if min(self.n_layers, self.coarse, self.mosaic_coarse, self.horizon) < 1:
            raise ValueError(
                "expected n_layers, coarse, mosaic_coarse and horizon >= 1, got "
                f"{self.n_layers}, {self.coarse}, {self.mosaic_coarse}, {self.horizon}"
            )
        if tuple(self.lattice.shape) != (36, 72):
            raise ValueError(f"expected a lattice of 36 rings of 72 (observations have that size), got {self.lattice}")
        if self.size_px is not None and min(self.size_px) < self.window_px // 2:
            raise ValueError(
                f"expected size_px of at least half of window_px, {self.window_px // 2}, got {self.size_px}"
            )
        if not self.nearness > 0 or not self.width_deg > 0 or self.degree_cost < 0:
            raise ValueError(
                "expected nearness and width_deg > 0 and degree_cost >= 0, got "
                f"{self.nearness}, {self.width_deg}, {self.degree_cost}"
            )
        if not self.frame_ms > 0 or (self.frames_per_look is not None and self.frames_per_look < 1):
            raise ValueError(
                f"expected frame_ms > 0 and frames_per_look >= 1 or None, got {self.frame_ms}, {self.frames_per_look}"
            )
        if self.film and (not isinstance(self.scenes, (str, Path)) or self.scenes in KINDS):
            raise ValueError(f"film=True is for a folder of frames; got scenes={self.scenes!r} (moving needs no film)")
        if not isinstance(self.device, torch.device) and self.device not in EYE_DEVICES:
            raise ValueError(f"expected device of {', '.join(EYE_DEVICES)}, got {self.device!r}")
        if self.centre_exponent < 0:
            raise ValueError(f"expected centre_exponent >= 0, got {self.centre_exponent}")
        if self.white_cd_m2 is not None and not self.white_cd_m2 > 0:
            raise ValueError(f"expected white_cd_m2 > 0 or None, got {self.white_cd_m2}")
        if self.receptor not in RECEPTORS:
            raise ValueError(f"expected receptor {' or '.join(RECEPTORS)}, got {self.receptor!r}")
        _ = self.rules  # checked now

    def check_eye(self, focus_dpt: float, pupil_mm: float) -> None:
        """ValueError unless lens and pupil can be so: a pupil that cannot move is at most as wide as ``pupil_mm``."""
        if not FOCUS_DPT[0] <= focus_dpt <= FOCUS_DPT[1]:
            raise ValueError(f"expected focus_dpt in {FOCUS_DPT[0]:g}..{FOCUS_DPT[1]:g}, got {focus_dpt}")
        if not PUPIL_MM[0] <= pupil_mm <= self.widest_mm:
            raise ValueError(
                f"expected pupil_mm in {PUPIL_MM[0]:g}..{self.widest_mm:g} (wider: free the muscle, or give "
                f"EyeConfig a wider one), got {pupil_mm}"
            )

    @property
    def lies_on(self) -> torch.device:
        """The device.

        Raises:
            ValueError: there is no such device here.
        """
        return self.device if isinstance(self.device, torch.device) else choose_device(self.device, EYE_DEVICES)

    @property
    def widest_mm(self) -> float:
        """The widest pupil of an episode: windows have room for its discs."""
        is_fixed = "pupil_mm" not in self.muscles and PUPIL_MM[0] <= self.pupil_mm <= PUPIL_MM[1]
        return self.pupil_mm if is_fixed else PUPIL_MM[1]

    @property
    def rules(self) -> Rules:
        """Costs and convergence. The action is not theirs: gaze goes where it says, lens and pupil change."""
        return Rules(step_cost=self.step_cost, tolerance=self.tolerance, patience=self.patience)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> EyeConfig:
        """The configuration of keyword arguments; ``TypeError`` listing the legal ones if one is unknown."""
        return cls(**check_names(cls, options))
