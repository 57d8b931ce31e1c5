"""Who sees on the page: one perceiver for all tabs. Images are read, perceived and accommodated to here."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ciliary.agents.episode import Progress
from ciliary.agents.guard import Guard
from ciliary.agents.looking import Looking
from ciliary.agents.trace import Trace
from ciliary.cortex.device import to_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.model import Cortex
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.cortex.staged import StagedCortex
from ciliary.cortex.table import Theta
from ciliary.envs.data.reading import Photograph, UnreadableImage, read_image
from ciliary.tuning.sessions.animation import animate_episode
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.panels import count_recommended
from ciliary.tuning.sessions.playing import Played, play
from ciliary.tuning.sessions.settings import SessionSettings

SHOWN_PX = 576  # long side of pictures
GLANCE = "glance"  # stage of the parameters of how an image is looked at


@dataclass(frozen=True, eq=False)
class Scene:
    """An image ready to be looked at many times.

    Attributes:
        photograph: as the perceiver sees it.
        picture: (H, W, 3) in [0, 1], long side :data:`SHOWN_PX`: as people do.
        plain: what is perceived at values of the first perceiver's parameters, which keeps what does not change: the
            cues of the image, and of a cortex each stage that would answer as before.
        called: what a command line is told to find it.
        first: what is perceived at the defaults; None while nobody has looked.
    """

    photograph: Photograph
    picture: np.ndarray
    plain: Callable[[Theta], AbstractPercept]
    called: str
    first: AbstractPercept | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of pictures."""
        return self.picture.shape[0], self.picture.shape[1]


@dataclass(frozen=True, eq=False)
class Episode:
    """What is left of an accommodation.

    Attributes:
        played: trace, and percepts before and after.
        together: what all looks come to, also where the guard kept the defaults; None where nobody kept the looks.
        film: the episode as GIF; None if nothing moved.
        start: where it began, values by name, if not at the defaults.
    """

    played: Played
    together: AbstractPercept | None
    film: bytes | None
    start: Mapping[str, float] | None = None

    @property
    def trace(self) -> Trace:
        """Every trial."""
        return self.played.trace


