"""What draws the eye: an odd one out, a corner, a rare colour; closed forms of the statistics."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.dorsal.conspicuity import (
    ConspicuitySettings,
    conspicuity,
    end_points,
    self_information,
    wavelengths_px,
)
from ciliary.cortex.dorsal.itti_koch import itti_koch, promote
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina

PX_PER_DEG = 8.0


def opponent(image: torch.Tensor) -> torch.Tensor:
    return retina(image, default_theta(len(image))).opponent


def bars(*, odd: tuple[int, int]) -> torch.Tensor:
    """(1, 3, 96, 128): upright bars on a grid, one lying, whose middle is at ``odd`` (row, column of the grid)."""
    image = torch.full((1, 3, 96, 128), 0.5)
    for row in range(6):
        for column in range(8):
            y, x = 16 * row + 8, 16 * column + 8
            h, w = (2, 5) if (row, column) == odd else (5, 2)
            image[..., y - h : y + h, x - w : x + w] = 0.9
    return image


def peak(x: torch.Tensor) -> tuple[int, int]:
    return divmod(int(x[0, 0].argmax()), x.shape[-1])


def test_shapes_means_and_the_empty_image(small_image):
    maps = conspicuity(opponent(small_image), px_per_deg=PX_PER_DEG)
    for x in maps:
        assert x.shape == (1, 1, 12, 16)
        assert bool((x >= 0).all())
        assert float(x.mean()) == pytest.approx(1, abs=1e-4)
    odd = conspicuity(opponent(small_image[..., :47, :61]), px_per_deg=PX_PER_DEG)
    assert {tuple(x.shape) for x in odd} == {(1, 1, 12, 16)}
    blank = conspicuity(opponent(torch.full((1, 3, 48, 64), 0.4)), px_per_deg=PX_PER_DEG)
    assert all(bool(torch.isfinite(x).all()) for x in blank)


def test_the_odd_one_out_is_the_rarest():
    maps = conspicuity(opponent(bars(odd=(2, 5))), px_per_deg=PX_PER_DEG)
    y, x = peak(maps.rarity)
    assert abs(y - 10) <= 2
    assert abs(x - 22) <= 2


def test_the_one_red_patch_is_the_rarest_colour():
    image = torch.full((1, 3, 96, 128), 0.5)
    image[..., 40:56, 88:104] = torch.tensor([0.8, 0.3, 0.3])[:, None, None]
    y, x = peak(conspicuity(opponent(image), px_per_deg=PX_PER_DEG).colour)
    assert abs(y - 11.5) <= 1.5
    assert abs(x - 23.5) <= 1.5


def test_a_corner_ends_and_a_straight_edge_does_not():
    image = torch.full((1, 3, 96, 128), 0.3)
    image[..., 48:, 64:] = 0.8  # one corner in the middle of the picture
    maps = conspicuity(opponent(image), px_per_deg=PX_PER_DEG)
    y, x = peak(maps.ends)
    assert abs(y - 12) <= 1
    assert abs(x - 16) <= 1
    assert float(maps.ends[0, 0, 12, 26]) < 0.5 * float(maps.ends[0, 0, 12, 16])


def test_end_points_by_hand():
    one = torch.zeros(1, 8, 1, 1)
    one[:, 2] = 3
    crossed = one.clone()
    crossed[:, 6] = 3  # at right angles
    assert float(end_points(one)) == pytest.approx(0, abs=1e-4)
    assert float(end_points(crossed)) == pytest.approx(6, abs=1e-4)
    assert float(end_points(torch.ones(1, 8, 1, 1))) == pytest.approx(8, abs=1e-4)


def test_self_information_is_half_the_squared_deviation_whatever_the_axes():
    x = torch.tensor([0.0, 0, 0, 0, 1, -1, 3, -3]).view(1, 1, 2, 4)
    found = self_information(x, ridge=1e-6)
    assert torch.allclose(found, 0.5 * x.square() / x.square().mean(), atol=1e-4)
    two = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    turned = torch.einsum("ij,bjhw->bihw", torch.tensor([[1.0, 2, 0], [0, 1, -1], [3, 0, 1]]), two) + 5
    assert torch.allclose(self_information(two, ridge=1e-7), self_information(turned, ridge=1e-7), atol=1e-2)
    assert float(self_information(two, ridge=1e-7).mean()) == pytest.approx(1.5, abs=1e-3)  # C / 2


def test_each_image_is_its_own_measure():
    both = torch.cat([bars(odd=(2, 5)), bars(odd=(4, 1)) * 0.5])
    together = conspicuity(opponent(both), px_per_deg=PX_PER_DEG)
    for i in range(2):
        alone = conspicuity(opponent(both[i : i + 1]), px_per_deg=PX_PER_DEG)
        assert all(torch.allclose(x[i : i + 1], y, atol=1e-3) for x, y in zip(together, alone, strict=True))


def test_gradient_reaches_the_image(small_image):
    image = small_image.clone().requires_grad_()
    maps = conspicuity(opponent(image), px_per_deg=PX_PER_DEG)
    sum((x * torch.linspace(0, 1, x.numel()).view_as(x)).sum() for x in maps).backward()
    assert bool(torch.isfinite(image.grad).all())
    assert float(image.grad.abs().sum()) > 0


def test_wavelengths_are_degrees_and_none_is_finer_than_the_pixels():
    assert wavelengths_px((0.4, 0.8), 10.0) == [4.0, 8.0]
    assert wavelengths_px((0.4, 0.8, 1.6), 3.0) == pytest.approx([3.0, 4.8])


@pytest.mark.parametrize("cell_px", [1, 2, 4, 8])
def test_maps_lie_where_the_picture_is(cell_px, chelsea):
    """A mirror of the image is a mirror of the maps, whatever the cells: no shift by half a pixel."""
    settings = ConspicuitySettings(cell_px=cell_px, wavelengths_deg=(0.5, 2.0))
    maps, mirrored = (conspicuity(opponent(x), px_per_deg=8, settings=settings) for x in (chelsea, chelsea.flip(-1)))
    for x, y in zip(maps, mirrored, strict=True):
        assert float((x - y.flip(-1)).abs().mean()) < 0.06


def test_errors_say_what_is_wrong(small_image):
    with pytest.raises(ValueError, match="opponent channels"):
        conspicuity(small_image[:, :2], px_per_deg=8)
    with pytest.raises(ValueError, match="px_per_deg"):
        conspicuity(small_image, px_per_deg=0)
    with pytest.raises(ValueError, match="cell_px"):
        ConspicuitySettings(cell_px=3)
    with pytest.raises(ValueError, match="compression"):
        ConspicuitySettings(compression=1.5)


def test_itti_and_koch_find_the_odd_one_and_promote_a_lone_peak():
    image = torch.nn.functional.interpolate(bars(odd=(2, 5)), scale_factor=4)
    image[..., 160:176, 330:346] = torch.tensor([1.0, 0.1, 0.1])[:, None, None]
    found = itti_koch(image)
    assert found.shape == (1, 1, 24, 32)
    y, x = peak(found)
    assert abs(y - 10.5) <= 1.5
    assert abs(x - 21) <= 1.5
    lone, many = torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)
    lone[..., 20, 20] = 5
    many[..., 4::8, 4::8] = 4.99
    many[..., 4, 4] = 5
    assert float(promote(lone).max()) == pytest.approx(1)
    assert float(promote(many).max()) < 1e-3
    assert math.isfinite(float(itti_koch(torch.zeros(1, 3, 64, 64)).sum()))
