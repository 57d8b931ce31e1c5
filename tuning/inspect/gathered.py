"""What is drawn of all images together: what units prefer, and what looks alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ciliary.cortex.parameters import Theta
from ciliary.cortex.plot.answers import draw_answers, with_patches
from ciliary.cortex.plot.experts import CutOut, draw_experts, with_preferred
from ciliary.cortex.plot.look import Look, look
from ciliary.tuning.inspect.embedding import Thing, draw_things, things_of
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.sessions.figures import write_figure


@dataclass
class Gathered:
    """Looks, one after another; only what is to be drawn is kept of them.

    Attributes:
        settings: what is asked for.
        accommodated: settings of images by name, of a session; images without one are seen at the look's own.
    """

    settings: LookSettings
    accommodated: dict[str, Theta] = field(default_factory=dict)
    n_images: int = 0
    patches: list[list[CutOut]] = field(default_factory=list)
    experts: list[list[CutOut]] = field(default_factory=list)
    before: list[Thing] = field(default_factory=list)
    after: list[Thing] = field(default_factory=list)

    def add(self, one: Look, *, key: str) -> None:
        """Take in one look of an image that a session knows as ``key``."""
        self.n_images += 1
        if self.settings.has_experts:
            self.patches = with_patches(self.patches, one)
            self.experts = with_preferred(self.experts, one)
        if not self.settings.has_embedding:
            return
        theta = self.accommodated.get(key)
        if theta is not None:
            self.before += things_of(one)
            self.after += things_of(look(one.cortex, one.image, theta, name=one.name))
        elif self.settings.changes:
            self.before += things_of(look(one.cortex, one.image, name=one.name))
            self.after += things_of(one)
        else:
            self.before += things_of(one)

    def write(self) -> Iterator[tuple[str, Path]]:
        """Draw it all: what each figure is called, and where it is.

        Raises:
            ValueError: there is too little to draw.
        """
        out = self.settings.out
        if self.patches:
            yield "patches", write_figure(draw_answers(self.patches, n_images=self.n_images), out / "patches.png")
        if self.experts:
            yield "experts", write_figure(draw_experts(self.experts, n_images=self.n_images), out / "experts.png")
        if self.settings.has_embedding and self.n_images:
            figure = draw_things(self.before, self.after, seed=self.settings.seed, n_images=self.n_images)
            yield "embedding", write_figure(figure, out / "embedding.png")
