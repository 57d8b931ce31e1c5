"""The curriculum runs from newborn to adult, resumes to the bit, moves only what it trains, balances its experts."""

from importlib.resources import files

import pytest
import torch
import torch.nn.functional as F
from torchvision.utils import save_image

from ciliary.cortex import Cortex
from ciliary.cortex.description import PARTS
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.cortex.stages.weights import load_stages, provenance
from ciliary.envs.data.sources import bundled
from ciliary.tuning.cli.stopping import Stopped
from ciliary.tuning.training import cortex as maturing
from ciliary.tuning.training import losses
from ciliary.tuning.training.batches import Batches
from ciliary.tuning.training.cortex import State, load, mature, newborn, run_phase, save
from ciliary.tuning.training.curriculum import PHASES, Curriculum, PhaseSettings, read_curriculum
from ciliary.tuning.training.settings import MatureSettings
from ciliary.tuning.training.teaching import joined_borders
from scripts import train_cortex

WEIGHTS = {
    "m2": {"align": 1.0, "consistency": 0.5, "scale": 0.2, "density": 0.2},
    "m3": {"contrast": 1.0, "invariance": 0.5, "redundancy": 0.1},
    "m5": {"contrast": 1.0, "completion": 1.0, "doubt": 0.05, "imbalance": 0.5},
}
STEPS = {"m5": 2}  # where the training will be stopped in the midst of a phase


def curriculum(phases=PHASES, **changes):
    made = {
        name: PhaseSettings((name,), STEPS.get(name, 1), 1e-3, WEIGHTS[name], n_rounds=1, n_pairs=16) for name in phases
    }
    shared = {"long_side_px": 48, "hold_out": 3, "n_batch": 2, "check_every": 1, "n_settings": 2, "seed": 3}
    return Curriculum(made, **(shared | changes))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for photograph in bundled(96, ("coffee", "chelsea", "rocket", "astronaut")):
        save_image(photograph.image, folder / f"{photograph.name}.png")
    return folder


def tensors(path):
    return {f"{n}.{k}": v for n, stage in load_stages(True, path).items() for k, v in stage.state_dict().items()}


@pytest.fixture(scope="module", autouse=True)
def _short_looks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maturing, "N_CHECK_BATCHES", 1)
        yield


@pytest.fixture(scope="module")
def adult(photographs, make_out):
    return mature(MatureSettings(curriculum(), (photographs,), make_out()), is_quiet=True)


def test_all_phases_leave_weights_that_perceive_and_say_where_they_come_from(adult):
    about = provenance(adult)
    assert {"curriculum", "n_photographs", "date", "versions", "labels"} <= set(about)
    percept = Cortex(learned=True, weights=adult)(bundled(64, ("coffee",))[0].image[None])
    assert torch.isfinite(percept.m5.code).all()
    assert percept.m5.gate.count_nonzero(-1).max() == 2
    assert (adult.parent / "progress.jsonl").read_text().count("\n") >= 2 * len(PHASES)


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(adult, photographs, out, monkeypatch):
    settings = MatureSettings(curriculum(), (photographs,), out)
    kept = maturing.save

    def save_and_stop(state, path):
        kept(state, path)
        if len(state.done) == 2 and state.i_step == 1:  # one of the two steps of m5
            raise Stopped

    monkeypatch.setattr(maturing, "save", save_and_stop)
    with pytest.raises(Stopped):
        mature(settings, is_quiet=True)
    resumed = tensors(mature(settings, is_quiet=True))
    for name, value in tensors(adult).items():
        assert torch.equal(value, resumed[name]), name


def test_only_the_stage_of_the_phase_moves(photographs):
    state = State(newborn(0))
    before = {n: {k: v.clone() for k, v in stage.state_dict().items()} for n, stage in state.stages.items()}
    batches = Batches(list(bundled(96, ("coffee", "chelsea"))), shape_px=(36, 48), seed=0)
    settings = curriculum(("m3",), patience=9)
    run_phase("m3", settings.phases["m3"], settings, state, batches, batches, on_check=lambda values: None)
    for name, stage in state.stages.items():
        moved = any(not torch.equal(v, before[name][k]) for k, v in stage.state_dict().items())
        assert moved == (name == "m3"), name


def test_the_same_seed_is_born_the_same_and_nothing_else_changes():
    before = torch.get_rng_state()
    one, other, third = newborn(1), newborn(1), newborn(2)
    assert torch.equal(torch.get_rng_state(), before)
    for name in LEARNED_STAGES:
        a, b, c = (dict(s[name].state_dict()) for s in (one, other, third))
        assert all(torch.equal(a[k], b[k]) for k in a)
        assert any(not torch.equal(a[k], c[k]) for k in a)


