"""An eye over a photograph: what draws it, where it goes, and what it has seen when it has been there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ciliary.cortex.dorsal.conspicuity import Conspicuity, ConspicuitySettings, blurred, conspicuity
from ciliary.cortex.dorsal.expectation import ExpectationNet
from ciliary.cortex.dorsal.mixture import GazeMixture, attraction
from ciliary.cortex.dorsal.priority import PrioritySettings, centre_prior, modulated, priority
from ciliary.cortex.dorsal.scan import ScanSettings, scan_path
from ciliary.cortex.dorsal.search import CENTRE_EXPONENT, search
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice, Lattice
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina, srgb_to_linear

GREY = 0.2140  # linear light of sRGB .5: what stands in the mosaic where nothing was seen

Trunk = Callable[[Tensor], Sequence[Tensor]]
"""Maps of a backbone's stages, such as :meth:`ciliary.cortex.cues.trunk.Trunk.maps`."""


@dataclass(frozen=True, eq=False)
class GazeLook:
    """What came of looking at one photograph.

    Attributes:
        image: (3, H, W), sRGB in [0, 1], as it was looked at.
        px_per_deg: of this image.
        maps: what draws the eye, (1, 1, h, w) each.
        priority: (1, 1, h, w), sums to 1; the centre prior is in it.
        y_px, x_px: (N,) fixations of this image in their order, the first at its centre.
        mosaic: what an eye has seen after them, in linear light.
    """

    image: Tensor
    px_per_deg: float
    maps: Conspicuity
    priority: Tensor
    y_px: Tensor
    x_px: Tensor
    mosaic: Mosaic

    @property
    def gaze_deg(self) -> Tensor:
        """(N, 2) of each fixation, (y, x) from the image's centre, y down."""
        middle = self.image.new_tensor([(side - 1) / 2 for side in self.image.shape[-2:]])
        return (torch.stack([self.y_px, self.x_px], -1) - middle) / self.px_per_deg


