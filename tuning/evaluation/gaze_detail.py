"""Detail where it matters: what a few glances leave known where people look, policy by policy, camera by camera.

To see everything a little, one coarse picture is better than any gaze; a gaze buys detail where it is wanted. So places
count as people look at them: one person's path is a policy like any other, and the others' fixations are the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from ciliary.agents.eye.gaze import even_grid
from ciliary.cortex.device import device_of
from ciliary.cortex.dorsal.expectation import ExpectationNet, unresolved
from ciliary.cortex.dorsal.itti_koch import itti_koch
from ciliary.cortex.dorsal.looking import GREY, whole_priority
from ciliary.cortex.dorsal.priority import centre_prior, normalised
from ciliary.cortex.dorsal.scan import scan_path
from ciliary.cortex.dorsal.search import CENTRE_EXPONENT, search
from ciliary.cortex.eye.fovea import field_deg, take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice, Lattice, n_samples, uniform_camera
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.cortex.integration.glances import perceive_mosaic
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.gaze import Fixations
from ciliary.envs.metrics.gaze import fixation_density
from ciliary.envs.metrics.gaze_baselines import PEOPLE_SIGMA_DEG, scaled
from ciliary.envs.metrics.regions import weighted_covering
from ciliary.envs.metrics.scanpath import ScanMatch

#: Rows, floor to ceiling: name -> what the eye knew.
STAY, RANDOM, GRID, PERSON = "stay at the centre", "random", "even grid", "one person's fixations"
ITTI, WINNERS, WHOLE, IDEAL = (
    "Itti-Koch of the sharp photograph",
    "priority of the sharp photograph, winners and inhibition",
    "priority of the sharp photograph, expected gain",
    "the others' fixations, expected gain (ideal)",
)
OWN, CAMERA_ONE, CAMERA_ALL = "own sight, expected gain", "uniform camera, one glance's samples", "uniform camera, all"


@dataclass(frozen=True)
class DetailSettings:
    """How the exam is sat.

    Attributes:
        n_glances: of every policy, the first at the centre.
        seed: of the person that is drawn for each photograph, and of the random gazes.
        centre_exponent: of the centre prior of priority and expectation.
        nets: row -> the expectation of an eye by its own sight.
    """

    n_glances: int = 8
    seed: int = 0
    centre_exponent: float = CENTRE_EXPONENT
    nets: Mapping[str, ExpectationNet | None] = field(default_factory=lambda: {OWN: None})


@dataclass(frozen=True)
class Detail:
    """One policy at one photograph, all in [0, 1], higher better.

    Attributes:
        acuity: gained where people look, of what a fovea gives.
        covering: of the percept of the sharp photograph, where people look.
        scanmatch: of its path and the others', as many fixations each; None of a camera.
    """

    acuity: float
    covering: float
    scanmatch: float | None


@torch.no_grad()
def sit(
    image: Tensor, fixations: Fixations, number: int, perceiver: Perceiver, settings: DetailSettings,
    *, photograph: tuple[int, int], px_per_deg: float,
) -> dict[str, Detail]:  # fmt: skip
    """All policies at one photograph.

    Args:
        image: (1, 3, H, W) sRGB, as it is looked at.
        fixations: of two people or more, in pixels of the file.
        number: of the photograph, for what is drawn.
        perceiver: whose percept of the mosaic is held beside its percept of the sharp photograph.
        settings: of the exam.
        photograph: (height, width) of the file.
        px_per_deg: of ``image``.

    Returns:
        Row -> what it came to.
    """
    size = (image.shape[-2], image.shape[-1])
    person, weight, paths = sent(image, fixations, number, settings, photograph=photograph, px_per_deg=px_per_deg)
    light, lattice = srgb_to_linear(image), FoveatedLattice()
    mosaics = {name: remembered(light, lattice, path, px_per_deg) for name, path in paths.items()}
    for name, n in ((CAMERA_ONE, 1), (CAMERA_ALL, settings.n_glances)):
        camera = uniform_camera(n * n_samples(lattice), field_deg(size, px_per_deg))
        mosaics[name] = remembered(light, camera, torch.zeros(1, 1, 2), px_per_deg)
    theirs = [fixations.of(one) for one in fixations.subjects if one != person]
    orders = scan_matches(paths, theirs, photograph=photograph, field=field_deg(size, px_per_deg))
    image = image.to(device_of(perceiver))
    sharp = labels_of(perceiver(image, perceiver.table.default_theta(1), perceiver.cues(image)))
    found = {}
    for name, mosaic in mosaics.items():
        gained = 1 - unresolved(mosaic, lattice)[0, 0].numpy()
        labels = labels_of(perceive_mosaic(perceiver, mosaic))
        acuity = float((gained * weight).sum() / weight.sum())
        found[name] = Detail(acuity, weighted_covering(labels, sharp, weight), orders.get(name))
    return found


def sent(
    image: Tensor, fixations: Fixations, number: int, settings: DetailSettings,
    *, photograph: tuple[int, int], px_per_deg: float, only: Sequence[str] | None = None,
) -> tuple[int, np.ndarray, dict[str, Tensor]]:  # fmt: skip
    """The person that is drawn, the weights (H, W) of the others' fixations, and the policies' gazes (1, N, 2).

    Arguments as for :func:`sit`; ``only`` these policies, all when None.
    """
    size = (image.shape[-2], image.shape[-1])
    rng = np.random.default_rng((settings.seed, number))
    person = int(rng.choice(fixations.subjects))
    y, x = scaled(fixations.without(person), photograph=photograph, size=size)
    weight = fixation_density(y, x, size=size, sigma=PEOPLE_SIGMA_DEG * px_per_deg)
    ways = _paths(image, fixations.of(person), weight, rng, settings, photograph=photograph, px_per_deg=px_per_deg)
    return person, weight, {name: way() for name, way in ways.items() if only is None or name in only}


def scan_matches(
    paths: Mapping[str, Tensor], people: Sequence[Fixations], *, photograph: tuple[int, int], field: tuple[float, float]
) -> dict[str, float]:
    """ScanMatch of each path (1, N, 2) but its start with people's first N - 1 fixations: the mean over people."""
    match, found = ScanMatch(), {}
    n = max(path.shape[1] for path in paths.values()) - 1
    theirs = []
    for one in people:
        order = np.argsort(one.order)[:n]
        theirs.append(match.sequence(one.y_px[order], one.x_px[order], size=photograph))
    for name, path in paths.items():
        ours = path[0, 1:] if path.shape[1] > 1 else path[0].expand(n, -1)
        y, x = (
            (at.numpy() + side / 2).clip(0, side * (1 - 1e-9)) for at, side in zip(ours.unbind(1), field, strict=True)
        )
        found[name] = float(match.pairs([match.sequence(y, x, size=field)] * len(theirs), theirs).mean())
    return found