def test_a_state_survives_its_file(tmp_path):
    state = State(newborn(0), done=["m2"], i_step=3, best=0.5, log=[{"at": 1.0}])
    save(state, tmp_path / "c.pt")
    names = {"stages", "done", "i_step", "best", "n_since_best", "kept", "optimiser", "log"}  # as ever since 0.1
    assert set(torch.load(tmp_path / "c.pt", weights_only=True)) == names
    other = State(newborn(1))
    load(other, tmp_path / "c.pt")
    assert (other.done, other.i_step, other.best, other.log) == (["m2"], 3, 0.5, [{"at": 1.0}])
    assert torch.equal(other.stages["m2"].net.enter[0].weight, state.stages["m2"].net.enter[0].weight)


def test_a_state_of_other_stages_is_refused(tmp_path):
    save(State(newborn(0)), tmp_path / "c.pt")
    with pytest.raises(ValueError, match=r"c\.pt trains m2, m3, m5, not m2, m3; choose another folder"):
        load(State({name: stage for name, stage in newborn(0).items() if name != "m5"}), tmp_path / "c.pt")


def test_joined_borders_by_hand():
    labels = torch.zeros(1, 2, 2, 4, dtype=torch.uint8)
    labels[0, 0, :, 2:] = 1  # one of two settings splits between the columns 1 and 2
    expected = torch.tensor([[0.0, 0.5, 0.5, 0.0]] * 2)[None, None]
    assert torch.equal(joined_borders(labels), expected)


def test_balanced_load_is_reached_and_hidden_parts_are_completed_better_than_by_the_mean():
    """A toy: 8 kinds of object whose parts belong together; nothing but the losses says there are kinds."""
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = ExpertBank(n_experts=4, n_active=1)
    kinds = torch.randn(8, len(net.mean), generator=rng)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    with torch.no_grad():  # one expert does everything
        net.router.bias.copy_(torch.tensor([4.0, 0, 0, 0]))

    def sample(n=128):
        return kinds[torch.randint(8, (n,), generator=rng)] + 0.1 * torch.randn(n, kinds.shape[1], generator=rng)

    visible = torch.ones(128, 5)
    visible[:, 3] = 0  # the shape
    first = losses.load_imbalance(net(sample(), visible)[2])
    for _ in range(150):
        x = sample()
        _, completed, _, full = net(x, visible)
        loss = F.mse_loss(completed, x) + losses.load_imbalance(full)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x = sample()
    _, completed, gate, _ = net(x, visible)
    error = F.mse_loss(completed[:, PARTS["shape"]], x[:, PARTS["shape"]])
    mean_error = F.mse_loss(kinds.mean(0)[PARTS["shape"]].expand_as(x[:, PARTS["shape"]]), x[:, PARTS["shape"]])
    assert losses.load_imbalance(gate) < 0.3 < first
    assert error < 0.5 * mean_error


def test_the_curriculum_that_comes_with_the_project():
    made = read_curriculum()
    assert tuple(made.phases) == PHASES
    assert set(LEARNED_STAGES) == {stage for phase in made.phases.values() for stage in phase.trains}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = [", "is no curriculum"),
        ("sede = 1", "sede"),
        ("[phases.m9]\ntrains=['m2']\nn_steps=1\nrate=1.0\nweights={}", "m9"),
        ("[phases.m4]\ntrains=['m2']\nn_steps=1\nrate=1.0\nweights={}", "choose from m2, m3, m5"),
        ("[phases.m2]\ntrains=['m9']\nn_steps=1\nrate=1.0\nweights={}", "m9"),
        ("[phases.m2]\ntrains=['m1']\nn_steps=1\nrate=1.0\nweights={}", "stages to train from m2, m3, m5"),
        ("[phases.m2]\ntrains=['m2']\nn_steps=1\nrate=0.0\nweights={}", "rate > 0"),
    ],
)
def test_a_wrong_curriculum_is_named(tmp_path, text, said):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_curriculum(path)


def test_the_command(photographs, out, tmp_path, capsys):
    assert train_cortex.main(["--print-config"]) == 0
    text = capsys.readouterr().out
    assert text == files("ciliary.tuning.training").joinpath("curriculum.toml").read_text(encoding="utf-8")
    assert train_cortex.main(["--images", str(tmp_path / "nowhere"), "--out", str(tmp_path / "o")]) == 1
    config = tmp_path / "small.toml"
    config.write_text(
        "long_side_px=48\nhold_out=3\nn_batch=2\ncheck_every=1\nn_settings=2\n"
        "[phases.m2]\ntrains=['m2']\nn_steps=1\nrate=1e-3\nweights={align=1.0}\n"
    )
    assert train_cortex.main(["--images", str(photographs), "--config", str(config), "--out", str(out)]) == 0
    page = (out / "report.md").read_text(encoding="utf-8")
    for stage in ("M2", "M3", "M5"):
        assert f"| {stage} |" in page
    assert (out / "curves.png").stat().st_size > 2000
    other = ["--images", str(photographs), "--out", str(out)]
    assert train_cortex.main(other) == 1  # another curriculum, the same folder
    assert "another folder" in capsys.readouterr().err