class Eye:
    """A perceiver, and the episodes of a session's settings.

    Args:
        settings: who sees, and who accommodates it.

    Attributes:
        table: its parameters, of which those in ``inert`` do nothing.
        defaults: physical values by name from which each image starts: the table's, with the session's changes.

    Raises:
        ValueError, KeyError, TypeError, FileNotFoundError, ProviderUnavailable: as the makers of environment and
            controller.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        env = make_env(settings)
        make_controller(settings)  # what is wrong with it is better known now
        self.perceiver: Perceiver = env.evaluator.perceiver
        self.table, self.inert = self.perceiver.table, self.perceiver.inert
        self.table.check_names(settings.changes)
        self.defaults = {row.name: row.default for row in self.table} | {
            name: self.table.check_value(name, value) for name, value in settings.changes.items()
        }

    def open(self, item: Input, shown: Photograph | None = None) -> Scene:
        """Read an input; ``UnreadableImage`` says what is wrong with it.

        Args:
            item: the input, at the size that the perceiver sees.
            shown: the same image, larger, for people; None: what the perceiver sees, enlarged.
        """
        photograph = item.load()
        return self._scene(photograph, shown, str(photograph.path or photograph.name))

    def open_upload(self, data: bytes, name: str) -> Scene:
        """Read what a browser sent, by the project's reader: pictures only, and none above its limits.

        Raises:
            UnreadableImage: naming the file as its owner calls it.
        """
        with tempfile.TemporaryDirectory(prefix="ciliary-") as folder:
            path = Path(folder) / "upload"
            path.write_bytes(data)
            try:
                photograph, shown = read_image(path, self.settings.size_px), read_image(path, SHOWN_PX)
            except UnreadableImage as error:
                raise UnreadableImage(name, error.reason) from None
        return self._scene(replace(photograph, name=Path(name).stem or "image", path=None), shown, Path(name).name)

    @single_precision
    @torch.no_grad()
    def perceive(self, scene: Scene, values: Mapping[str, float]) -> AbstractPercept:
        """The percept at physical values by name, a batch of one, on the CPU: bit by bit that of an episode there."""
        theta = self.table.from_unit(self.table.default_unit(1, **values))
        if all(values[row.name] == row.default for row in self.table if row.stage == GLANCE):
            seen = scene.plain({name: theta[name] for name in self._first.table.names})
        else:  # in other light it is another image
            seen = self._own()(self._placed(scene.photograph), theta, None)
        percept: AbstractPercept = to_device(seen, "cpu")
        return percept

    def idle(self, values: Mapping[str, float]) -> frozenset[str]:
        """Parameters that do nothing at these values: no perceiver uses them, or not the one that looks."""
        who = round(values.get("perceiver", 0))
        perceiver = self.perceiver
        return perceiver.perceivers[who].inert if isinstance(perceiver, GlancingPerceiver) else perceiver.inert

    @single_precision
    def accommodate(
        self, scene: Scene, on_batch: Callable[[Progress], object], start: Mapping[str, float] | None = None
    ) -> Episode:
        """Play an episode, as a session would.

        Args:
            scene: the image.
            on_batch: called after each batch of trials; may raise to stop.
            start: values by name in place of the defaults, as a session with these ``changes``: the episode begins and
                the guard falls back there, and the looks that are recommended move along.
        """
        settings = self.starting_at(start)
        env, controller = make_env(settings, perceiver=self._own()), make_controller(settings)
        played = play(
            env,
            controller,
            scene.photograph,
            seed=settings.seed,
            n_trials=settings.n_trials,
            guard=Guard() if settings.use_guard else None,
            looking=Looking() if settings.is_integrated else None,
            on_batch=on_batch,
        )
        together = to_device(env.looks.percept, "cpu") if len(env.looks) > 1 else None
        film = None if controller.env_options else self._film(env, played, by_steps=controller.use_steps)
        return Episode(played, together, film, start)

    def starting_at(self, values: Mapping[str, float] | None) -> SessionSettings:
        """The session that begins at these values by name; None: its own."""
        return self.settings if values is None else replace(self.settings, changes=self.changed(values))

    def changed(self, values: Mapping[str, float]) -> dict[str, float]:
        """Those of the values that are not the table's defaults: what ``--set`` is to be told."""
        return {row.name: values[row.name] for row in self.table if values[row.name] != row.default}

    def _film(self, env: Any, played: Played, *, by_steps: bool) -> bytes | None:
        trace = played.trace
        with tempfile.TemporaryDirectory(prefix="ciliary-") as folder:
            path = animate_episode(
                env,
                trace,
                Path(folder) / "episode.gif",
                title=f"{env.photograph.name} · {trace.controller}",
                by_steps=by_steps,
                n_recommended=count_recommended(trace.u, env.starts),
            )
            return None if path is None else path.read_bytes()

    def _scene(self, photograph: Photograph, shown: Photograph | None, called: str) -> Scene:
        first, image = _without_memory(self._first), self._placed(photograph)
        if isinstance(first, Cortex):
            plain: Callable[[Theta], AbstractPercept] = StagedCortex(first, image)
        else:
            plain = partial(_see, first, image, first.cues(image))
        scene = Scene(photograph, enlarged((shown or photograph).image), plain, called)
        return replace(scene, first=self.perceive(scene, self.defaults))

    @property
    def _first(self) -> Perceiver:
        return self.perceiver.perceivers[0] if isinstance(self.perceiver, GlancingPerceiver) else self.perceiver

    def _placed(self, photograph: Photograph) -> Tensor:
        device, image = getattr(self.perceiver, "device", None), photograph.image[None]
        return image if device is None else image.to(device)

    def _own(self) -> Perceiver:
        """The perceiver with a memory of its own, for one call or episode: threads share nothing but weights."""
        if isinstance(self.perceiver, GlancingPerceiver):
            return GlancingPerceiver([_without_memory(one) for one in self.perceiver.perceivers])
        return _without_memory(self.perceiver)


def _without_memory(perceiver: Perceiver) -> Perceiver:
    return perceiver if isinstance(perceiver, nn.Module) else copy.copy(perceiver)


def _see(perceiver: Perceiver, image: Tensor, cues: Any, theta: Theta) -> AbstractPercept:
    return perceiver(image, theta, cues)


def enlarged(image: Tensor) -> np.ndarray:
    """Image (3, h, w) in [0, 1] to (H, W, 3) with a long side of :data:`SHOWN_PX`, bicubic."""
    pixels = (image.detach().permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    height, width = pixels.shape[:2]
    scale = SHOWN_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / 255
