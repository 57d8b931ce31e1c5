"""All that ``ciliary look`` can draw of one look. Imports nothing heavy: ``--help`` names them.

To add a technique: a module with ``draw(seen) -> Figure``, and its entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ciliary.tuning.inspect.seen import Seen


@dataclass(frozen=True)
class Technique:
    """A way of looking into a cortex.

    Attributes:
        name: of its file, its anchor on the page and ``--only``.
        title: its heading.
        words: what there is to see, and what it cannot tell.
        draw: its figure; calls ``seen.tick(done, total)`` as it goes on, if it takes steps.
        is_quick: whether ``--quick`` draws it.
    """

    name: str
    title: str
    words: str
    draw: Callable[[Seen], Figure]
    is_quick: bool


def chosen(names: Sequence[str] = (), *, is_quick: bool = False) -> tuple[Technique, ...]:
    """The techniques of these names in their order; without names, all, or those that are quick."""
    return tuple(one for one in TECHNIQUES if (one.name in names if names else one.is_quick or not is_quick))


def _drawn_of_look(path: str, seen: Seen) -> Figure:
    figure: Figure = _function(path)(seen.look)
    return figure


def _drawn(path: str, seen: Seen) -> Figure:
    figure: Figure = _function(path)(seen)
    return figure


def _function(path: str) -> Callable[..., Figure]:
    module, _, name = path.partition(":")
    found: Callable[..., Figure] = getattr(importlib.import_module(f"ciliary.{module}"), name)
    return found


def _stage(name: str, title: str, words: str, path: str) -> Technique:
    """A figure of a look alone, by ``module:function``."""
    return Technique(name, title, words, partial(_drawn_of_look, path), is_quick=True)


def _technique(name: str, title: str, words: str, path: str, *, is_quick: bool) -> Technique:
    """A figure of all that is :class:`~ciliary.tuning.inspect.seen.Seen`, by ``module:function``."""
    return Technique(name, title, words, partial(_drawn, path), is_quick)


TECHNIQUES: tuple[Technique, ...] = (
    _stage(
        "retina",
        "Retina",
        "Light in three kinds of cones, adapted to the scene; opponent channels; ON and OFF cells, which answer to "
        "what is lighter or darker than its surround.",
        "cortex.plot.early:draw_retina",
    ),
    _stage(
        "filters",
        "M1: filters",
        "The log-Gabor filters at this setting. Each answers to contours of one orientation (below the last row, in "
        "degrees from the horizontal, clockwise) and one wavelength.",
        "cortex.plot.early:draw_filters",
    ),
    _stage(
        "m1",
        "M1: perception",
        "Energy is how strongly the filters of one scale answer, whatever the orientation. The boundary joins energy"
        " and rupture of likeness; S1 is what looks alike here, wherever it is.",
        "cortex.plot.early:draw_m1",
    ),
    _stage(
        "m2",
        "M2: grouping",
        "Contours bridge gaps where both sides support it; rings mark where contours end. The barrier is what "
        "diffusion cannot pass; S2 is S1 after it.",
        "cortex.plot.early:draw_m2",
    ),
    _stage(
        "m3",
        "M3: invariance",
        "The patches are the atoms of all that follows; slots gather them. Texture is shown by its three principal "
        "components: places of like colour have like texture.",
        "cortex.plot.late:draw_m3",
    ),
    _stage(
        "m4",
        "M4: proto-objects",
        "Slots merge up to the threshold (dashed). Objectness weighs contrast with what is around, closure of the "
        "contour and inner variance.",
        "cortex.plot.late:draw_m4",
    ),
    _stage(
        "m5",
        "M5: recognition",
        "What M5 is told of each proto-object is read in the object's own frame, two standard deviations to each "
        "side. Completion guesses the shape from colour, texture, place and strokes alone.",
        "cortex.plot.recognition:draw_m5",
    ),
    _technique(
        "occlusion",
        "Occlusion",
        "Where hiding a part makes each target fall most. The whole percept is made anew each time, so hiding a thing "
        "also changes what is seen around it; what is smaller than the window cannot be told apart.",
        "tuning.inspect.attribution_figures:draw_hidden",
        is_quick=True,
    ),
    _technique(
        "saliency",
        "Saliency",
        "Which pixels each target would change with. A map that looks the same below, where weights were drawn by lot, "
        "shows the image and not the cortex; guided backpropagation and deconvnets are known for that.",
        "tuning.inspect.attribution_figures:draw_gradients",
        is_quick=False,
    ),
    _technique(
        "faithfulness",
        "Deletion and insertion",
        "Pixels are blurred, or brought back, in the order in which a map names them. A map that knows what counts "
        "makes the first target fall early, and rise early; one that is no better than edges or chance does not.",
        "tuning.inspect.attribution_figures:draw_deletion",
        is_quick=False,
    ),
    Technique(
        "sensitivity",
        "Which parameter moves which stage",
        "How much each stage's answer changes, of its own size, when a parameter moves a twentieth of its range to "
        "both sides, here and at this setting.",
        partial(_drawn_of_look, "cortex.plot.sensitivity:draw_sensitivity"),
        is_quick=False,
    ),
    _technique(
        "preferred",
        "What units like most",
        "Images that climb a unit's answer from grey and noise. V1's units get their filters back; what M2 and M5 like "
        "is what else would please them, which no photograph need look like.",
        "tuning.inspect.made_figures:draw_preferred",
        is_quick=False,
    ),
    _technique(
        "dreams",
        "Dreams",
        "The image with more of what a stage answers to: what it sees everywhere it is let.",
        "tuning.inspect.made_figures:draw_dreams",
        is_quick=False,
    ),
    _technique(
        "metamers",
        "What each stage throws away",
        "Other images with the same code. What they have in common with this one is what the stage kept; the smaller "
        "the code's error beside that at the start, the more that can be trusted.",
        "tuning.inspect.made_figures:draw_metamers",
        is_quick=False,
    ),
    _technique(
        "texture",
        "Texture",
        "What the early stages answer, meant over all places: made anew from noise, and lent to the image by two "
        "photographs of textures.",
        "tuning.inspect.made_figures:draw_texture",
        is_quick=False,
    ),
    _technique(
        "worst",
        "The worst of small changes",
        "Changes hardly to be seen that disturb the percept most, and each target. That they exist says that the "
        "percept's edges lie near, not that such a change will ever be met: beside it, noise of the same size.",
        "tuning.inspect.made_figures:draw_worst",
        is_quick=False,
    ),
)
NAMES: tuple[str, ...] = tuple(technique.name for technique in TECHNIQUES)
