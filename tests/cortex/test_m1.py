"""M1: its contract; energy, affinity, boundary and regions on scenes whose answer is known."""

import math

import pytest
import torch

from ciliary.cortex import Cues
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_perception import (
    M1,
    N_SCALES,
    neighbour_affinity,
    position_channels,
    soft_regions,
    texture_channels,
    v1_energy,
)
from ciliary.cortex.stages.retina import retina
from ciliary.testing.stage import StageContract, with_cues
from ciliary_tests.theta_scenes import scene_theta


class TestM1(StageContract):
    name = "m1"

    @pytest.fixture
    def stage(self):
        return M1()


def perceive(image, cues=None, **settings):
    theta = scene_theta(len(image), **settings)
    cues = Cues(torch.zeros_like(image[:, :1]), None) if cues is None else cues
    return M1()(retina(image, theta), cues, theta)


def halves(left, right, size=(64, 64), column=None):
    """Two colours side by side."""
    image = torch.empty(1, 3, *size)
    column = size[1] // 2 if column is None else column
    image[..., :column] = torch.tensor(left).view(3, 1, 1)
    image[..., column:] = torch.tensor(right).view(3, 1, 1)
    return image


def stripes(tangent_rad, wavelength_px=8.0, size=64, phase=0.0):
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    across = y * math.cos(tangent_rad) - x * math.sin(tangent_rad)
    wave = torch.cos(2 * math.pi * across / wavelength_px + phase)
    return (0.5 + 0.3 * wave).expand(1, 3, -1, -1).contiguous()


def inner(x, margin=16):
    return x[..., margin:-margin, margin:-margin]


# --- blanks


@pytest.mark.parametrize("size", [(64, 64), (33, 47), (32, 32)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_constant_image_has_neither_energy_nor_boundary(size, value):
    """The lesson: zero padding gave a constant image an energy of 0.81 at its border."""
    out = perceive(torch.full((1, 3, *size), value), wavelength_px=12.0, bandwidth_octaves=2.5)
    assert out.energy.max() < 1e-5
    assert out.boundary.max() < 1e-4
    assert out.affinity.min() > 1 - 1e-6


# --- energy and orientation


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 110, 150])
def test_orientation_is_the_tangent_of_the_stripes(degrees):
    out = perceive(stripes(math.radians(degrees)), wavelength_px=8.0)
    found = inner(out.orientation)
    error = (found - math.radians(degrees) + math.pi / 2) % math.pi - math.pi / 2
    assert error.abs().max() < math.radians(5)


def test_energy_does_not_depend_on_phase():
    energies = [inner(perceive(stripes(0.0, phase=p), wavelength_px=8.0).energy) for p in (0.0, 0.7, 1.4, 2.1)]
    strongest = torch.stack([e[0, 0] for e in energies])  # scale 0, tangent 0
    assert strongest.min() > 0.01
    assert (strongest.amax(0) - strongest.amin(0)).max() < 0.1 * strongest.mean()


@pytest.mark.parametrize(("wavelength_px", "scale"), [(4.0, 0), (8.0, 1), (16.0, 2)])
def test_each_scale_has_its_wavelength(wavelength_px, scale):
    theta = scene_theta(1, wavelength_px=4.0, bandwidth_octaves=1.0)
    signal = stripes(math.pi / 2, wavelength_px)[:, :1]
    energies = [inner(v1_energy(signal, theta, scale=s))[0, 0].sum(0).mean() for s in range(N_SCALES)]
    assert max(range(N_SCALES), key=lambda s: energies[s]) == scale


