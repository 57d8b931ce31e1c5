"""Maps of photographs that people looked at: computed once a photograph, all in one grid of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.dorsal.conspicuity import Conspicuity, ConspicuitySettings, blurred, conspicuity
from ciliary.cortex.dorsal.itti_koch import itti_koch
from ciliary.cortex.dorsal.looking import Trunk
from ciliary.cortex.dorsal.mixture import GazeMixture, attraction, mixture_maps
from ciliary.cortex.dorsal.priority import PrioritySettings, priority
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.gaze import GazeSet, is_to_choose
from ciliary.envs.data.reading import fit_size

#: Half -> which photographs it is of.
WHICH = {"tell": "of the half on which nothing was chosen", "choose": "of the half that things are chosen on"}
CLASSIC = "Itti-Koch"
PRIORITY = "priority"
#: Row -> priority with one ingredient left out, or put in.
ABLATIONS = {
    f"{PRIORITY} with energy": PrioritySettings(energy_weight=1.0),
    f"{PRIORITY} without rarity": PrioritySettings(rarity_weight=0.0),
    f"{PRIORITY} without ends": PrioritySettings(ends_weight=0.0),
    f"{PRIORITY} without colour": PrioritySettings(colour_weight=0.0),
    f"{PRIORITY} without exponent": PrioritySettings(exponent=1.0),
}
_ITTI_SCALE = 2  # its pyramid is of eight halves: it is given twice the pixels


@dataclass(frozen=True)
class Shown:
    """How all photographs of a set were shown.

    Attributes:
        photograph: (height, width) in px of the files.
        px_per_deg: of the files.
        size_px: (height, width) that they are looked at.
        how: of the maps.
        device: where they are looked at.
    """

    photograph: tuple[int, int]
    px_per_deg: float
    size_px: tuple[int, int]
    how: ConspicuitySettings = field(default_factory=ConspicuitySettings)
    device: torch.device | str = "cpu"

    @classmethod
    def of(
        cls,
        gazed: GazeSet,
        *,
        long_side_px: int,
        px_per_deg: float | None,
        device: torch.device | str = "cpu",
    ) -> Shown:
        """As the first photograph says; its width is 33.3 degrees unless ``px_per_deg`` of the file is given."""
        height, width = gazed[0].image.shape[-2:]
        size = fit_size((height, width), long_side_px)
        return cls((height, width), px_per_deg or width / WIDTH_DEG, size, device=device)

    @property
    def seen_px_per_deg(self) -> float:
        """Of a photograph as it is looked at."""
        return self.px_per_deg * self.size_px[1] / self.photograph[1]

    @property
    def cells_per_deg(self) -> float:
        """Of the maps."""
        return self.seen_px_per_deg / self.how.cell_px

    @property
    def cells(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        height, width = (-(-side // self.how.cell_px) for side in self.size_px)
        return height, width

    @property
    def mixture_cells(self) -> tuple[int, int]:
        """(h, w) that a mixture is fitted on."""
        blank = Conspicuity(*[torch.zeros(1, 1, *self.cells)] * len(Conspicuity._fields))
        height, width = mixture_maps(blank, cells_per_deg=self.cells_per_deg).shape[-2:]
        return height, width

    def look(self, gazed: GazeSet, i: int, *, scale: int = 1) -> Tensor:
        """Photograph ``i`` (1, 3, H, W) as it is looked at, or ``scale`` times as large where the file is.

        Raises:
            ValueError: it has another size than the first.
        """
        one = gazed[i]
        size = (one.image.shape[-2], one.image.shape[-1])
        if size != self.photograph:
            raise ValueError(
                f"{one.path}: {size[1]} x {size[0]} px, but the first photograph has {self.photograph[1]} x "
                f"{self.photograph[0]}; photographs of one table are of one size"
            )
        height, width = (min(scale * small, side) for small, side in zip(self.size_px, size, strict=True))
        image = one.image[None].to(self.device)
        return F.interpolate(image, size=(height, width), mode="bilinear", antialias=True).clamp(0, 1)

    def sharp(self, image: Tensor) -> Conspicuity:
        """Maps of (1, 3, H, W) without a blur of their own."""
        opponent = retina(image, default_theta(1, image.device)).opponent
        return conspicuity(opponent, px_per_deg=self.seen_px_per_deg, settings=replace(self.how, blur_deg=0.0))


def halves(gazed: GazeSet, n_images: int | None) -> dict[str, list[int]]:
    """Indices of the photographs to ``choose`` on and to ``tell`` on, ``n_images`` of each half evenly; all when None.

    Raises:
        ValueError: a half has fewer than two photographs.
    """
    found = {}
    for half in ("choose", "tell"):
        own = [i for i, name in enumerate(gazed.names) if is_to_choose(name) == (half == "choose")]
        if len(own) < 2:
            raise ValueError(f"the half to {half} on has {len(own)} of {len(gazed)} photographs; give more than that")
        n = len(own) if n_images is None else min(n_images, len(own))
        found[half] = [own[round(k)] for k in np.linspace(0, len(own) - 1, n)]
    return found


@torch.no_grad()
def maps_to_tell(
    gazed: GazeSet,
    shown: Shown,
    indices: Sequence[int],
    *,
    mixture: GazeMixture | None,
    trunk: Trunk | None = None,
    with_classic: bool = True,
    with_ablations: bool = False,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Each map of the photographs at ``indices``, 0 for the others: name -> (N, h, w), and what the mixture says.

    The mixture's, (N, h, w), is without a prior. ``with_classic``: Itti's and Koch's is among them;
    ``with_ablations``: so are those of :data:`ABLATIONS`.
    """
    ablations = ABLATIONS if with_ablations else {}
    names = (*Conspicuity._fields, PRIORITY, *ablations, *([CLASSIC] if with_classic else []))
    found = {name: np.zeros((len(gazed), *shown.cells)) for name in names}
    mixed = None if mixture is None else np.zeros((len(gazed), *shown.cells))
    for i in indices:
        image = shown.look(gazed, i)
        sharp = shown.sharp(image)
        maps = blurred(sharp, shown.how.blur_deg * shown.cells_per_deg)
        for name, values in maps._asdict().items():
            found[name][i] = values[0, 0].cpu()
        for name, settings in {PRIORITY: None, **ablations}.items():
            found[name][i] = priority(maps, settings)[0, 0].cpu()
        if with_classic:
            classic = itti_koch(shown.look(gazed, i, scale=_ITTI_SCALE))
            found[CLASSIC][i] = F.interpolate(classic, size=shown.cells, mode="bilinear")[0, 0].cpu()
        if mixture is not None and mixed is not None:
            seen = None if trunk is None else trunk(image)
            mixed[i] = attraction(mixture, sharp, cells_per_deg=shown.cells_per_deg, trunk=seen)[0, 0].cpu()
        on_image()
    return found, mixed


@torch.no_grad()
def maps_to_fit(
    gazed: GazeSet,
    shown: Shown,
    indices: Sequence[int],
    *,
    trunk: Trunk | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> Tensor:
    """Maps of a mixture (len(indices), K, h, w) of the photographs at ``indices``."""
    rows = []
    for i in indices:
        image = shown.look(gazed, i)
        seen = None if trunk is None else trunk(image)
        rows.append(mixture_maps(shown.sharp(image), cells_per_deg=shown.cells_per_deg, trunk=seen)[0])
        on_image()
    return torch.stack(rows)
