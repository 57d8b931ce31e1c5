"""One image at a time, from Python: what a session does of each, without files, figures or runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ciliary.agents.episode import Progress
from ciliary.agents.guard import Guard
from ciliary.cortex.floats import single_precision
from ciliary.cortex.options import CORTEX
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.envs.data.images import as_photograph
from ciliary.tuning.sessions.accommodation import Accommodation, accommodated
from ciliary.tuning.sessions.check import check
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.options import SessionOptions
from ciliary.tuning.sessions.settings import SessionSettings

#: Fields of a session's settings that say where its files go, and how it is run.
_OF_FILES = ({field.name for field in fields(SessionOptions)} - {"device"}) | {
    *("images", "disturbances", "save", "is_coco", "is_animated", "figures", "is_bare", "has_fluency", "storage"),
}


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
        return accommodated(
            self._env,
            self._controller,
            photograph,
            disturbance,
            seed=settings.seed,
            n_trials=settings.n_trials,
            guard=Guard() if settings.use_guard else None,
            on_batch=on_batch,
        )

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
        ``labels``, ``boundary``, ``uncertainty`` at the image's own size, percepts ``before`` and ``after``, the
        ``settings`` and the whole ``trace``.
    """
    return Accommodator(perceiver, **options)(image, disturbance=disturbance)