def test_texture_channels_by_hand():
    energy = torch.zeros(1, N_SCALES, N_ORIENTATIONS, 1, 2)
    energy[0, 1, 0, 0, 0] = 0.6  # tangent 0, one scale
    energy[0, :, 3, 0, 1] = 0.3  # tangent 90 degrees, all scales
    out = texture_channels(energy)[0, :, 0]
    assert out[0, 0] == 0
    assert out[1, 0].item() == pytest.approx(0.15 * math.log1p(0.6 / 6 / 0.02), rel=1e-4)
    direction = out[N_SCALES:]
    torch.testing.assert_close(direction[:, 0], torch.tensor([4 / 3 * 0.6, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(direction[:, 1], torch.tensor([-4 * 0.3, 0.0]), atol=1e-6, rtol=0)


# --- affinity


def test_affinity_by_hand():
    features = torch.zeros(1, 1, 3, 3)
    features[0, 0, 1, 1] = 1.0
    weight = neighbour_affinity(features, torch.tensor([0.5]))[0]
    far = math.exp(-2)  # d^2 / 2 sigma^2 = 1 / 0.5
    assert weight[:, 1, 1].tolist() == pytest.approx([far] * 4)
    east, south, south_east, south_west = weight
    assert east[1, 0].item() == pytest.approx(far)
    assert south[0, 1].item() == pytest.approx(far)
    assert south_east[0, 0].item() == pytest.approx(far)
    assert south_west[0, 2].item() == pytest.approx(far)
    assert east[0, 0] == 1
    # Outside the image there is nobody to differ from.
    assert weight[0, 0, 2] == weight[1, 2, 0] == weight[2, 2, 2] == weight[3, 2, 0] == 1


def test_affinity_is_low_across_an_edge_only():
    east = perceive(halves([0.2] * 3, [0.8] * 3), affinity_sigma=0.2, blur_sigma_px=0.3).affinity[0, 0]
    assert east[:, 31].max() < 0.5
    assert east[:, :16].min() > 0.99
    assert east[:, 48:].min() > 0.99


# --- boundary


@pytest.mark.parametrize(
    ("left", "right"), [([0.2] * 3, [0.8] * 3), ([0.65, 0.3, 0.3], [0.25, 0.48, 0.25])], ids=["luminance", "colour"]
)
def test_boundary_stands_on_the_edge(left, right):
    boundary = perceive(halves(left, right), colour_weight=1.0, affinity_sigma=0.2).boundary[0, 0]
    profile = boundary[24:40].mean(0)
    assert profile.argmax().item() in (31, 32)
    assert profile[31:33].min() > 0.2
    assert profile[:20].max() < 0.25 * profile[31]
    assert boundary[:, 31:33].min() > 0.2  # from the first row to the last


# --- regions


def test_two_colours_are_two_regions_without_mixture():
    out = perceive(
        halves([0.8, 0.3, 0.2], [0.2, 0.3, 0.8]), n_regions=2.0, region_temperature=0.02, position_weight=0.02
    )
    regions = out.regions[0]
    left, right = regions[:, :, :28], regions[:, :, 36:]
    assert left.mean((1, 2)).max() > 0.99
    assert right.mean((1, 2)).max() > 0.99
    assert left.mean((1, 2)).argmax() != right.mean((1, 2)).argmax()


@pytest.mark.parametrize("count", [2.0, 5.0, 5.5, 12.0])
def test_absent_regions_are_empty(count):
    points = torch.rand(1, 5, 32, 40, generator=torch.Generator().manual_seed(0))
    theta = scene_theta(1, n_regions=count, region_temperature=0.1)
    mass = soft_regions(points, theta)[0].sum((1, 2))
    assert mass[math.ceil(count) :].sum() < 1e-3
    assert (mass[: math.floor(count)] > 0.1).all()


def test_a_hot_assignment_is_softer():
    points = torch.rand(1, 5, 32, 40, generator=torch.Generator().manual_seed(0))
    sharp, soft = (soft_regions(points, scene_theta(1, region_temperature=t)).amax(1).mean() for t in (0.02, 1.0))
    assert sharp > 1.5 * soft


def test_position_spans_the_long_side():
    y, x = position_channels(33, 65)[0]
    assert (x[0, 0].item(), x[0, -1].item()) == pytest.approx((-32 / 65, 32 / 65))
    torch.testing.assert_close(y, -y.flip(0))
    assert y.abs().max() < x.abs().max()


# --- cues


def test_depth_and_backbone_enter_the_features_by_their_weights():
    image = halves([0.4] * 3, [0.6] * 3)
    cues = with_cues(image)
    one, double = (perceive(image, cues, depth_weight=w, backbone_weight=w).features for w in (0.5, 1.0))
    n_backbone = cues.backbone.shape[1]
    torch.testing.assert_close(one[:, -n_backbone:], 0.5 * cues.backbone)
    torch.testing.assert_close(double[:, -n_backbone - 1 :], 2 * one[:, -n_backbone - 1 :])
    assert torch.equal(one[:, : -n_backbone - 1], double[:, : -n_backbone - 1])


def test_a_step_in_depth_alone_is_a_boundary():
    image = torch.full((1, 3, 48, 64), 0.5)
    depth = torch.zeros(1, 1, 48, 64)
    depth[..., 32:] = 1.0
    boundary = perceive(image, Cues(depth, None), depth_weight=1.0, affinity_sigma=0.2).boundary[0, 0]
    assert boundary[:, 31].min() > 0.1
    assert boundary[:, :30].max() < 1e-3
