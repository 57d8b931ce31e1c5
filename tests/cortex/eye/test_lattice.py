"""Where samples lie."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex.eye.lattice import (
    E2_GRATING_DEG,
    FoveatedLattice,
    UniformLattice,
    n_samples,
    pixel_lattice,
    uniform_camera,
)

FOVEATED = FoveatedLattice()


def test_spacing_grows_as_one_and_eccentricity_over_e2():
    eccentricity = FOVEATED.position_deg.norm(dim=-1)
    expected = FOVEATED.finest_deg * (1 + eccentricity / 0.75)
    torch.testing.assert_close(FOVEATED.spacing_deg, expected)
    # rings really are so far apart: the gap between two of them is the spacing half way
    gap = eccentricity[1:, 0] - eccentricity[:-1, 0]
    torch.testing.assert_close(gap, (expected[1:, 0] + expected[:-1, 0]) / 2, rtol=2e-3, atol=0)
    assert FOVEATED.finest_deg == pytest.approx(0.0654, abs=1e-4)
    assert FOVEATED.reach_deg == pytest.approx(0.75 * (math.exp(math.pi) - 1))


def test_cells_are_squares_far_out():
    eccentricity = FOVEATED.position_deg.norm(dim=-1)[:, 0]
    along = 2 * math.pi * eccentricity / 72
    ratio = along / FOVEATED.spacing_deg[:, 0]
    assert float(ratio[-1]) == pytest.approx(1.0, abs=0.05)
    assert bool((ratio < 1).all())
    shallow = FoveatedLattice(e2_deg=E2_GRATING_DEG, foveal_spacing_deg=0.1)
    assert float(shallow.spacing_deg[0, 0] / shallow.finest_deg) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("lattice", [FOVEATED, UniformLattice(5, 7, 0.5), FoveatedLattice(9, 12, 2.0, 0.3)])
def test_every_sample_is_found_where_it_lies(lattice):
    row, column, spacing = lattice.locate(lattice.position_deg)
    expected_row, expected_column = torch.meshgrid(*(torch.arange(n).double() for n in lattice.shape), indexing="ij")
    torch.testing.assert_close(row, expected_row)
    if lattice.wraps:
        column = column % lattice.shape[1]
    torch.testing.assert_close(column, expected_column)
    torch.testing.assert_close(spacing, lattice.spacing_deg)


def test_beyond_its_reach_there_is_nothing():
    for lattice, outside in ((FOVEATED, 17.0), (UniformLattice(5, 5, 0.5), 1.4)):
        spacing = lattice.locate(torch.tensor([[0.0, outside], [0.0, 0.1]], dtype=torch.float64))[2]
        assert torch.isinf(spacing).tolist() == [True, False]


def test_the_camera_of_as_many_samples_covers_the_field():
    for samples in (1, 100, 2592, 8 * 2592):
        for field in ((25.0, 100 / 3), (30.0, 10.0)):
            camera = uniform_camera(samples, field)
            assert n_samples(camera) <= samples
            assert camera.n_rows * camera.spacing >= field[0] - 1e-9
            assert camera.n_columns * camera.spacing >= field[1] - 1e-9
            if samples > 1000:
                assert n_samples(camera) > 0.97 * samples
                assert camera.spacing == pytest.approx(math.sqrt(field[0] * field[1] / samples), rel=0.03)
    assert pixel_lattice((3, 4), 2.0).spacing == 0.5


def test_complaints():
    with pytest.raises(ValueError, match="2 rings of 3"):
        FoveatedLattice(1, 72)
    with pytest.raises(ValueError, match="e2_deg"):
        FoveatedLattice(e2_deg=0.0)
    with pytest.raises(ValueError, match="spacing > 0"):
        UniformLattice(2, 2, 0.0)
    with pytest.raises(ValueError, match="samples >= 1"):
        uniform_camera(0, (1.0, 1.0))