def remembered(light: Tensor, lattice: Lattice, path_deg: Tensor, px_per_deg: float) -> Mosaic:
    """The mosaic of glances at (1, N, 2), at the photograph's own resolution."""
    return list(growing(light, lattice, path_deg, px_per_deg))[-1]


def growing(light: Tensor, lattice: Lattice, path_deg: Tensor, px_per_deg: float) -> Iterator[Mosaic]:
    """The mosaic after each of these glances."""
    mosaic = blank_mosaic(1, (light.shape[-2], light.shape[-1]), px_per_deg, ground=GREY)
    for gaze in path_deg.unbind(1):
        mosaic = add_glance(mosaic, take_glance(light, lattice, gaze, px_per_deg))
        yield mosaic


def _paths(
    image: Tensor, person: Fixations, weight: np.ndarray, rng: np.random.Generator, settings: DetailSettings,
    *, photograph: tuple[int, int], px_per_deg: float,
) -> dict[str, Callable[[], Tensor]]:  # fmt: skip
    """What sends each policy's gazes, (1, N, 2) in degrees."""
    size, n = (image.shape[-2], image.shape[-1]), settings.n_glances
    half = np.array(field_deg(size, px_per_deg)) / 2
    y, x = (at[np.argsort(person.order)][: n - 1] for at in scaled(person, photograph=photograph, size=size))
    theirs = np.stack([y, x], 1) / px_per_deg - half
    anywhere = rng.uniform(-1, 1, (n - 1, 2)) * half
    light = srgb_to_linear(image)

    @cache
    def whole() -> Tensor:
        _, priority = whole_priority(image, px_per_deg=px_per_deg)
        return normalised(
            priority * centre_prior((priority.shape[-2], priority.shape[-1]), exponent=settings.centre_exponent)
        )

    def greedy(density: Tensor | None, net: ExpectationNet | None = None) -> Tensor:
        return search(
            light, px_per_deg=px_per_deg, n_glances=n, density=density, net=net,
            centre_exponent=settings.centre_exponent,
        )  # fmt: skip

    def winners(map_: Tensor) -> Tensor:
        cells = torch.tensor([map_.shape[-2], map_.shape[-1]])
        per_deg = map_.shape[-1] / (2 * float(half[1]))
        at = torch.stack(scan_path(map_, n_fixations=n - 1, cells_per_deg=per_deg), -1)
        return from_centre(((at + 0.5) / cells * 2 - 1).numpy()[0] * half)

    def from_centre(gazes: np.ndarray) -> Tensor:
        return torch.from_numpy(np.concatenate([np.zeros((1, 2)), gazes]))[None]

    return {
        STAY: lambda: torch.zeros(1, 1, 2, dtype=torch.float64),
        RANDOM: lambda: from_centre(anywhere),
        GRID: lambda: from_centre(even_grid(n - 1) * half),
        ITTI: lambda: winners(itti_koch(image)),
        WINNERS: lambda: winners(whole()),
        WHOLE: lambda: greedy(whole()),
        **{name: partial(greedy, None, net) for name, net in settings.nets.items()},
        PERSON: lambda: from_centre(theirs),
        IDEAL: lambda: greedy(torch.from_numpy(weight)[None, None].float()),
    }


def labels_of(percept: AbstractPercept) -> np.ndarray:
    """(H, W) of a percept of one image."""
    return np.asarray(percept.labels()[0].cpu().numpy())
