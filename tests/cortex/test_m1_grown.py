"""M1 on grown filters: its contract, and the log-Gabor's energy where the filters are log-Gabors."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from ciliary.cortex import Cortex
from ciliary.cortex.ops.loggabor import spectrum_of
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_grown import PREFIX, GrownV1, about, grown, quadrature_transfer
from ciliary.cortex.stages.m1_perception import PAD_PX, v1_of_bank
from ciliary.cortex.stages.retina import retina
from ciliary.testing.stage import StageContract, photograph
from ciliary.tuning.training.filters_bank import Units, calibrate, centred, pool
from ciliary.tuning.training.filters_report import log_gabor_fields


def log_gabor_bank(*, odd=False):
    """V1 whose units are the log-Gabors of the second scale, as fields of 41 pixels."""
    fields = log_gabor_fields(41, 1)
    v1 = GrownV1((N_ORIENTATIONS, 1, 41, 41))
    v1.fields.copy_((fields[N_ORIENTATIONS:] if odd else fields[:N_ORIENTATIONS])[:, None])
    v1.wavelength_px.copy_(2 * default_theta(1)["wavelength_px"][0])
    v1.bandwidth_octaves.copy_(default_theta(1)["bandwidth_octaves"][0])
    return calibrate(v1, [photograph("coffee")[0]])


class TestGrownM1(StageContract):
    name = "m1"
    ignored = frozenset({"bandwidth_octaves"})

    @pytest.fixture
    def stage(self):
        return grown()


@pytest.mark.parametrize("odd", [False, True])
def test_with_log_gabors_for_units_it_has_their_energy(odd):
    """The field is finite, and even or odd: its partner in quadrature is the log-Gabor's other half."""
    theta = default_theta(1)
    seen = retina(photograph(), theta)
    for ours, theirs in zip(log_gabor_bank(odd=odd)(seen, theta), v1_of_bank(seen, theta), strict=True):
        assert ours.shape == theirs.shape
        for one, other in zip(ours.flatten(0, 2), theirs.flatten(0, 2), strict=True):
            assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.95
            assert one.mean() / other.mean() == pytest.approx(1, abs=0.3)  # the gains are another photograph's


def test_on_the_photograph_of_its_calibration_it_answers_as_strongly():
    theta = default_theta(1)
    seen = retina(photograph("coffee"), theta)
    for ours, theirs in zip(log_gabor_bank()(seen, theta), v1_of_bank(seen, theta), strict=True):
        torch.testing.assert_close(ours.mean((0, 3, 4)).sum(0), theirs.mean((0, 3, 4)).sum(0), rtol=1e-3, atol=0)


def test_energy_of_a_grating_does_not_depend_on_its_phase():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    wave = 2 * math.pi * (y * math.cos(0.5) - x * math.sin(0.5)) / 9
    v1, theta = grown().v1, default_theta(1, wavelength_px=9.0)
    inner = [
        v1.energy(spectrum_of(torch.cos(wave + p)[None, None], pad_px=PAD_PX), theta, 0, (64, 64))[..., 20:44, 20:44]
        for p in (0.0, 0.8, 1.6)
    ]
    strongest = [one[0, 0].mean((1, 2)) for one in inner]
    assert strongest[0].argmax() == 1  # a tangent of .5 rad lies nearest to that of 30 degrees
    spread = torch.stack([one[0, 0, 1] for one in inner])
    assert spread.std(0).max() < 0.05 * spread.mean()


def test_a_field_twice_as_large_has_half_the_frequency():
    field = log_gabor_fields(41, 0)[:1]
    small, large = (
        quadrature_transfer(field, tangent_rad=0.0, enlarged=torch.tensor([s]), grid=(128, 128), stride=1)[0, 0].abs()
        for s in (1.0, 2.0)
    )
    # tangent 0: the wave vector points down, along the first axis
    assert small[:, 0].argmax() == pytest.approx(2 * large[:, 0].argmax().item(), abs=2)
    assert small[0, 0] < 1e-4 * small.max()  # no answer to an even light
    assert (small[65:] == 0).all()  # nor to the half plane behind


def test_moved_fields_lie_about_the_middle():
    field = torch.zeros(2, 11, 11)
    field[0, 2:5, 7:9] = torch.tensor([[1.0, -1.0], [2.0, -2.0], [1.0, -1.0]])
    field[1, 5, 5] = 1.0
    found = centred(field)
    torch.testing.assert_close(found[1], field[1], atol=1e-5, rtol=0)
    power = found[0].square()
    place = torch.arange(11.0)
    assert (power.sum(1) @ place / power.sum()).item() == pytest.approx(5, abs=0.05)
    assert (power.sum(0) @ place / power.sum()).item() == pytest.approx(5, abs=0.05)


def test_each_channel_pools_units_of_its_own_orientation():
    from ciliary.cortex.neurons.tuning import tuning

    fields = log_gabor_fields(31, 1)[:N_ORIENTATIONS][torch.tensor([3, 0, 5, 1, 4, 2])]
    v1 = pool(Units(fields, tuning(fields), torch.ones(6)), n_pooled=1)
    again = tuning(v1.fields[:, 0]).orientation_rad
    wanted = torch.arange(N_ORIENTATIONS) * math.pi / N_ORIENTATIONS
    assert torch.sin(again - wanted).abs().max() < math.radians(2)
    with pytest.raises(ValueError, match="expected 6 units or more"):
        pool(Units(fields, tuning(fields), torch.zeros(6)), n_pooled=1)


def test_the_shipped_filters_say_where_they_come_from_and_make_a_cortex(tmp_path):
    assert about()["settings"]["rule"] == "sparse"
    cortex = Cortex(m1="ciliary.cortex.stages.m1_grown:grown")
    assert "bandwidth_octaves" in cortex.inert
    assert cortex(photograph()).masks.isfinite().all()
    save_file(
        {f"{PREFIX}{name}": value for name, value in grown().v1.state_dict().items()}, tmp_path / "own.safetensors"
    )
    assert torch.equal(grown(tmp_path / "own.safetensors").v1.fields, grown().v1.fields)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="ciliary train filters"):
        grown(tmp_path / "none.safetensors")
    save_file({"units": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no grown filters"):
        grown(tmp_path / "other.safetensors")
