"""Any timm model: real small ones, with random weights in a file, by every way that timm shows stages."""

import logging
import math

import pytest
import timm
import torch
from safetensors.torch import save_file

from ciliary.cortex import Cortex
from ciliary.cortex.cues import BackboneUnavailable, make_backbone, pretrained
from ciliary.cortex.cues.fitting import fit_projection
from ciliary.cortex.cues.models import make_network, stages_of
from ciliary.cortex.cues.network import Network, choose_stages
from ciliary.cortex.cues.projection import find_projection, projection_to_bytes
from ciliary.testing.stage import photograph

#: Convolutions; channels last; a transformer of any size; one of a single size; windows of a single size.
SMALL = {
    "test_resnet.r160_in1k": (4, 8, 16),
    "test_mambaout": (4, 8, 16),
    "test_vit.r160_in1k": (16, 16, 16),
    "test_vit_relpos": (16, 16, 16),
    "test_maxvit": (4, 8, 16),
}
SMALL = {name: strides for name, strides in SMALL.items() if timm.is_model(name.partition(".")[0])}  # some are new


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Model -> a file with its random weights; .safetensors and .pth in turn."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for i, name in enumerate(SMALL):
        torch.manual_seed(i)
        tensors = timm.create_model(name).state_dict()
        files[name] = folder / f"{name}{('.safetensors', '.pth')[i % 2]}"
        if i % 2:
            torch.save({"state_dict": tensors, "epoch": 3}, files[name])  # as trainings keep it
        else:
            save_file(tensors, files[name])
    return files


@pytest.fixture
def projections(tmp_path, monkeypatch):
    monkeypatch.setenv("CILIARY_PROJECTIONS", str(tmp_path / "projections"))
    return tmp_path / "projections"


@pytest.fixture(scope="module", params=SMALL)
def network(request, weights):
    return request.param, make_network(request.param, weights[request.param])


