"""Numbers a user names: their value on the undisturbed image, by hand, and what is said of names that are none."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import repeat_theta
from ciliary.cortex.plot.look import look, proto_objects
from ciliary.envs.config import EnvConfig
from ciliary.envs.evaluator import Evaluator
from ciliary.tuning.inspect.targets import fields_of, make_targets, together

NAMES = ("code", "slot:2", "term:collapse", "term:stability", "field:m1.energy:3", "field:m4.objectness")


@pytest.fixture(scope="module")
def targets(mathematical):
    return dict(zip(NAMES, make_targets(mathematical, NAMES), strict=True))


@pytest.fixture(scope="module")
def batch(mathematical):
    """The image itself, and one a half of which is grey."""
    hidden = mathematical.image.clone()
    hidden[:, :, :32] = 0.5
    return torch.stack([mathematical.image, hidden])


def test_what_stays_is_all_of_it_at_first_and_less_when_half_is_hidden(targets, batch):
    for name in ("code", "slot:2"):
        whole, half = targets[name].of(batch).tolist()
        assert whole == pytest.approx(1, abs=1e-5), name
        assert half < 0.99, name


def test_a_slot_is_the_best_fit_of_the_masks_by_hand(targets, batch, mathematical):
    own = mathematical.percept.masks[0, proto_objects(mathematical.percept)[1].slot]
    percept = mathematical.cortex(batch, repeat_theta(mathematical.theta, 2))
    fits = [float(torch.minimum(m, own).sum() / torch.maximum(m, own).sum()) for m in percept.masks[1]]
    assert float(targets["slot:2"].of(batch)[1]) == pytest.approx(max(fits), rel=1e-4)


def test_a_slot_is_about_a_part_of_the_image(targets, mathematical):
    assert (targets["slot:2"].region == proto_objects(mathematical.percept)[1].mask).all()
    assert targets["code"].region is None


def test_a_field_is_its_mean(targets, batch, mathematical):
    seen = mathematical.percept
    assert float(targets["field:m1.energy:3"].of(batch)[0]) == pytest.approx(float(seen.m1.energy[0, 3].mean()))
    assert float(targets["field:m4.objectness"].of(batch)[0]) == pytest.approx(float(seen.m4.objectness.mean()))


def test_terms_are_what_the_environment_says(targets, batch, mathematical):
    evaluator = Evaluator.of(EnvConfig(objective="raw"))
    looked = evaluator.look(batch[:1], [0])
    u = mathematical.cortex.table.to_unit(mathematical.theta)
    terms, _ = evaluator.judge(looked, [0], u)
    for name in ("collapse", "stability"):
        assert float(targets[f"term:{name}"].of(batch[:1])) == pytest.approx(float(terms[name]), abs=1e-4), name


def test_all_together_are_each_alone(targets, batch, mathematical):
    joint = together(mathematical, list(targets.values()))(batch)
    assert joint.shape == (2, len(NAMES))
    torch.testing.assert_close(joint, torch.stack([t.of(batch) for t in targets.values()], 1))


def test_what_is_differentiable_has_a_gradient(targets, batch):
    for name, target in targets.items():
        assert target.is_differentiable, name
        image = batch[1:].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(target.of(image).sum(), image)
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


def test_nothing_passes_a_hard_stage(mathematical):
    class Opaque(torch.nn.Module):
        def __init__(self, retina):
            super().__init__()
            self.retina = retina

        @torch.no_grad()
        def forward(self, *arguments):
            return self.retina(*arguments)

    cortex = Cortex(recognise=True, retina=Opaque(mathematical.cortex.retina))
    (code,) = make_targets(look(cortex, mathematical.image), ["code"])
    assert not code.is_differentiable


def test_experts_answer_for_the_whole_image(learned):
    gates = make_targets(learned, [f"gate:{k}" for k in range(1, 17)])
    shares = together(learned, gates)(learned.image[None])
    assert float(shares.sum()) == pytest.approx(1, abs=1e-5)
    m5 = learned.percept.m5
    assert float(shares[0, 4]) == pytest.approx(float((m5.weight[0] * m5.gate[0, :, 4]).sum()), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("kode", r"choose from code, slot:K"),
        ("code:1", r"choose from code"),
        ("slot", r"choose from code, slot:K"),
        ("slot:0", r"K from 1 to \d+, the proto-objects"),
        ("slot:99", r"got slot:99"),
        ("gate:1", r"--learned m5"),
        ("term:colapse", r"choose from total, stability"),
        ("field:m1.enrgy", r"choose from m1.energy, m1.affinity"),
        ("field:m9", r"retina.cones, .*m4.masks"),
        ("field:m1.energy:18", r"channels 0 to 17, got '18'"),
        ("field:m4.objectness:0", r"no channels"),
    ],
)
def test_complaints_say_what_there_is(mathematical, name, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_targets(mathematical, [name])


def test_experts_are_counted(learned):
    with pytest.raises(ValueError, match="K from 1 to 16, the experts"):
        make_targets(learned, ["gate:17"])


def test_terms_of_recognition_need_it(mathematical):
    blind = look(Cortex(), mathematical.image)
    with pytest.raises(ValueError, match="recognition"):
        make_targets(blind, ["term:completion"])
    with pytest.raises(ValueError, match="recognise=True"):
        make_targets(blind, ["code"])


def test_fields_are_what_the_percept_has(mathematical):
    known = fields_of(mathematical.percept)
    assert known["m1.energy"] == (18, 48, 64)
    assert "m2.regions" in known  # drawn when asked for
    assert not any(name.startswith("m1.cues") for name in known)
