"""The file of inherited stages: what goes in comes out, what is wrong is named, who goes before whom."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ciliary.cortex import Cortex, model
from ciliary.cortex.options import INHERITED
from ciliary.cortex.stages import inherited as inherited_stages
from ciliary.cortex.stages.inherited import TRUNK, TRUNK_WIDTHS, left_out, left_out_path, load_inherited, make_inherited
from ciliary.cortex.stages.m2_grouping import M2
from ciliary.cortex.stages.m2_taught import GivenM2, TaughtM2
from ciliary.testing.stage import photograph, tensors
from ciliary_tests.untaught import untaught, write_untaught

IMAGE = photograph(size=(32, 48))


@pytest.fixture
def file(tmp_path):
    return write_untaught(tmp_path / "inherited.safetensors")


def test_what_was_written_is_read_to_the_last_bit(file):
    found, expected = load_inherited("contours", file), untaught("contours")
    assert list(found) == list(expected)
    for name, stage in expected.items():
        before, after = stage.state_dict(), found[name].state_dict()
        if name != "m2":  # whose normalisation is read into its convolutions
            assert all(torch.equal(before[key], after[key]) for key in before), name
        assert not any(p.requires_grad for p in found[name].parameters())
        assert not found[name].training


def test_a_cortex_inherits_a_file(file):
    cortex, same = Cortex(inherited="contours", inherited_weights=file), Cortex(**untaught("contours"))
    one, other = (tensors(x(IMAGE)) for x in (cortex, same))
    assert all(torch.equal(one[name], other[name]) for name in one if name.startswith(("retina", "m1")))
    assert torch.allclose(cortex(IMAGE).m2.contour, same(IMAGE).m2.contour, atol=1e-4)
    assert not torch.equal(Cortex()(IMAGE).m2.contour, cortex(IMAGE).m2.contour)


def test_none_is_the_mathematical_cortex():
    assert load_inherited("none") == make_inherited("none") == {}
    one, other = (tensors(x(IMAGE)) for x in (Cortex(), Cortex(inherited="none")))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_given_goes_before_what_is_inherited(file):
    own = M2()
    cortex = Cortex(inherited="contours", inherited_weights=file, m2=own)
    assert cortex.m2 is own
    mine = Cortex(inherited="contours", inherited_weights=file, contours=lambda image: image[:, :1])
    assert isinstance(mine.m2, GivenM2)
    assert type(mine.m3) is type(cortex.m3) is type(untaught()["m3"])


def test_what_is_no_such_file_is_refused(file, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="choose from none, contours, all"):
        Cortex(inherited="some")
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors; teach one with: ciliary train cortex"):
        load_inherited("contours", tmp_path / "missing.safetensors")
    with pytest.raises(ValueError, match="is not a learned cortex of this version"):
        load_inherited("all", file)  # another kind
    (tmp_path / "words").write_text("no weights at all, only words")
    with pytest.raises(ValueError, match="words is not a learned cortex of this version"):
        load_inherited("contours", tmp_path / "words")
    monkeypatch.setattr(inherited_stages, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"inherited_contours\.safetensors"):
        Cortex(inherited="contours")


def test_each_image_has_the_stages_that_were_taught_without_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="no contours taught without some of its images"):
        left_out(tmp_path, "contours")
    folds = (("a", "c"), ("b",))
    paths = [
        write_untaught(left_out_path(tmp_path, "contours", k), seed=k, without=some) for k, some in enumerate(folds)
    ]
    write_untaught(tmp_path / "inherited_contours.safetensors", seed=7)  # that of all images is none of them
    write_untaught(left_out_path(tmp_path, "all", 0), "all", without=("z",))
    assert left_out(tmp_path, "contours") == {"a": paths[0], "c": paths[0], "b": paths[1]}


class FakeTrunk(nn.Module):
    """Colours at three strides for the maps of a trained network."""

    def maps(self, image):
        mean = image.mean(1, keepdim=True)
        return tuple(
            nn.functional.avg_pool2d(mean, s, ceil_mode=True).expand(-1, n, -1, -1)
            for n, s in zip(TRUNK_WIDTHS, (4, 8, 16), strict=True)
        )

    def full(self, maps, size):
        return nn.functional.interpolate(maps[0][:, :2], size=size)


def test_all_brings_its_trunk(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(model, "make_backbone", lambda name, weights: asked.append(name) or FakeTrunk())
    file = write_untaught(tmp_path / "all.safetensors", "all")
    cortex = Cortex(inherited="all", inherited_weights=file)
    assert asked == [TRUNK]
    image = photograph(size=(33, 47))
    cues = cortex.cues(image)
    assert [x.shape[1] for x in cues.trunk] == list(TRUNK_WIDTHS)
    percept = cortex(image)
    assert percept.m2.contour.shape == (1, 1, 33, 47)
    assert "backbone_weight" not in cortex.inert
    with pytest.raises(ValueError, match=f"was taught on {TRUNK}, got features='resnet18'; use inherited='contours'"):
        Cortex(inherited="all", features="resnet18")


def test_the_kinds_that_command_lines_know_are_those_that_are_made():
    for kind in INHERITED[1:]:
        stages = SimpleNamespace(**make_inherited(kind))
        assert isinstance(stages.m2, TaughtM2)
