"""The training's command line: what is asked of whom, what it prints, and what the exit code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stable_baselines3 import PPO

from ciliary.envs.toy import ToyEnv
from ciliary.tuning.cli.stopping import Stopped
from ciliary.tuning.runs.registry import find_policy
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "train_policy.py"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Nothing is trained; a tiny policy is handed out, and what was asked for is kept."""
    seen = []
    env = ToyEnv(n_parameters=3)
    model = PPO("MultiInputPolicy", env, n_steps=2, batch_size=2, policy_kwargs={"net_arch": [2]}, device="cpu")
    model.save(tmp_path / "policy.zip")

    def train(settings, *, is_quiet):
        seen.append(settings)
        return tmp_path / "policy.zip"

    monkeypatch.setattr("ciliary.tuning.training.rl_job.train_rl", train)
    monkeypatch.setattr("ciliary.tuning.training.gradient_job.train_gradient", train)
    return seen


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_reinforcement(script, asked, tmp_path, capsys, algo):
    arguments = ["--algo", algo, "--objective", "raw", "--steps", "99", "--size", "72", "--views", "2", "--seed", "5"]
    assert script.main([*arguments, "--cases", "7", "--envs", "3", "--out", str(tmp_path / "o")]) == 0
    (settings,) = asked
    assert (settings.algo, settings.objective, settings.n_steps, settings.shape_px) == (algo, "raw", 99, (48, 72))
    assert (settings.n_views, settings.n_cases, settings.n_envs, settings.seed) == (2, 7, 3, 5)
    assert settings.out == tmp_path / "o"
    assert f"Policy: {tmp_path / 'policy.zip'}" in capsys.readouterr().out


def test_gradient_and_defaults(script, asked, tmp_path, capsys):
    folder = tmp_path / "images" / "train"
    folder.mkdir(parents=True)
    assert script.main(["--algo", "gradient", "--bsds", str(tmp_path), "--steps", "9", "--seed", "2", "--quiet"]) == 0
    (settings,) = asked
    assert settings.images == folder
    assert settings.objective == "calibrated"
    assert (settings.training.n_iterations, settings.training.seed) == (9, 2)
    assert settings.out == Path("runs/policies/gradient-calibrated")
    assert capsys.readouterr().out == ""


def test_reflex(script, monkeypatch, tmp_path, capsys):
    seen = {}
    monkeypatch.setattr(
        "ciliary.tuning.training.homeostat_job.train_reflex", lambda images, **more: seen.update(images=images, **more)
    )
    (tmp_path / "photos").mkdir()
    arguments = ["--algo", "reflex", "--images", str(tmp_path / "photos"), "--out", str(tmp_path / "o")]
    assert script.main(arguments) == 0
    assert seen.pop("cortex")["inherited"] == "contours"
    assert seen.pop("device") == "auto"
    assert seen == {"images": tmp_path / "photos", "out": tmp_path / "o" / "reflex.json", "size_px": 96}
    assert "reflex.json" in capsys.readouterr().out
    assert script.main(["--algo", "reflex"]) == 1
    assert "--images FOLDER" in capsys.readouterr().err


def test_registered_where_sessions_look(script, asked, out, capsys):
    assert script.main(["--algo", "ppo", "--register", "eye", "--store", str(out)]) == 0
    assert "registered as models:/eye/1" in capsys.readouterr().out
    assert find_policy("models:/eye/1", out).suffix == ".zip"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--objective", "nothing.npz"], "no calibration at nothing.npz"),
        (["--images", "nowhere"], "no folder of photographs at nowhere"),
    ],
)
def test_wrong_usage(script, asked, arguments, complaint, capsys):
    assert script.main(["--algo", "ppo", *arguments]) == 2
    assert capsys.readouterr().err.startswith("train_policy: ")
    assert not asked


@pytest.mark.parametrize("arguments", [[], ["--algo", "dqn"], ["--algo", "ppo", "--steps", "0"]])
def test_wrong_arguments(script, arguments, capsys):
    assert script.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{SCRIPT.stem}: ")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("the folder holds another training"), 1, "another training"),
        (Stopped(), 130, "goes on where it stood"),
        (ImportError("no", name="stable_baselines3.common"), 1, "[rl]'"),
    ],
)
def test_exit_codes(script, monkeypatch, capsys, error, code, words):
    def fails(settings, *, is_quiet):
        raise error

    monkeypatch.setattr("ciliary.tuning.training.rl_job.train_rl", fails)
    assert script.main(["--algo", "sac"]) == code
    assert words in capsys.readouterr().err


def test_help_is_quick_and_names_the_algorithms(repository):
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "import runpy\n"
        "try: runpy.run_path('scripts/train_policy.py', run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["False"]
    for word in ("gradient", "ppo", "sac", "reflex", "130"):
        assert word in done.stdout
