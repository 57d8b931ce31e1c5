"""The whole job on three tiny images: a file that a cortex inherits; going on; and another teaching's folder."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from ciliary.cortex import Cortex
from ciliary.cortex.stages.inherited import left_out, load_inherited
from ciliary.cortex.stages.weights import provenance
from ciliary.testing.stage import photograph
from ciliary.tuning.training.contours import merges
from ciliary.tuning.training.contours import teach as module
from ciliary.tuning.training.contours.learn import Learning
from ciliary.tuning.training.contours.pool import make_pool
from ciliary.tuning.training.contours.settings import TeachingSettings
from ciliary.tuning.training.contours.teach import teach
from ciliary_tests.labelled import write_labelled


@pytest.fixture
def settings(tmp_path, monkeypatch, buckets):
    monkeypatch.setattr(module, "make_pool", partial(make_pool, buckets=buckets))
    monkeypatch.setattr(merges, "fit_cost", partial(merges.fit_cost, n_steps=20))
    monkeypatch.setattr(module, "fit_objectness", partial(module.fit_objectness, n_steps=20))
    learning = Learning(n_steps=3, shares=(0.5, 0.5), in_bfloat16=False)
    root = write_labelled(tmp_path / "set", n_images=3)
    few = {"n_folds": 2, "n_code_steps": 8}
    return TeachingSettings(root, tmp_path / "out", sizes_px=(48,), learning=learning, **few)


@pytest.mark.slow
def test_the_whole_job(settings, monkeypatch):
    path = teach(settings, is_quiet=True)
    assert path == settings.out / "inherited_contours.safetensors"
    about = provenance(path)
    assert about["n_images"] == 3
    assert about["kind"] == "contours"
    assert str(settings.labelled.parent) not in str(about)  # no places
    cortex = Cortex(inherited="contours", inherited_weights=path)
    image = photograph(size=(48, 64))
    percept = cortex(image)
    assert torch.isfinite(percept.m4.masks).all()
    taught = load_inherited("contours", path)
    costs = [dict(taught[name].cost.named_parameters()) for name in ("m3", "m4")]
    assert all(torch.equal(costs[0][name], costs[1][name]) for name in costs[0])

    seen_by = left_out(settings.out, "contours")  # each image by what was taught without it
    fold = {image: file.stem[-1] for image, file in seen_by.items()}
    assert fold == {"im0": "0", "im1": "1", "im2": "0"}
    others = [load_inherited("contours", seen_by[image]) for image in ("im0", "im1")]
    assert torch.equal(others[0]["m4"].cost.either, taught["m4"].cost.either)  # one cost, of all images
    weights = [next(x["m1"].net.parameters()) for x in (*others, taught)]
    assert not any(torch.equal(weights[i], weights[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    with pytest.raises(FileNotFoundError, match="no all taught without some of its images in"):
        left_out(settings.out, "all")

    path.unlink()
    for name in ("learn", "learn_code", "make_pool"):  # parts are kept: only what is quick is done again
        monkeypatch.setattr(module, name, None)
    assert teach(settings, is_quiet=True) == path
    content = path.read_bytes()
    for name in ("learn_cost", "seen_scene"):  # again: nothing is left to do
        monkeypatch.setattr(module, name, None)
    assert teach(settings, is_quiet=True) == path
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match="holds a training that differs in seed; choose another folder"):
        teach(replace(settings, seed=1), is_quiet=True)


@pytest.mark.slow
def test_contours_go_on_from_those_of_another_teaching(settings, monkeypatch):
    first = teach(settings, is_quiet=True)
    begun = []
    learn = module.learn
    monkeypatch.setattr(module, "learn", lambda *args, **more: begun.append(more["begin"]) or learn(*args, **more))
    again = replace(settings, begin=settings.out, out=settings.out.with_name("again"))
    path = teach(again, is_quiet=True)
    assert provenance(path)["begun_from"]["learning"]["n_steps"] == 3
    kept = load_file(settings.out / "contours_contours_without 1.safetensors")
    assert torch.equal(begun[2].state_dict()["leave.weight"], kept["net.leave.weight"])
    assert first.read_bytes() != path.read_bytes()
    with pytest.raises(ValueError, match="taught other images or folds"):
        teach(replace(again, n_folds=3, out=settings.out.with_name("other")), is_quiet=True)
    with pytest.raises(ValueError, match="no teaching to go on from"):
        teach(replace(again, begin=settings.labelled), is_quiet=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", "none", "expected kind to be one of contours, all, got 'none'"),
        ("n_folds", 1, "at least 2 folds, got 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, name, value, message):
    with pytest.raises(ValueError, match=message):
        TeachingSettings(tmp_path, **{name: value})


def test_there_is_an_image_for_each_fold(settings):
    with pytest.raises(ValueError, match="expected at least 5 images, one a fold, got 3"):
        teach(replace(settings, n_folds=5), is_quiet=True)
    assert not settings.out.exists()