@pytest.mark.parametrize("size", [(96, 144), (75, 101), (32, 32)])
def test_strides_and_sizes(network, size):
    name, made = network
    image = photograph(size=size).repeat(2, 1, 1, 1)
    maps = made(image)
    assert made.strides == SMALL[name]
    for x, stride, n_channels in zip(maps, made.strides, made.channels, strict=True):
        assert x.shape == (2, n_channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        assert torch.isfinite(x).all()
        assert not x.requires_grad


def test_samples_do_not_meet(network):
    _, made = network
    image = torch.cat([photograph("astronaut", (64, 96)), photograph("coffee", (64, 96))])
    for both, alone in zip(made(image), made(image[1:]), strict=True):
        torch.testing.assert_close(both[1:], alone, atol=1e-3, rtol=1e-3)


def test_declared_mean_and_std_are_used(weights):
    name = "test_resnet.r160_in1k"
    made = make_network(name, weights[name])
    declared = timm.get_pretrained_cfg(name)
    assert made.mean.flatten().tolist() == pytest.approx(declared.mean)
    assert made.std.flatten().tolist() == pytest.approx(declared.std)
    image = photograph()
    other = stages_of(
        name, timm.create_model(name).state_dict(), {**declared.to_dict(), "mean": (0.1,) * 3, "std": (0.2,) * 3}
    )
    other.stages.load_state_dict(made.stages.state_dict())
    assert not torch.allclose(made(image)[0], other(image)[0], atol=1e-3)
    same = (image - made.mean) / made.std * other.std + other.mean  # to the other's eye what the image is to ours
    for ours, theirs in zip(made(image), other(same), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.skipif("test_maxvit" not in SMALL, reason="this timm has no such small models; pip install -U timm")
def test_a_model_of_one_size_gets_the_size_it_declares(weights):
    assert make_network("test_maxvit", weights["test_maxvit"]).input_px == (160, 160)
    assert make_network("test_vit_relpos", weights["test_vit_relpos"]).input_px == (160, 160)
    assert make_network("test_vit.r160_in1k", weights["test_vit.r160_in1k"]).input_px is None


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_vit.r160_in1k"])
def test_the_stages_are_the_models_own(name, weights):
    """At the declared size, where nothing is padded or resized: what forward_intermediates of the whole model gives."""
    whole, declared = pretrained.load_model(name, weights[name])
    made = make_network(name, weights[name])
    image = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    given = (image - torch.tensor(declared["mean"]).view(3, 1, 1)) / torch.tensor(declared["std"]).view(3, 1, 1)
    indices = [1, 2, 3] if "resnet" in name else [1, 3, 5]
    with torch.no_grad():
        theirs = whole.eval().forward_intermediates(given, indices=indices, intermediates_only=True)
        ours = made.stages(given)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_shifted_picture_has_shifted_maps(weights):
    made = make_network("test_resnet.r160_in1k", weights["test_resnet.r160_in1k"])
    image = photograph("coffee", (256, 320))
    here, there = made(image[..., :288]), made(image[..., 32:])
    x, y = here[0][..., 8:][..., 16:-16, 16:-16], there[0][..., :-8][..., 16:-16, 16:-16]
    assert (x - y).square().mean() < 0.01 * x.var()


def test_a_picture_brought_to_size_comes_back_where_it_was():
    """A ramp, seen square by a network that averages cells: each cell of the picture has the ramp's value there."""

    class Cells(torch.nn.Module):
        def forward(self, x):
            return [torch.nn.functional.avg_pool2d(x, 4)]

    made = Network(Cells(), strides=(4,), channels=(3,), mean=(0,) * 3, std=(1,) * 3, input_px=(64, 64))
    height, width = 50, 150
    image = ((torch.arange(width) + 0.5) / width).expand(1, 3, height, width).contiguous()
    (maps,) = made(image)
    assert maps.shape == (1, 3, 13, 38)
    expected = (torch.arange(38) + 0.5) * 4 / width
    torch.testing.assert_close(maps[0, 0, 5, 2:-2], expected[2:-2], atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("strides", "chosen"),
    [
        ([2, 4, 8, 16, 32], (1, 2, 3)),
        ([1, 2, 4, 8, 16, 32], (2, 3, 4)),
        ([4, 8, 16, 32], (0, 1, 2)),
        ([16] * 12, (3, 7, 11)),
        ([14] * 2, (0, 1)),
        ([4, 4, 8, 8], (1, 3)),
        ([16, 32, 64], (0,)),
        ([32, 64], (0,)),
        ([32], (0,)),
    ],
)
def test_which_stages_are_looked_at(strides, chosen):
    assert choose_stages(strides) == chosen


# --- by name


def test_fitted_once_it_is_found_by_its_name(weights, projections):
    name, file = "test_vit.r160_in1k", weights["test_vit.r160_in1k"]
    with pytest.raises(BackboneUnavailable, match=rf"ciliary train features {name} --features-weights .*{file.name}"):
        make_backbone(name, file)
    projections.mkdir()
    fitted = fit_projection(make_network(name, file), [photograph(size=(96, 128))[0]], sizes_px=(64, 128))
    find_projection(name, file).write_bytes(projection_to_bytes(fitted))
    cortex = Cortex(features=name, features_weights=file)
    cues = cortex.cues(photograph(size=(64, 96)))
    assert [x.shape[-2:] for x in cues.trunk] == [(4, 6)] * 3
    assert cues.backbone.shape[-2:] == (64, 96)
    assert torch.isfinite(cortex(photograph(size=(64, 96)), cues=cues).masks).all()
    find_projection(name, file).write_bytes(b"not a projection")
    with pytest.raises(BackboneUnavailable, match="fit it anew with ciliary train features"):
        make_backbone(name, file)


def test_other_weights_have_another_projection(weights, projections, monkeypatch):
    a, b = list(weights.values())[:2]
    assert find_projection("resnet50") == projections / "resnet50.safetensors"
    assert len({find_projection("resnet50", x) for x in (None, a, b)}) == 3
    monkeypatch.delenv("CILIARY_PROJECTIONS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert str(find_projection("resnet50")) == "/caches/ciliary/projections/resnet50.safetensors"


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet5'; .* such as .*resnet50") as raised:
        make_backbone("resnet5")
    assert isinstance(raised.value, BackboneUnavailable)
    with pytest.raises(ValueError, match=r"resnet50 has no weights called 'mine'; choose from .*a1_in1k"):
        make_backbone("resnet50.mine")


def test_without_a_network_it_says_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("we are offline")

    monkeypatch.setattr(pretrained.timm, "create_model", offline)
    with pytest.raises(BackboneUnavailable, match=r"we are offline.*--features-weights FILE.*efficientnet_lite0"):
        make_backbone("resnet50")


def test_wrong_files_are_refused(weights, tmp_path):
    with pytest.raises(BackboneUnavailable, match="found no such file"):
        make_network("test_resnet", tmp_path / "none.pth")
    for suffix in (".pth", ".safetensors"):
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(b"not a checkpoint")
        with pytest.raises(BackboneUnavailable, match="could not read it"):
            make_network("test_resnet", broken)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BackboneUnavailable, match="got list"):
        make_network("test_resnet", tmp_path / "list.pth")
    with pytest.raises(BackboneUnavailable, match=r"does not hold the tensors of test_resnet .*this very model"):
        make_network("test_resnet", weights["test_vit.r160_in1k"])
    torch.save(logging.Handler, tmp_path / "code.pth")  # more than tensors: never loaded
    with pytest.raises(BackboneUnavailable, match="tensors only"):
        make_network("test_resnet", tmp_path / "code.pth")


@pytest.mark.parametrize("n_classes", [0, 7])
def test_a_users_own_head_or_none_is_well(n_classes, tmp_path):
    torch.save(timm.create_model("test_resnet", num_classes=n_classes).state_dict(), tmp_path / "own.pth")
    assert len(make_network("test_resnet", tmp_path / "own.pth").channels) == 3
    tensors = timm.create_model("test_resnet", num_classes=n_classes).state_dict()
    tensors.pop(next(iter(tensors)))
    torch.save(tensors, tmp_path / "part.pth")
    with pytest.raises(BackboneUnavailable, match="does not hold"):
        make_network("test_resnet", tmp_path / "part.pth")
