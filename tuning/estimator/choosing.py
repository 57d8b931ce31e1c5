"""What fitting chooses: on labelled images, looks by what they come to together; without labels, those recommended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ciliary.cortex.device import device_of
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.data.reading import Photograph
from ciliary.envs.looks import look_at
from ciliary.envs.metrics.regions import People
from ciliary.envs.objective.chosen_looks import ChosenLooks
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.objective.panel import draw_panel
from ciliary.tuning.calibration.looks import SeenCase, choose_looks, scores_of
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.estimator.inputs import at_image

_PEOPLE_PX = 128  # people are asked at about so many pixels of the short side: it is a race, not a result


def people_of(maps: Sequence[np.ndarray]) -> People:
    """People's maps (H, W), thinned to what a choice needs."""
    stride = max(1, min(maps[0].shape) // _PEOPLE_PX)
    return People.of([one[::stride, ::stride] for one in maps])


def given_looks(perceiver: Perceiver, asked: ChosenLooks | str | Path, n_looks: int | None) -> ChosenLooks:
    """Looks that were chosen before, or the first so many of them, of this perceiver's parameters.

    Raises:
        FileNotFoundError, ValueError: no file of looks, or those of another perceiver.
    """
    looks = asked if isinstance(asked, ChosenLooks) else ChosenLooks.load(asked)
    one, other = (name.removesuffix(" glances") for name in (looks.perceiver, perceiver.name))
    if one != other:
        raise ValueError(f"expected looks that were chosen for {other}, got those of {one}; choose them anew")
    u = looks.around(perceiver.table)[:n_looks]
    return ChosenLooks(u, perceiver.table.names, perceiver.name, looks.about)


def recommended_looks(perceiver: Perceiver, n_looks: int | None) -> ChosenLooks:
    """Those that come along for a perceiver; where none were chosen, settings around its defaults, which are first.

    Args:
        perceiver: who looks.
        n_looks: the first so many; None: all.
    """
    objective = LooksObjective()
    objective.check(perceiver)
    assert objective.starts is not None
    about = {"chosen": "without labels"}
    return ChosenLooks(objective.starts[:n_looks], perceiver.table.names, perceiver.name, about)


def chosen_looks(
    perceiver: Perceiver,
    photographs: Sequence[Photograph],
    people: Sequence[People],
    *,
    n_looks: int,
    n_candidates: int,
    metric: str,
    seed: int,
    is_quiet: bool,
) -> tuple[ChosenLooks, np.ndarray]:
    """The one setting that does best on labelled images, then the looks that add most to it, one after the other.

    Args:
        perceiver: who looks.
        photographs: N images.
        people: N times what people drew.
        n_looks: how many, 1 .. ``n_candidates``.
        n_candidates: settings there are to choose from, around the perceiver's defaults, these among them.
        metric: of ``METRICS``, that is to be high.
        seed: of the order of images in the races.
        is_quiet: show no progress.

    Returns:
        The looks, and the mean score (n_looks,) of the first 1, 2, ... of them on these images.
    """
    u = draw_panel(perceiver, n_candidates)[:n_candidates]
    order = np.random.default_rng(seed).permutation(len(photographs))
    seen: list[SeenCase] = []
    with Bar(len(order), title="looking", unit="images", is_quiet=is_quiet) as bar:
        for i in order:
            with at_image(int(i)):
                image = photographs[i].image[None].to(device_of(perceiver))
                looks = look_at(perceiver, image, torch.as_tensor(u), perceiver.cues(image))
            seen.append(SeenCase.of(looks, people[i]))
            bar.advance()
    scores = scores_of(seen, metric)
    with Bar(n_looks, title="choosing looks", is_quiet=is_quiet) as bar:
        first = int(scores(range(len(seen)), [[k] for k in range(len(u))]).mean(0).argmax())
        bar.move(1)
        choice = choose_looks(
            scores,
            n_cases=len(seen),
            n_candidates=len(u),
            n_looks=n_looks,
            first=first,
            on_chosen=lambda so_far: bar.move(len(so_far.order), note=f"{metric} {so_far.scores[-1]:.3f}"),
        )
    about = {
        "n_images": len(seen),
        "n_candidates": len(u),
        "chosen": list(choice.order),
        metric: [round(score, 4) for score in choice.scores],
    }
    return ChosenLooks(u[list(choice.order)], perceiver.table.names, perceiver.name, about), np.array(choice.scores)
