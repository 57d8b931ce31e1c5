"""The response against its closed forms; what it tells of a grating against the bits worked out by hand."""

import math

import pytest
import torch

from ciliary.cortex.eye.contrast import noise_powers, split_bands
from ciliary.cortex.eye.receptor import CONES, RECEPTORS, SENSOR, Receptor, tell

LIGHT_TD = torch.logspace(-2, 6, 33, dtype=torch.float64)


def noise_image(contrast, mean=0.2, size=64, seed=0):
    grain = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (mean * (1 + contrast * grain)).clamp_min(0).expand(1, 3, -1, -1).contiguous()


def told(light, unit_td, receptor=CONES, photons=1e12, is_noisy=False):
    unit = torch.tensor([float(unit_td)], dtype=light.dtype)
    return tell(light, unit, torch.full_like(unit, photons), receptor, is_noisy=is_noisy)


def test_half_the_response_at_half_and_none_more_in_a_full_well():
    assert float(CONES.response(torch.tensor(10**3.2))) == pytest.approx(0.5)
    full = SENSOR.response(torch.tensor([SENSOR.well_td, 10 * SENSOR.well_td], dtype=torch.float64))
    assert float(full[0]) == float(full[1])
    assert math.isclose(SENSOR.well_td, 1005.3, rel_tol=1e-4)  # 80 cd/m2 x 12.57 mm2
    assert float(SENSOR.gain(torch.tensor(1e5))) == 0
    assert set(RECEPTORS) == {"cones", "sensor"}


def test_gain_is_the_slope_by_the_log_of_light():
    td = LIGHT_TD.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(CONES.response(td).sum(), td)
    torch.testing.assert_close(CONES.gain(LIGHT_TD), slope * LIGHT_TD)
    assert float(CONES.gain(torch.tensor(CONES.half_td))) == pytest.approx(CONES.exponent / 4)


def test_small_contrast_tells_the_bits_of_its_response():
    """White grain of contrast c: the response's is c times the gain, in each band as much as noise is."""
    light, c, mean = noise_image(0.01, size=256), 0.01, 0.2
    td = mean * 1000
    gain = float(CONES.gain(torch.tensor(td)))
    by_hand = 0.5 * math.log2(1 + (c * gain / CONES.noise) ** 2)
    assert float(told(light, 1000).bits) == pytest.approx(by_hand, rel=0.03)
    details, _ = split_bands(light / mean - 1)
    for detail, power in zip(details, noise_powers(), strict=True):
        assert float(detail.square().mean()) == pytest.approx(c**2 * power, rel=0.2)


def test_contrast_is_told_best_in_the_middle_of_the_range():
    light = noise_image(0.02)
    bits = [float(told(light, unit).bits) for unit in (1, 100, CONES.half_td / 0.2, 1e6, 1e8)]
    assert bits[0] < bits[1] < bits[2] > bits[3] > bits[4]
    clipped = [float(told(light, unit, SENSOR).bits) for unit in (1, 1000, 2 * SENSOR.well_td / 0.2)]
    assert clipped[0] < clipped[1]
    assert clipped[2] == 0


def test_photons_alone_tell_nothing_and_hide_what_there_is():
    flat, photons = torch.full((1, 3, 64, 64), 0.2, dtype=torch.float64), 400.0
    drawn = torch.poisson(flat * photons, generator=torch.Generator().manual_seed(0)) / photons
    assert float(told(drawn, 1000, photons=photons, is_noisy=True).bits) == 0
    assert float(told(flat, 1000, photons=photons).bits) == 0
    grain = noise_image(0.05)
    few, many = (float(told(grain, 1000, photons=n).bits) for n in (1e3, 1e7))
    assert 0 < few < many


def test_dark_and_saturated_are_shares_of_pixels():
    light = torch.full((1, 3, 64, 64), 0.5)
    light[..., :16, :] = 1e-4
    light[..., 32:, :] = 3.0
    seen = told(light, SENSOR.well_td, SENSOR)
    assert (float(seen.dark), float(seen.saturated)) == (0.25, 0.5)
    assert float(told(light, 1e-3).dark) == 1


def test_more_noise_is_a_duller_receptor_and_bits_have_a_gradient():
    light, unit = noise_image(0.05), torch.tensor([500.0], dtype=torch.float64, requires_grad=True)
    photons = torch.full((1,), 1e6, dtype=torch.float64)
    bits = tell(light, unit, photons, CONES, is_noisy=False).bits
    assert float(bits.detach()) > float(tell(light, unit.detach(), photons, Receptor(noise=0.02), is_noisy=False).bits)
    (slope,) = torch.autograd.grad(bits.sum(), unit)
    step = 1.0
    beside = [float(tell(light, unit.detach() + s, photons, CONES, is_noisy=False).bits) for s in (-step, step)]
    assert float(slope) == pytest.approx((beside[1] - beside[0]) / (2 * step), rel=1e-3)


@pytest.mark.parametrize("settings", [{"exponent": 0.0}, {"half_td": -1.0}, {"well_td": 0.0}, {"noise": -0.1}])
def test_complaints(settings):
    with pytest.raises(ValueError, match="exponent, half_td and well_td > 0"):
        Receptor(**settings)


def test_what_lies_beyond_the_border_does_not_count():
    light = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    is_inside = torch.ones(1, 2, 48, dtype=torch.bool)
    unit, photons = torch.tensor([1000.0]), torch.tensor([1e6])

    def told(image, inside):
        one = tell(image, unit, photons, CONES, is_noisy=True, is_inside=inside)
        return torch.stack([one.bits, one.mean, one.dark, one.saturated])

    assert torch.allclose(told(light, is_inside), told(light, None), atol=1e-6)
    is_inside[:, 0, :24] = False
    beyond = light.clone()
    beyond[..., :14, :] = 0.0  # what filters of rows inside reach of it stays
    difference = (told(beyond, is_inside) - told(light, is_inside)).abs()
    assert float(difference[1:].max()) == 0
    assert float(difference[0]) < 0.02 < float((told(beyond, None) - told(light, None)).abs()[0])
