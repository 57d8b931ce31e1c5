"""The file of the learned stages: what goes in comes out, what is wrong is named, each stage has its own switch."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ciliary.cortex import Cortex
from ciliary.cortex.options import LEARNED, STAGES
from ciliary.cortex.stages import weights
from ciliary.cortex.stages.m2_grouping import M2
from ciliary.cortex.stages.table import LEARNED_STAGES, TABLE
from ciliary.cortex.stages.weights import load_stages, provenance, stage_names, stages_to_bytes
from ciliary.testing.stage import photograph, tensors


def stages():
    torch.manual_seed(0)
    return {name: make() for name, make in LEARNED_STAGES.items()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cortex.safetensors"
    path.write_bytes(stages_to_bytes(stages(), {"data": "none", "steps": 3}))
    return path


# --- names


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (True, ("m2", "m3", "m5")),
        (False, ()),
        ((), ()),
        (("m5", "m2"), ("m2", "m5")),
        (["m3", "m3"], ("m3",)),
        ("m5", ("m5",)),
    ],
)
def test_names_in_their_order(asked, names):
    assert stage_names(asked) == names


@pytest.mark.parametrize("asked", [("m2", "m6"), "m2,m3", ["retina"], "m1", ("m3", "m4")])
def test_unknown_stages_are_named(asked):
    with pytest.raises(ValueError, match=r"no learned part for \[.*\]; choose from m2, m3, m5, or True for all"):
        stage_names(asked)
    with pytest.raises(ValueError, match="no learned part"):
        Cortex(learned=asked)


# --- the file


def test_what_was_written_is_read_to_the_last_bit(file):
    found = load_stages(True, file)
    assert list(found) == list(LEARNED_STAGES)
    for name, stage in stages().items():
        before, after = stage.state_dict(), found[name].state_dict()
        assert list(before) == list(after)
        assert all(torch.equal(before[key], after[key]) for key in before), name
        assert not any(p.requires_grad for p in found[name].parameters())
        assert not found[name].training
    assert stages_to_bytes(found, {"data": "none", "steps": 3}) == file.read_bytes()


def test_it_says_where_it_comes_from(file, tmp_path):
    assert provenance(file) == {"data": "none", "steps": 3}
    with pytest.raises(FileNotFoundError, match="no learned cortex"):
        provenance(tmp_path / "none.safetensors")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ValueError, match="text is not a learned cortex"):
        provenance(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "silent")
    assert provenance(tmp_path / "silent") == {}


def test_the_one_that_comes_with_the_project_is_taken_unless_another_is_given(file, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", file)
    assert list(load_stages(("m3",))) == ["m3"]
    assert provenance()["steps"] == 3
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError, match=r"no learned cortex at .*none.safetensors; train one with scripts/"):
        Cortex(learned=True)
    assert isinstance(Cortex(learned=False).m2, M2)  # who asks for none needs no file


def test_the_one_that_comes_with_the_project_holds_the_stages_there_are():
    with safe_open(str(weights.SHIPPED), "pt") as shipped:
        assert {key.split(".")[0] for key in shipped.keys()} == set(LEARNED)  # noqa: SIM118 -- no mapping
    assert list(load_stages()) == list(LEARNED)
    assert "m1 and m4" in provenance()["left_out"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors; train one"):
        load_stages(True, tmp_path / "missing.safetensors")


@pytest.mark.parametrize("content", [b"", b"no weights at all, only words", bytes(200)])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"odd is not a learned cortex of this version .*; train one with"):
        load_stages(True, path)


def test_a_stage_that_is_not_in_it_is_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(stages_to_bytes({name: stages()[name] for name in ("m3", "m5")}, {}))
    assert list(load_stages(("m5", "m3"), path)) == ["m3", "m5"]
    with pytest.raises(ValueError, match=r"half.safetensors .*it holds m3, m5, not m2"):
        load_stages(True, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("net.router.bias"),
        lambda tensors: tensors.update({"net.another": torch.zeros(2)}),
        lambda tensors: tensors.update({"net.router.weight": torch.zeros(1, 99)}),
    ],
    ids=["one less", "one more", "of another shape"],
)
def test_weights_of_another_version_are_refused(tmp_path, change):
    own = stages()["m5"].state_dict()
    change(own)
    save_file({f"m5.{key}": value for key, value in own.items()}, tmp_path / "old.safetensors")
    with pytest.raises(ValueError, match="is not a learned cortex of this version"):
        load_stages(("m5",), tmp_path / "old.safetensors")


# --- switches


@pytest.mark.parametrize("name", list(LEARNED_STAGES))
def test_each_stage_has_its_own_switch(file, name):
    cortex = Cortex(learned=(name,), weights=file)
    mathematics = Cortex(recognise=name == "m5")
    for other in LEARNED_STAGES:
        expected = LEARNED_STAGES[name] if other == name else type(getattr(mathematics, other))
        assert type(getattr(cortex, other)) is expected


def test_a_stage_that_is_given_goes_before_a_learned_one(file):
    own = M2()
    cortex = Cortex(learned=True, weights=file, m2=own)
    assert cortex.m2 is own
    assert isinstance(cortex.m3, LEARNED_STAGES["m3"])


def test_without_learned_stages_it_is_the_same_cortex_to_the_last_bit():
    image = photograph(size=(48, 64))
    one, other = tensors(Cortex()(image)), tensors(Cortex(learned=False)(image))
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not list(Cortex(learned=()).parameters())


def test_learned_cortices_of_one_file_are_the_same(file):
    image = photograph(size=(48, 64))
    torch.manual_seed(1)  # whatever was drawn before
    one, other = (tensors(Cortex(learned=True, weights=file)(image)) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_command_lines_know_the_same_stages():
    assert tuple(TABLE) == STAGES
    assert tuple(LEARNED_STAGES) == LEARNED
