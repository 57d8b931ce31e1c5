"""The projection whitens the photographs it was fitted on, and its scale is the variance at every pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ciliary.cortex.cues.fitting import StageMoments, at_sizes, fit_projection, interpolation
from ciliary.cortex.cues.network import Network
from ciliary.cortex.cues.projection import Projection, load_projection, projection_to_bytes
from ciliary.cortex.cues.trunk import Trunk

STRIDES, CHANNELS = (4, 8), (20, 26)


class Toy(nn.Module):
    """Two stages of mixed patches: channels that are far from white."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.kernels = [torch.randn(c, 3, s, s, generator=generator) for s, c in zip(STRIDES, CHANNELS, strict=True)]

    def forward(self, x):
        return [F.conv2d(x, kernel, stride=s).abs() + 3 for kernel, s in zip(self.kernels, STRIDES, strict=True)]


def photographs(n=4, size=(48, 64)):
    generator = torch.Generator().manual_seed(1)
    return [F.interpolate(torch.rand(1, 3, 12, 16, generator=generator), size=size, mode="bicubic")[0].clamp(0, 1)
            for _ in range(n)]  # fmt: skip


@pytest.fixture(scope="module")
def network():
    return Network(Toy(), strides=STRIDES, channels=CHANNELS, mean=(0.5,) * 3, std=(0.5,) * 3, border_px=8)


@pytest.fixture(scope="module")
def trunk(network):
    return Trunk(network, fit_projection(network, photographs(), sizes_px=(64,)))


def test_it_whitens_the_photographs_it_was_fitted_on(trunk):
    maps = trunk.maps(torch.stack(photographs()))
    assert trunk.widths == (16, 24)
    for x in maps:
        flat = x.transpose(0, 1).flatten(1)
        torch.testing.assert_close(flat.mean(1), torch.zeros(len(flat)), atol=2e-3, rtol=0)
        torch.testing.assert_close(flat @ flat.T / flat.shape[1], torch.eye(len(flat)), atol=5e-3, rtol=0)


def test_the_full_map_has_variance_one_and_stages_equal_shares(trunk):
    full = trunk(torch.stack(photographs()))
    assert full.shape[1] == trunk.n_channels == 24
    shares = full.var((2, 3), correction=0).unflatten(1, (2, -1)).sum(2).mean(0)
    torch.testing.assert_close(shares, torch.full((2,), 0.5), atol=1e-3, rtol=0)


def test_components_fall_in_variance_and_signs_are_fixed(network):
    one = fit_projection(network, photographs(), sizes_px=(64,))
    again = fit_projection(network, photographs()[::-1], sizes_px=(64,))
    for a, b in zip(one.axes, again.axes, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
        lengths = a.norm(dim=1)  # one over the spread of each
        assert (lengths.diff() > 0).all()


def test_the_variance_at_every_pixel_is_exact():
    maps = torch.randn(1, 5, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    moments = StageMoments(5, 8)
    moments.add(maps, (30, 45))
    every = F.interpolate(maps, scale_factor=8, mode="bilinear", align_corners=False)[0, :, :30, :45].flatten(1)
    torch.testing.assert_close(moments.within, every.cov(correction=0))
    torch.testing.assert_close(interpolation(6, 45, 8).sum(1), torch.ones(45, dtype=torch.float64))


def test_flat_photographs_are_not_stretched(network):
    flat = fit_projection(network, [torch.full((3, 48, 64), 0.3)], sizes_px=(64,))
    maps = Trunk(network, flat).maps(torch.stack(photographs()))
    assert all(torch.isfinite(x).all() for x in maps)


def test_none_is_enlarged():
    assert [x.shape[-2:] for x in at_sizes(torch.rand(3, 60, 100), (50, 100, 200))] == [(32, 50), (60, 100)]
    assert [x.shape[-2:] for x in at_sizes(torch.rand(3, 60, 100), (200,))] == [(60, 100)]


def test_no_photographs(network):
    with pytest.raises(ValueError, match="at least one photograph"):
        fit_projection(network, [])


def test_there_and_back(network, tmp_path):
    fitted = fit_projection(network, photographs(), sizes_px=(64,), about={"images": "made up"})
    path = tmp_path / "p.safetensors"
    path.write_bytes(projection_to_bytes(fitted))
    back = load_projection(path, CHANNELS)
    assert back.about == {"images": "made up", "photographs": 4, "views": 4, "sizes_px": [64]}
    for part in ("mean", "axes", "scale"):
        for a, b in zip(getattr(fitted, part), getattr(back, part), strict=True):
            assert torch.equal(a, b)


def test_what_is_none_is_refused(network, tmp_path):
    path = tmp_path / "p.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_projection(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"not a projection .*ciliary train features"):
        load_projection(path)
    one = Projection((torch.zeros(3),), (torch.eye(3),), (torch.ones(2),))
    path.write_bytes(projection_to_bytes(one))
    with pytest.raises(ValueError, match=r"a network with \(3,\) channels, this one has \(20, 26\)"):
        load_projection(path, CHANNELS)
    with pytest.raises(ValueError, match="expected a projection of"):
        Trunk(network, one)
    path.write_bytes(projection_to_bytes(Projection((torch.zeros(3),), (torch.eye(3) * torch.nan,), (torch.ones(2),))))
    with pytest.raises(ValueError, match="not finite"):
        load_projection(path)
    with pytest.raises(ValueError, match="expected mean"):
        Projection((torch.zeros(3),), (torch.eye(4),), (torch.ones(2),))
