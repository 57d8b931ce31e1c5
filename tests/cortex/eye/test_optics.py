"""From scene to retina: what a lens must do, worked on planes and edges."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.chromatic import channel_shift_dpt
from ciliary.cortex.eye.layers import membership, split_layers
from ciliary.cortex.eye.optics import Optics, OpticsSettings, largest_radius_px, retinal_image
from ciliary.cortex.eye.parameters import EYE

GREY = OpticsSettings(is_chromatic=False, max_diameter_px=24)
COLOUR = OpticsSettings(max_diameter_px=24)
PX_PER_DEG = 24.0


def rand_light(*size, batch=1, seed=0, dtype=torch.float32):
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def at(distance_dpt, light):
    return torch.full_like(light[:, :1], distance_dpt)


def see(layers, focus, pupil=4.0, settings=GREY):
    n, dtype = len(layers.light), layers.light.dtype
    return retinal_image(
        layers,
        focus_dpt=torch.as_tensor(focus, dtype=dtype).expand(n),
        pupil_mm=torch.as_tensor(pupil, dtype=dtype).expand(n),
        px_per_deg=PX_PER_DEG,
        settings=settings,
    )


def two_planes(far_dpt=0.5, near_dpt=3.0, size=(48, 64), dtype=torch.float32):
    """A dark far plane and, from column 32 on, a bright near one."""
    light = torch.full((1, 3, *size), 0.2, dtype=dtype)
    distance = torch.full((1, 1, *size), far_dpt, dtype=dtype)
    light[..., 32:], distance[..., 32:] = 1.0, near_dpt
    return split_layers(light, distance, level_dpt=torch.tensor([far_dpt, near_dpt]))


def room(size=(48, 64), dtype=torch.float32):
    """A slanted floor, a near pole before it, noise for light."""
    light = rand_light(*size, dtype=dtype)
    distance = torch.linspace(0.3, 2.0, size[0], dtype=dtype)[None, None, :, None].expand(1, 1, *size).clone()
    distance[..., 20:30] = 4.0
    return light, distance


def test_shares_sum_to_one_and_lie_at_the_neighbours():
    share = membership(torch.tensor([0.0, 0.25, 1.0, 3.0]).view(1, 1, 1, 4), torch.tensor([[0.0, 1.0, 2.0]]))[0, :, 0]
    torch.testing.assert_close(share, torch.tensor([[1, 0.75, 0, 0], [0, 0.25, 1, 0], [0, 0, 0, 1]]))


@pytest.mark.parametrize("settings", [GREY, COLOUR])
@pytest.mark.parametrize("n_layers", [1, 2, 24])
def test_no_pupil_gives_the_scene(n_layers, settings):
    light, distance = room()
    seen = see(split_layers(light, distance, n_layers=n_layers), 1.3, 0.0, settings)
    torch.testing.assert_close(seen, light, rtol=0, atol=1e-6)


def test_a_small_pupil_comes_near_the_scene_smoothly():
    light, distance = room(dtype=torch.float64)
    layers = split_layers(light, distance)
    off = [float((see(layers, 1.3, pupil) - light).abs().max()) for pupil in (0.04, 0.02, 0.01)]
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-3


def test_energy_is_conserved_on_a_plane():
    light = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    light[:, :, 24:40, 20:44] = rand_light(16, 24, dtype=torch.float64)
    for settings in (GREY, COLOUR):
        seen = see(split_layers(light, at(2.0, light), n_layers=1), 0.0, settings=settings)
        torch.testing.assert_close(seen.sum((2, 3)), light.sum((2, 3)), rtol=1e-9, atol=0)


def test_energy_is_conserved_on_a_plane_between_layers():
    light = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
    light[:, :, 24:40, 20:44] = 1.0
    seen = see(split_layers(light, at(2.2, light), level_dpt=torch.tensor([1.0, 2.0, 3.0])), 0.5)
    torch.testing.assert_close(seen.sum((2, 3)), light.sum((2, 3)), rtol=1e-6, atol=0)


def test_one_grey_is_one_grey_whatever_its_depth():
    _, distance = room()
    seen = see(split_layers(torch.full((1, 3, 48, 64), 0.4), distance), 4.0, 6.0)
    torch.testing.assert_close(seen, torch.full_like(seen, 0.4), rtol=0, atol=2e-5)


def test_a_near_edge_keeps_its_alpha():
    # far in focus, near 2.5 dpt off: a disc of 4 mm x 2.5 dpt = 10 mrad = 13.75 px
    row = see(two_planes(), 0.5)[0, 0, 24].double()
    alpha = (row - 0.2) / 0.8
    assert float(alpha[31:33].mean()) == pytest.approx(0.5, abs=0.01)
    # the share of a disc beyond a straight edge at x radii from its centre
    for offset_px in (-5.5, -2.5, 2.5, 5.5):
        x = -offset_px / 6.875
        beyond = 0.5 - (x * math.sqrt(1 - x * x) + math.asin(x)) / math.pi
        assert float(alpha[round(31.5 + offset_px)]) == pytest.approx(beyond, abs=0.02)
    assert float((alpha[:24]).abs().max()) < 1e-3
    assert float((1 - alpha[40:]).abs().max()) < 1e-3


def test_a_near_edge_in_focus_is_sharp_and_nothing_bleeds_over_it():
    row = see(two_planes(), 3.0)[0, 0, 24]
    torch.testing.assert_close(row[32:], torch.ones(32), rtol=0, atol=1e-4)
    torch.testing.assert_close(row[:32], torch.full((32,), 0.2), rtol=0, atol=1e-4)  # no bright bleeding, no dark seam


def test_what_a_near_edge_hides_is_guessed_from_the_ground():
    row = see(two_planes(), 0.5)[0, 0, 24]
    assert bool((row.diff() > -1e-4).all())  # no dark seam and no halo: from dark to bright without turning


def test_a_receding_surface_is_the_plain_sum_of_its_discs():
    # six layers so near to one another that their discs are the same
    light = rand_light(40, 48, dtype=torch.float64)
    distance = torch.linspace(1.0, 1.01, 40, dtype=torch.float64)[None, None, :, None].expand(1, 1, 40, 48)
    layers = split_layers(light, distance, n_layers=6)
    assert bool((layers.share.sum((2, 3)) > 0).all())
    flat = see(split_layers(light, at(1.005, light), n_layers=1), 3.1)
    torch.testing.assert_close(see(layers, 3.1), flat, rtol=0, atol=3e-3)


def sharpness(image):
    return (image.diff(dim=-1) ** 2).mean((0, 2, 3))


def peak(x, y):
    """The place of the greatest, by the parabola through it and its neighbours."""
    i = int(y.argmax())
    left, mid, right = (float(v) for v in y[i - 1 : i + 2].log())
    return float(x[i]) + float(x[1] - x[0]) * 0.5 * (left - right) / (left - 2 * mid + right)


@pytest.mark.parametrize("plane_dpt", [1.0, 2.37])
@pytest.mark.parametrize("levels", [None, [0.0, 1.0, 2.0, 3.0, 4.0]])
def test_focus_peaks_at_the_plane(plane_dpt, levels):
    light = rand_light(32, 32)
    level_dpt = None if levels is None else torch.tensor([plane_dpt - 1, plane_dpt, plane_dpt + 1])
    layers = split_layers(light, at(plane_dpt, light), n_layers=1, level_dpt=level_dpt)
    focus = torch.linspace(plane_dpt - 1, plane_dpt + 1, 21)
    curve = torch.stack([sharpness(see(layers, f))[1] for f in focus])
    assert peak(focus, curve) == pytest.approx(plane_dpt, abs=0.05)


def test_red_and_blue_peak_apart():
    red, green, blue = channel_shift_dpt()
    assert (round(red, 3), green, round(blue, 3)) == (0.286, 0.0, -0.639)
    light = rand_light(32, 32)[:, :1].expand(-1, 3, -1, -1)
    layers = split_layers(light, at(2.0, light), n_layers=1)
    focus = torch.linspace(0.9, 2.8, 20)
    curves = torch.stack([sharpness(see(layers, f, settings=COLOUR)) for f in focus])
    peaks = [peak(focus, curves[:, i]) for i in range(3)]
    for measured, shift in zip(peaks, (red, green, blue), strict=True):
        assert measured == pytest.approx(2.0 + shift, abs=0.05)
    assert peaks[0] - peaks[2] == pytest.approx(0.925, abs=0.05)


def test_gradients_in_focus_and_pupil_are_those_of_differences():
    light, distance = room((24, 28), dtype=torch.float64)
    layers = split_layers(light, distance, n_layers=5)

    def score(focus, pupil):
        return (see(layers, focus, pupil, OpticsSettings(max_diameter_px=20)) ** 2).mean()[None]

    state = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.37, 3.3)]
    assert torch.autograd.gradcheck(score, state, eps=1e-5, atol=1e-6, rtol=1e-3)
    gradient = torch.autograd.grad(score(*state), state)
    assert all(float(g.abs()) > 1e-5 for g in gradient)


def test_a_batch_is_its_scenes_one_by_one_and_again():
    light, distance = room()
    lights = torch.cat([light, light.flip(-1)])
    distances = torch.cat([distance, distance * 0.5])
    focus, pupil = torch.tensor([0.5, 3.0]), torch.tensor([3.0, 6.0])

    def run(rows):
        layers = split_layers(lights[rows], distances[rows], n_layers=8)
        return retinal_image(layers, focus_dpt=focus[rows], pupil_mm=pupil[rows], px_per_deg=24.0, settings=COLOUR)

    both = run(slice(0, 2))
    torch.testing.assert_close(both, torch.cat([run(slice(0, 1)), run(slice(1, 2))]), rtol=0, atol=2e-6)
    assert torch.equal(both, run(slice(0, 2)))


def test_the_module_is_the_function():
    light, distance = room()
    layers, eye = split_layers(light, distance, n_layers=3), EYE.default_theta(1)
    assert torch.equal(Optics(COLOUR)(layers, eye, 24.0), see(layers, 1.0, 4.0, COLOUR))


def test_complaints():
    light = rand_light(8, 8)
    with pytest.raises(ValueError, match=r"expected light \(B, 3, H, W\), got \(3, 8, 8\)"):
        split_layers(light[0], light[0])
    with pytest.raises(ValueError, match=r"expected distance_dpt \(1, 1, 8, 8\)"):
        split_layers(light, light)
    with pytest.raises(ValueError, match="one layer or more"):
        split_layers(light, at(1.0, light), n_layers=0)
    with pytest.raises(ValueError, match="ascending"):
        split_layers(light, at(1.0, light), level_dpt=torch.tensor([1.0, 1.0]))
    layers = split_layers(light, at(1.0, light), n_layers=1)
    with pytest.raises(ValueError, match=r"expected focus_dpt of shape \(1,\)"):
        retinal_image(layers, focus_dpt=torch.tensor(1.0), pupil_mm=torch.ones(1), px_per_deg=24.0)
    with pytest.raises(ValueError, match="px_per_deg > 0"):
        retinal_image(layers, focus_dpt=torch.ones(1), pupil_mm=torch.ones(1), px_per_deg=0.0)
    with pytest.raises(ValueError, match="max_diameter_px"):
        OpticsSettings(max_diameter_px=0.5)


def test_a_window_that_wraps_is_the_same_inside_its_border():
    rng = torch.Generator().manual_seed(0)
    light = torch.rand(1, 3, 60, 70, generator=rng)
    distance = torch.linspace(0.5, 4.0, 70).expand(1, 1, 60, 70)
    layers = split_layers(light, distance, n_layers=4)
    settings = OpticsSettings(max_diameter_px=12.0)
    eye = {"focus_dpt": torch.tensor([2.0]), "pupil_mm": torch.tensor([4.0])}
    whole, window = (
        retinal_image(layers, **eye, px_per_deg=20.0, settings=settings, wraps=wraps) for wraps in (False, True)
    )
    margin = largest_radius_px(20.0, 12.0)
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    assert torch.allclose(whole[inside], window[inside], atol=1e-5)
    assert not torch.allclose(whole, window, atol=1e-3)
