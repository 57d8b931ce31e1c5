"""An eye over a photograph: it begins at the centre, goes to what stands out, and keeps what it saw there."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.dorsal.looking import GREY, look_around
from ciliary.cortex.eye.lattice import FoveatedLattice, n_samples, pixel_lattice
from ciliary.cortex.plot.gaze import WORDS, draw_gaze
from ciliary.cortex.stages.retina import srgb_to_linear

SIZE = (60, 80)


@pytest.fixture
def image() -> torch.Tensor:
    """Grey with a checkered square around (42, 61)."""
    page = torch.full((3, *SIZE), 0.5)
    y, x = torch.meshgrid(torch.arange(36, 48), torch.arange(55, 67), indexing="ij")
    page[:, 36:48, 55:67] = ((y // 3 + x // 3) % 2).float()
    return page


def test_it_begins_at_the_centre_and_goes_to_what_stands_out(image):
    look = look_around(image, px_per_deg=4.0, n_fixations=3, centre_exponent=0)
    assert (float(look.y_px[0]), float(look.x_px[0])) == (29.5, 39.5)
    assert look.gaze_deg[0].tolist() == [0, 0]
    assert abs(float(look.y_px[1]) - 42) < 9
    assert abs(float(look.x_px[1]) - 61) < 9
    assert float(look.gaze_deg[1, 1]) == pytest.approx((float(look.x_px[1]) - 39.5) / 4)
    assert float(look.priority.sum()) == pytest.approx(1, abs=1e-5)
    assert int(look.mosaic.n_samples[0]) == 3 * n_samples(FoveatedLattice())
    finest = look.mosaic.acuity[0, 0].flatten().argmax()
    assert min((divmod(int(finest), 80)[0] - y) ** 2 for y in look.y_px.tolist()) <= 1


def test_a_lattice_of_every_pixel_gives_the_photograph_back(image):
    look = look_around(image, px_per_deg=4.0, n_fixations=1, lattice=pixel_lattice(SIZE, 4.0))
    assert torch.allclose(look.mosaic.image[0], srgb_to_linear(image[None])[0], atol=1e-6)
    blank = srgb_to_linear(torch.full((1, 3, 1, 1), 0.5))
    assert pytest.approx(GREY, abs=1e-3) == float(blank.mean())


def test_refusals(image):
    with pytest.raises(ValueError, match="n_fixations"):
        look_around(image, n_fixations=0)
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        look_around(image[None])


@pytest.mark.parametrize("kind", ["scene", "blank"])
def test_the_figure(image, kind):
    look = look_around(image if kind == "scene" else torch.full_like(image, 0.5), n_fixations=3)
    figure = draw_gaze(look, name="$one$", note="as it is")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[:3] == ["3 fixations, 1 at the centre", "What the eye has seen", "Acuity"]
    assert titles[3:] == ["Priority", *(title for title, _ in WORDS.values())]
    figure.canvas.draw()
