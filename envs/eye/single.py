"""The environment of an eye: where to look, how near to focus, how wide to open."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ciliary.cortex.eye.parameters import eye_table
from ciliary.cortex.floats import single_precision
from ciliary.cortex.table import ParameterTable
from ciliary.envs.dynamics import Rules
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.render import EyeRenderer
from ciliary.envs.eye.terms import STATISTICS
from ciliary.envs.eye.world import EyeWorld, Obs, observation_space
from ciliary.envs.single import check_render_mode


class EyeEnv(gym.Env[Any, np.ndarray]):
    """Move an eye so that it sees: gaze, lens and pupil, without labels.

    ## Description
    An episode is one scene with depth. Every step is one look: a saccade, a change of the lens, a change of the pupil,
    and a glance of 36 x 72 samples, dense at the gaze. ``Ciliary/Gaze-v0`` frees the gaze, ``Ciliary/Focus-v0`` the
    lens, ``Ciliary/Eye-v0`` all four muscles; the others stay where the episode starts.

    ## Action space
    ``Box(-1, 1, (n,), float32)``, an entry for each *free* muscle, in this order; larger values are clipped.

    | muscle | action | |
    |---|---|---|
    | ``gaze_y_deg`` | absolute | -1 the scene's top, 1 its bottom |
    | ``gaze_x_deg`` | absolute | -1 left, 1 right |
    | ``focus_dpt`` | change | +-2 dpt a step, in 0 .. 10 dpt |
    | ``pupil_mm`` | change | diameter x 2 ** action, in 2 .. 8 mm |

    ## Observation space
    A flat ``Dict``; arrays are fresh at every step. Never in it: depth, and what was not looked at.

    | key | shape | dtype | range | meaning |
    |---|---|---|---|---|
    | ``glance`` | (3, 36, 72) | uint8 | 0 .. 255 | sRGB samples, rings from the gaze outwards by angles clockwise |
    | ``priority`` | (1, 36, 48) | uint8 | 0 .. 255 | where looking would pay, over the field |
    | ``eye`` | (4,) | float32 | [-1, 1] | all four muscles over their ranges, pupil on a log scale |
    | ``statistics`` | (21,) | float32 | [-1, 1] | ``ciliary.envs.eye.terms.STATISTICS`` names them |
    | ``time`` | (1,) | float32 | [0, 1] | looks since the reset / ``horizon`` |

    ## Reward
    Previous total - new total - ``step_cost`` - ``degree_cost`` x degrees of the saccade. The total is the sum of the
    terms of the free muscles (:func:`ciliary.envs.eye.terms.measure`), clipped to [-2, 2]; all are measured without
    labels on what was seen. Where there is nothing to see no action is paid.

    ## Start of an episode
    At the centre, the lens at its resting 1 dpt, the pupil 4 mm wide. Scene and noise are drawn from the seeded
    generator unless the reset options name them.

    | reset option | value |
    |---|---|
    | ``scene`` | an :class:`ciliary.envs.data.active.scene.EyeScene`, or a name or number of the source's |
    | ``gaze`` | (y, x) in [-1, 1], halves of the field |
    | ``focus_dpt``, ``pupil_mm`` | where lens and pupil start |
    | ``noise_seed`` | int: these photons |

    ## End of an episode
    Terminated when the total changed by less than ``tolerance`` in ``patience`` steps in a row. Truncated by the
    ``TimeLimit`` that ``gymnasium.make`` adds (16 steps).

    ## Info
    ``terms`` (name -> float), ``u`` (n,) where the free muscles stand in [-1, 1], ``eye`` (name -> physical value),
    ``n_looks`` and ``n_samples`` (the reset's look is the first; revisits count), ``frame`` (of a film, at which the
    glance was taken; 0 of a scene at rest), ``px_per_deg`` (of the window at the gaze), ``scene``, ``noise_seed``; and
    ``hidden``, the truth, for evaluators only: ``object_dpt`` at the gaze, ``focus_error_dpt`` (positive: focused too
    near), ``disc_deg``. With ``things=True`` also ``things``, a line for each of 48 slots: ``identity`` (-1 in an empty
    one), ``place_deg`` (48, 2), ``extent_deg``, ``age``, ``unseen``, ``confidence``.

    ## Films
    ``scenes="moving"`` makes films of a patch before a ground up, ``scenes=FOLDER, film=True`` reads one, and a scene
    may bring its own (:class:`ciliary.envs.data.active.scene.SceneFilm`). A look lasts a fixation of .25 s or
    ``frames_per_look``, and its glance is of the last frame of it. What the eye sees move meanwhile, by the samples of
    that glance, ages what it remembers, so that it pays to look there again, and draws ``priority``. After its last
    frame a film stands still; a scene at rest is exactly what it would be without.

    ## Arguments
    Those of :class:`ciliary.envs.eye.config.EyeConfig`, by keyword, and ``render_mode``: ``rgb_array``, (480, 640, 3)
    uint8: scene with the path of the gaze, what the window sees, priority, mosaic; or None.

    ## Vector form
    ``gymnasium.make_vec("Ciliary/Focus-v0", num_envs=8)`` gives :class:`ciliary.envs.eye.vector.EyeVectorEnv`.

    ## Version history
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    @single_precision
    def __init__(self, config: EyeConfig | None = None, *, render_mode: str | None = None, **options: Any) -> None:
        if config is not None and options:
            raise TypeError(f"expected a config or its fields by keyword, got a config and {', '.join(options)}")
        self.config = EyeConfig.of(options) if config is None else config
        check_render_mode(render_mode, self.metadata)
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (len(self.config.muscles),), np.float32)
        self.observation_space = observation_space(self.config)
        self.world = EyeWorld(self.config, 1)
        self._renderer: EyeRenderer | None = None

    @property
    def rules(self) -> Rules:
        """Costs and convergence."""
        return self.config.rules

    @property
    def parameters(self) -> ParameterTable:
        """The free muscles over their ranges: the columns of ``u``. Known after a reset, gaze ranges over the scene."""
        self._check_begun()
        height, width = (2 * half for half in self.world.half_field_deg)
        return ParameterTable(tuple(row for row in eye_table((height, width)) if row.name in self.config.muscles))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the free muscles."""
        return self.config.muscles

    @property
    def u(self) -> np.ndarray:
        """Where the free muscles stand, a copy, (n,) in [-1, 1]."""
        self._check_begun()
        return np.asarray(self.world.u[0, self.world.is_free])

    @property
    def observed(self) -> dict[str, tuple[str, ...]]:
        """Names of the entries of the observation's ``statistics``."""
        return {"statistics": STATISTICS}

    @property
    def history(self) -> list[dict[str, float]]:
        """The terms after the reset and after every step of the episode."""
        return [dict(terms) for terms in self.world.history[0]]

    def action_towards(self, u: np.ndarray) -> np.ndarray:
        """The action (n,) that brings the free muscles to ``u`` (n,) in [-1, 1], or as near as one step can."""
        self._check_begun()
        return np.asarray(self.world.action_towards(np.asarray(u, dtype=np.float64)[None])[0])

    def gradient(self) -> np.ndarray:
        """(n,) derivative of the total by ``u`` where the eye is, told by the simulator, which no eye has at hand.

        See :func:`ciliary.envs.eye.slope.total_slope`.
        """
        self._check_begun()
        return np.asarray(self.world.gradient()[0])

    @single_precision
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode and take its first look. See the class for the options."""
        super().reset(seed=seed)
        self.world.begin([0], [self.np_random], options or {})
        return self._observe(), self.world.info(0)

    @single_precision
    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Move, look, and be paid the fall of the total.

        Raises:
            ValueError: an action of another shape, or not finite.
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        self._check_begun()
        paid, is_over = self.world.step(np.asarray(action)[None], np.zeros(1, dtype=bool))
        # truncation=False: the step budget belongs to the TimeLimit wrapper that make() adds
        return self._observe(), float(paid[0]), bool(is_over[0]), False, self.world.info(0)

    @single_precision
    def render(self) -> np.ndarray | None:
        """A frame (480, 640, 3) uint8, in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        self._check_begun()
        self._renderer = self._renderer or EyeRenderer()
        return self._renderer.draw(self.world, 0)

    def _observe(self) -> Obs:
        return {name: np.array(values[0]) for name, values in self.world.observe().items()}

    def _check_begun(self) -> None:
        if self.world.sighting is None:
            raise gym.error.ResetNeeded("expected reset() before this; call env.reset(seed=...) first")
