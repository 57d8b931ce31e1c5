"""One image at a time, from Python: what a session does of each, without files, figures or runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from ciliary.agents.episode import Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.agents.trace import Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.integration.percept import IntegratedPercept
from ciliary.cortex.options import CORTEX
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.sessions.accommodate import check
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.options import SessionOptions
from ciliary.tuning.sessions.playing import Played, play
from ciliary.tuning.sessions.settings import SessionSettings

#: Fields of a session's settings that say where its files go, and how it is run.
_OF_FILES = ({field.name for field in fields(SessionOptions)} - {"device"}) | {
    *("images", "disturbances", "save", "is_coco", "is_animated", "figures", "is_bare", "has_fluency", "storage"),
}


@dataclass(frozen=True, eq=False)
class Accommodation:
    """What came of one image.

    Attributes:
        photograph: the image as it was read, at the size that was seen.
        played: the episode: percepts before and after, and every trial.
        together: what all looks come to, also where the guard kept the defaults; None where one setting was sought.
    """

    photograph: Photograph
    played: Played
    together: IntegratedPercept | None

    @cached_property
    def labels(self) -> np.ndarray:
        """(H, W) int64, regions 0, 1, ... at the image's own size."""
        return self.labels_at(self.photograph.original_size)

    def labels_at(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) int64, the regions at ``size`` (height, width), with smooth borders."""
        return np.asarray(self.after.labels(size)[0].cpu().numpy())

    @property
    def boundary(self) -> np.ndarray:
        """(h, w) float32 in [0, 1], how much of a boundary there is, at the size that was seen."""
        return np.asarray(self.after.boundary[0, 0].detach().cpu().numpy())

    @property
    def uncertainty(self) -> np.ndarray | None:
        """(h, w) float32 in [0, 1], where the looks disagree; None where one setting was sought."""
        return None if self.together is None else np.asarray(self.together.uncertainty[0, 0].cpu().numpy())

    @property
    def before(self) -> AbstractPercept | None:
        """The percept at the defaults, a batch of one."""
        return self.played.before

    @property
    def after(self) -> AbstractPercept:
        """The percept of all looks together, or at the setting applied; a batch of one."""
        return self.played.after

    @property
    def trace(self) -> Trace:
        """Every trial, what was chosen, and why."""
        return self.played.trace

    @property
    def settings(self) -> dict[str, float]:
        """Physical values by name: of the setting applied, or of the look that the others agree with most."""
        return {name: float(value) for name, value in self.trace.theta_chosen.items()}

    @property
    def is_changed(self) -> bool:
        """Whether the defaults were left; if not, the guard took the gain for noise, or there was none."""
        return self.played.is_changed

    def __repr__(self) -> str:
        height, width = self.photograph.original_size
        what = "together" if self.trace.is_integrated else "the best" if self.is_changed else "the defaults kept"
        n = len(np.unique(self.labels))
        return (
            f"<Accommodation of {self.photograph.name}, {width} x {height} px: {n} segments; "
            f"{len(self.trace.u)} looks, {what}>"
        )

    def _repr_html_(self) -> str:
        from ciliary.cortex.notebook import percept_html

        return percept_html(self.after) + self.trace._repr_html_()


class Accommodator:
    """A perceiver that accommodates to each image: built once, called with each.

    Args:
        perceiver: who sees: ``cortex``, ``slic`` and the other names of ``--perceiver``, ``module:object``, or your own
            function ``segment(image, **parameters) -> label map``, or perceiver.
        options: any option of ``ciliary accommodate`` that shapes what is perceived, by the name of its field in
            :class:`~ciliary.tuning.sessions.settings.SessionSettings`: ``answer="best"``, ``controller="tpe"``,
            ``n_trials=32``, ``size_px=256``, ``inherited="none"``, ``changes={"n_regions": 8}``, ``device="cpu"``, ...

    Attributes:
        settings: of the session whose episodes these are.

    Raises:
        TypeError: an option that there is not, or that says where a session's files go.
        ValueError, KeyError, FileNotFoundError, ProviderUnavailable: what an option says is not there or not possible.
    """

    def __init__(self, perceiver: Any = CORTEX, **options: Any) -> None:
        known = {field.name for field in fields(SessionSettings)} - _OF_FILES
        if wrong := set(options) - known:
            raise TypeError(f"no options {sorted(wrong)}; there are {', '.join(sorted({'perceiver', *known}))}")
        own = None if isinstance(perceiver, str) else perceiver
        if own is None:
            self.settings = check(SessionSettings(perceiver=perceiver, **options))
            self._env = make_env(self.settings)
        else:
            self.settings = SessionSettings(**options)
            if self.settings.plays_what_comes_along:
                raise ValueError(f"what {self.settings.controller} plays was learned with the cortex; choose a search")
            make = make_glancing if self.settings.is_integrated else make_perceiver
            self._env = make_env(self.settings, perceiver=make(own, device=self.settings.device))
        self._controller = make_controller(self.settings)

    @single_precision
    def __call__(
        self,
        image: Any,
        *,
        disturbance: str | None = None,
        on_batch: Callable[[Progress], object] | None = None,
    ) -> Accommodation:
        """Accommodate to one image, as ``ciliary accommodate`` would.

        Args:
            image: a path, the name of a bundled photograph, an array (H, W) or (H, W, 3) (uint8, or floats in [0, 1]),
                a PIL image, a tensor (3, H, W).
            disturbance: such as ``fog:2``; None shows it as it is.
            on_batch: called after each batch of looks or trials; may raise to stop.

        Raises:
            UnreadableImage: naming what is wrong with it.
        """
        photograph = as_photograph(image, long_side_px=self.settings.size_px)
        settings = self.settings
        played = play(
            self._env,
            self._controller,
            photograph,
            disturbance,
            seed=settings.seed,
            n_trials=settings.n_trials,
            guard=Guard() if settings.use_guard else None,
            looking=Looking() if settings.is_integrated else None,
            on_batch=on_batch,
        )
        looks = self._env.looks
        return Accommodation(photograph, played, to_device(looks.percept, "cpu") if len(looks) > 1 else None)

    @property
    def parameters(self) -> Mapping[str, float]:
        """Name -> default, of what can be set with ``changes={...}``."""
        return {row.name: row.default for row in self._env.evaluator.perceiver.table}


def accommodate(
    image: Any, perceiver: Any = CORTEX, *, disturbance: str | None = None, **options: Any
) -> Accommodation:
    """Accommodate to one image; with many, build an :class:`Accommodator` once and call it with each.

    Args:
        image, disturbance: as :meth:`Accommodator.__call__` takes them.
        perceiver, options: as :class:`Accommodator` takes them.

    Returns:
        ``labels`` at the image's own size, ``boundary``, ``uncertainty``, percepts ``before`` and ``after``, the
        ``settings`` and the whole ``trace``.
    """
    return Accommodator(perceiver, **options)(image, disturbance=disturbance)