@torch.no_grad()
def look_around(
    image: Tensor,
    *,
    px_per_deg: float | None = None,
    n_fixations: int = 10,
    centre_exponent: float | None = None,
    mixture: GazeMixture | None = None,
    trunk: Trunk | None = None,
    own_sight: bool = False,
    net: ExpectationNet | None = None,
    how: ConspicuitySettings | None = None,
    settings: PrioritySettings | None = None,
    scan: ScanSettings | None = None,
    lattice: Lattice | None = None,
) -> GazeLook:
    """Send an eye over a photograph.

    The path follows the priority of the *whole* photograph, as winner after winner, or with ``own_sight`` what an eye
    can know: at each glance where a look would gain most by what it has seen (:mod:`ciliary.cortex.dorsal.search`).
    The mosaic holds only what the fixations caught.

    Args:
        image: (3, H, W), sRGB in [0, 1].
        px_per_deg: of it; when None its width is 33.3 degrees, as OSIE's photographs were shown.
        n_fixations: the first, at the centre, counts; >= 1.
        centre_exponent: of the centre prior; 0 for none. When None 1, or with a mixture what was fitted.
        mixture: weights that were fitted to people's fixations, in place of the settings'.
        trunk: of the backbone that the mixture names.
        own_sight: the eye knows only what it has seen; not with a mixture.
        net: what it expects by that, the network that comes along when None.
        how, settings, scan: of the maps, of their weights and of the path; the defaults when None.
        lattice: that samples a glance; :class:`~ciliary.cortex.eye.lattice.FoveatedLattice` when None.

    Raises:
        ValueError: another shape, no fixation, or a mixture without its backbone.
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"expected an image (3, H, W), got {tuple(image.shape)}")
    if n_fixations < 1:
        raise ValueError(f"expected n_fixations >= 1, got {n_fixations}")
    height, width = image.shape[-2:]
    px_per_deg = width / WIDTH_DEG if px_per_deg is None else px_per_deg
    how, centre_asked = how or ConspicuitySettings(), centre_exponent
    if centre_exponent is None:
        centre_exponent = 1.0 if mixture is None else mixture.prior_exponent
    prior = centre_prior((-(-height // how.cell_px), -(-width // how.cell_px)), exponent=centre_exponent)
    maps, found = whole_priority(
        image[None], px_per_deg=px_per_deg, how=how, settings=settings, mixture=mixture, trunk=trunk, prior=prior
    )
    light = srgb_to_linear(image[None])
    if own_sight:
        exponent = CENTRE_EXPONENT if centre_asked is None else centre_asked
        path = search(light, px_per_deg=px_per_deg, n_glances=n_fixations, net=net, centre_exponent=exponent)[0]
        y_px, x_px = (
            (at * px_per_deg + (side - 1) / 2).to(image.dtype) for at, side in zip(path.T, (height, width), strict=True)
        )
    else:
        y_px, x_px = _path(found, n_fixations, (height, width), px_per_deg, how.cell_px, scan)
    mosaic = blank_mosaic(1, (height, width), px_per_deg, ground=GREY)
    look = GazeLook(image, px_per_deg, maps, found, y_px, x_px, mosaic)
    for grown in mosaics_along(look, lattice=lattice):
        mosaic = grown
    return replace(look, mosaic=mosaic)


def mosaics_along(look: GazeLook, *, lattice: Lattice | None = None) -> Iterator[Mosaic]:
    """What an eye has seen after the first fixation of a look, after the second, and so on; each one sees more."""
    size = (look.image.shape[-2], look.image.shape[-1])
    mosaic = blank_mosaic(1, size, look.px_per_deg, ground=GREY)
    light, lattice = srgb_to_linear(look.image[None]), FoveatedLattice() if lattice is None else lattice
    for gaze in look.gaze_deg:
        mosaic = add_glance(mosaic, take_glance(light, lattice, gaze[None], look.px_per_deg))
        yield mosaic


def whole_priority(
    image: Tensor,
    *,
    px_per_deg: float,
    how: ConspicuitySettings | None = None,
    settings: PrioritySettings | None = None,
    mixture: GazeMixture | None = None,
    trunk: Trunk | None = None,
    prior: Tensor | None = None,
) -> tuple[Conspicuity, Tensor]:
    """Maps of sharp photographs (B, 3, H, W) in sRGB, and their priority (B, 1, h, w) that sums to 1.

    Arguments as for :func:`look_around`; the prior is (1 or B, 1, h, w), none when None.
    """
    how = how or ConspicuitySettings()
    opponent = retina(image, default_theta(len(image), image.device)).opponent
    sharp = conspicuity(opponent, px_per_deg=px_per_deg, settings=replace(how, blur_deg=0.0))
    cells_per_deg = px_per_deg / how.cell_px
    maps = blurred(sharp, how.blur_deg * cells_per_deg)
    if mixture is None:
        return maps, priority(maps, settings, prior=prior)
    seen = None if trunk is None else trunk(image)
    return maps, modulated(attraction(mixture, sharp, cells_per_deg=cells_per_deg, trunk=seen), prior=prior)


def _path(
    found: Tensor,
    n_fixations: int,
    size_px: tuple[int, int],
    px_per_deg: float,
    cell_px: int,
    scan: ScanSettings | None,
) -> tuple[Tensor, Tensor]:
    """y and x (N,) in pixels, the first at the centre; pixel i lies at i."""
    middle_y, middle_x = (found.new_tensor([(side - 1) / 2]) for side in size_px)
    if n_fixations == 1:
        return middle_y, middle_x
    y, x = scan_path(found, n_fixations=n_fixations - 1, cells_per_deg=px_per_deg / cell_px, settings=scan)
    # The middle of a cell; the last one may reach beyond the image.
    y, x = (((cells[0] + 0.5) * cell_px - 0.5).clamp(max=side - 1) for cells, side in zip((y, x), size_px, strict=True))
    return torch.cat([middle_y, y]), torch.cat([middle_x, x])
