"""One episode of a muscle before one scene, every look kept to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.agents import ControllerBase, Trace, make_controller, run_episode
from ciliary.agents.controllers.search import SAMPLERS
from ciliary.agents.episode import Progress
from ciliary.cortex.dorsal.looking import look_around
from ciliary.cortex.eye.optics import retinal_image
from ciliary.cortex.eye.parameters import FOCUS_DPT, PUPIL_MM
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.single import EyeEnv
from ciliary.tuning.focus.inputs import LENS, muscle_of
from ciliary.tuning.focus.settings import FocusSettings

#: Who moves what, where nothing else is asked for. Real stacks know neither dioptres nor the distances of colours.
BEST = {LENS: "lens-reflex", "stack": "lens-hill", "pupil_mm": "pupil-hill"}
TERM = {LENS: "focus", "pupil_mm": "pupil"}
_PATH_SIDE_PX = 320
_CURVE_POINTS = 41
_COARSE = 8  # about the window, which is all that lens and pupil are moved by


@dataclass(frozen=True, eq=False)
class Watched:
    """An episode with all that was seen.

    Attributes:
        scene: what was looked at.
        muscle: what moved: ``focus_dpt`` or ``pupil_mm``.
        gaze: (y, x) in [-1, 1], halves of the field.
        trace: of the episode.
        setting: (T,) where the muscle stood at each look.
        term: (T,) what the look was worth, lower is better.
        windows: (T, 3, W, W) linear light about the gaze.
        object_dpt: nearness of what is looked at; nan where nobody knows.
        curve: (2, K) settings and the term there without noise, which the eye has not seen.
    """

    scene: EyeScene
    muscle: str
    gaze: tuple[float, float]
    trace: Trace
    setting: np.ndarray
    term: np.ndarray
    windows: Tensor
    object_dpt: float
    curve: np.ndarray

    @property
    def error_dpt(self) -> float:
        """How far from the truth the lens is in the end; nan where nobody knows, or the pupil moved."""
        return abs(float(self.setting[self.trace.i_chosen]) - self.object_dpt) if self.muscle == LENS else np.nan

    @property
    def gaze_px(self) -> tuple[float, float]:
        """(y, x) of the gaze in the scene."""
        y, x = ((one + 1) / 2 * side - 0.5 for one, side in zip(self.gaze, self.scene.size_px, strict=True))
        return y, x


def watch(
    scene: EyeScene, settings: FocusSettings, *, on_look: Callable[[Progress], object] = lambda _: None
) -> Watched:
    """Play the episode that the settings ask for.

    Raises:
        ValueError: an unknown controller, or one of another muscle.
    """
    muscle = muscle_of(scene)
    gaze = settings.place or gaze_by_priority(scene)
    options = {"scene": scene, "gaze": gaze, "noise_seed": settings.seed, **resting(scene, muscle)}
    env = env_of(scene, muscle, has_noise=settings.has_noise, device=settings.device)
    windows: list[Tensor] = []

    def keep(progress: Progress) -> None:
        assert env.world.sighting is not None
        windows.append(env.world.sighting.window[0].clone())
        on_look(progress)

    controller = controller_of(scene, muscle, settings.controller)
    trace = run_episode(env, controller, settings.seed, options, settings.n_trials, on_batch=keep)
    object_dpt = float(env.world.info(0)["hidden"]["object_dpt"])
    return Watched(
        scene,
        muscle,
        gaze,
        trace,
        trace.theta[muscle],
        trace.terms[TERM[muscle]],
        torch.stack(windows),
        object_dpt,
        curve_of(scene, muscle, options),
    )


def controller_of(scene: EyeScene, muscle: str, name: str) -> ControllerBase:
    """The controller of that name, or the best for the scene; searches go one look at a time."""
    name = name_of(scene, muscle, name)
    return make_controller(name, population=1) if name in ("search", *SAMPLERS) else make_controller(name)


def name_of(scene: EyeScene, muscle: str, name: str) -> str:
    """The name asked for, or that of the best for the scene."""
    return name or BEST["stack" if scene.frames is not None and muscle == LENS else muscle]


def env_of(
    scene: EyeScene, muscle: str, *, has_noise: bool, receptor: str | None = None, device: str = "cpu"
) -> EyeEnv:
    """An eye with that one muscle; it ends no episode itself. Frames have their camera's photons already.

    Light of more than a display's white, and exposures, are a camera's: so are the receptors they fall on, unless it is
    said otherwise.
    """
    is_noisy = has_noise and (scene.frames is None or muscle != LENS)
    config = EyeConfig(
        muscles=(muscle,),
        scenes=scene,
        size_px=None,
        photon_noise=is_noisy,
        receptor=receptor or ("cones" if muscle == LENS else "sensor"),
        patience=0,
        device=device,
        coarse=_COARSE,
        mosaic_coarse=_COARSE,
    )
    return EyeEnv(config)


def resting(scene: EyeScene, muscle: str) -> dict[str, float]:
    """Where an episode begins: a stack in its middle; a lens far away while the pupil moves; else the eye at rest."""
    if muscle != LENS:
        return {LENS: FOCUS_DPT[0]}
    return {} if scene.frames is None else {LENS: float(scene.frames.marks[len(scene.frames) // 2])}


def gaze_by_priority(scene: EyeScene) -> tuple[float, float]:
    """The most interesting place of the whole picture, (y, x) in [-1, 1]: the second fixation of a path over it."""
    picture = linear_to_srgb(scene.light).clamp(0, 1)
    factor = min(_PATH_SIDE_PX / max(scene.size_px), 1.0)
    size = [max(round(side * factor), 32) for side in scene.size_px]
    picture = F.interpolate(picture[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    look = look_around(picture.clamp(0, 1), n_fixations=2)
    y, x = float(look.y_px[1]), float(look.x_px[1])
    return 2 * (y + 0.5) / size[0] - 1, 2 * (x + 0.5) / size[1] - 1


def curve_of(scene: EyeScene, muscle: str, options: dict[str, object]) -> np.ndarray:
    """(2, K): settings over the muscle's range, and the term of a look there without noise."""
    env = env_of(scene, muscle, has_noise=False)
    if scene.frames is not None:
        places = scene.frames.marks.numpy().astype(float)
    elif muscle == LENS:
        places = np.linspace(*FOCUS_DPT, _CURVE_POINTS)
    else:
        places = np.geomspace(*PUPIL_MM, _CURVE_POINTS // 2)
    values = [env.reset(options={**options, muscle: float(p)})[1]["terms"][TERM[muscle]] for p in places]
    return np.stack([places, values])


class Retina:
    """Whole retinal images of one scene, for figures: its layers are cut once."""

    def __init__(self, watched: Watched) -> None:
        self._watched, self._layers = watched, None if watched.scene.frames is not None else watched.scene.layers()

    def at(self, setting: float) -> Tensor:
        """(3, H, W) linear light where the muscle stands there, without noise."""
        scene, muscle = self._watched.scene, self._watched.muscle
        if scene.frames is not None:
            return scene.frames.nearest(setting)
        assert self._layers is not None
        focus, pupil = (setting, 4.0) if muscle == LENS else (FOCUS_DPT[0], setting)
        return retinal_image(
            self._layers,
            focus_dpt=torch.tensor([focus]),
            pupil_mm=torch.tensor([pupil]),
            px_per_deg=scene.px_per_deg,
        )[0]
