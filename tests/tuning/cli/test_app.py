"""The command line: every option there ever was is understood, and nothing heavy is imported to understand it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from ciliary.cortex.options import INHERITED
from ciliary.tuning.cli import app
from ciliary.tuning.cli.command_line import command_of
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.sessions.settings import SessionSettings

#: The options of version 0.1.0, in no need of being added to: what is here must stay.
FROZEN = {
    "accommodate": "--controller --trials --population --spread --size --depth --features --learned --disturb --seed "
    "--objective --policy --set --no-guard --out --save --session --resume --storage --no-animation --quiet",
    "open": "--controller --trials --answer --objective --set --seed --size --host --port --no-browser --no-guard "
    "--device --quiet",
    "merge": "--out --session --quiet",
    "ui": "--store --host --port --no-serve --studies --storage --quiet",
    "why": "--episodes --evaluations --seed --out --device --quiet",
    "look": "--learned --weights --set --size --depth --features --experts --out --quiet",
    "gaze": "--fixations --px-per-deg --centre --map --weights --size --out --save --people --quiet",
    "focus": "--controller --nearness --looks --out --quiet",
    "track": "--as --exam --fixations --slots --seed --size --out --quiet",
    "motion": "--frame-ms --px-per-deg --size --out --exam --quiet",
    "spikes": "--labelled --codes --times --tau-ms --reset --images --split --seed --size --out --quiet",
    "fluency": "--scrambles --directions --spikes --typicality --exam --set --seed --size --out --device --quiet",
    "correlate": "--ratings --numbers --correction --permutations --scrambles --directions --set --seed --size --out "
    "--device --quiet",
    "readout": "--labelled --model --classes --void --train --head --fields --oriented --loss --beside --encoder "
    "--disturb --read --epochs --size --seed --out --device --quiet",
    "evaluate": "--bsds --labelled --split --images --methods --disturb --workers --size --depth --features --learned "
    "--out --table --train-table --page --quiet --no-portraits --show",
    "compare": "--bsds --labelled --split --images --methods --disturb --workers --size --depth --features --learned "
    "--out --table --train-table --page --quiet --seeds --reference",
    "calibrate": "--bsds --labelled --out --work --images --settings --views --panel --form --inputs --size --depth "
    "--features --learned --workers --seed",
    "train policy": "--algo --images --bsds --objective --steps --views --cases --without --envs --size --depth "
    "--features --seed --out --register --store --quiet",
    "train cortex": "--images --config --print-config --out --no-report --device --quiet",
    "train features": "--images --features-weights --out --device --quiet",
    "train depth": "--data --check --views --steps --seed --out --device --quiet",
    "train robust": "--labelled --epsilon --steps --checked --weights --seed --out --device --quiet",
    "train filters": "--rule --units --patch-px --steps --size --seed --bsds --out --device --quiet",
    "train spikes": "--labelled --split --images --times --size --out --device --quiet",
    "train typicality": "--size --out --device --quiet",
    "train vae": "--latents --hidden --beta --free-bits --sparsity --attention --steps --seed --size --out --device "
    "--quiet",
    "train gaze": "--people --features --images --px-per-deg --size --out --device --quiet",
    "eye": "--scenes --policies --images --ceiling --choosing --seed --out --quiet",
    "train eye": "--scenes --minutes --envs --taught --maps --scratch --seed --out --quiet",
    "train expectation": "--views --epochs --weights --seed --out --device --quiet",
    "examine": "--data --learned --weights --deep --shots --episodes --size --images --queries --tokens --seed --out "
    "--device --quiet",
    "doctor": "--extras --device --out --json --quiet",
    "benchmark": "--sizes --populations --repeats --threads --depth --features --out --compare",
}
SWITCHES = [
    "--json",
    "--exam",
    "--spikes",
    "--no-guard",
    "--no-browser",
    "--resume",
    "--no-animation",
    "--quiet",
    "--experts",
    "--no-portraits",
    "--print-config",
    "--no-report",
    "--no-serve",
    "--choosing",
    "--maps",
    "--scratch",
    "--exam",
    "--oriented",
]
WORDS = {"--depth": "pictorial", "--features": "none", "--deep": "none", "--learned": "m2", "--set": "n_regions=5"}
WORDS |= {
    "--split": "train",
    "--answer": "best",
    "--controller": "tpe",
    "--disturb": "fog:3",
    "--form": "line",
    "--inputs": "terms",
    "--algo": "ppo",
    "--objective": "raw",
    "--map": "learned",
    "--as": "moved",
    "--rule": "stdp",
    "--codes": "rate",
    "--correction": "bh",
    "--reset": "soft",
    "--device": "cpu",
    "--classes": "values",
    "--head": "linear",
    "--fields": "m2",
    "--beside": "unet",
    "--read": "looks",
    "--extras": "rl",
}
NEEDED = {
    "train policy": ["--algo", "gradient"],
    "train features": ["resnet50"],
    "train depth": ["--data", "x"],
    "train robust": ["--labelled", "x"],
}
NEEDED |= {"train gaze": ["--people", "x"], "eye": ["--scenes", "x"], "train eye": ["--scenes", "x"]}
NEEDED |= {"examine": ["--data", "x"], "train spikes": ["--labelled", "x"]}


@pytest.fixture
def asked(monkeypatch):
    """Settings that jobs were called with, in place of the jobs."""
    seen: list[object] = []
    job = SimpleNamespace(run=lambda s: seen.append(s) or 0, accommodate=lambda s: seen.append(s) or 0)
    monkeypatch.setattr(app, "importlib", SimpleNamespace(import_module=lambda name: job))
    return seen


@pytest.mark.parametrize("command", FROZEN)
def test_every_old_option_is_understood(command, asked, capsys):
    assert set(FROZEN) == set(app.COMMANDS)
    for flag in FROZEN[command].split():
        value = [] if flag in SWITCHES else [WORDS.get(flag, "48")]
        needed = [] if flag in NEEDED.get(command, ()) else NEEDED.get(command, [])
        assert app.main([*command.split(), *needed, flag, *value]) == 0, capsys.readouterr().err
    assert len(asked) == len(FROZEN[command].split())


def test_options_become_fields(asked):
    told = "a.jpg b.jpg --trials 3 --disturb none,fog:3 --disturb jpeg:2 --set a=1 --set b=-2 --spread 0 --no-guard"
    assert app.door("accommodate")([*told.split(), "--seed", "1", "--seed", "2", "c.jpg"]) == 0
    (settings,) = asked
    assert settings.images == ("a.jpg", "b.jpg", "c.jpg")
    assert (settings.n_trials, settings.spread, settings.use_guard, settings.seed) == (3, None, False, 2)
    assert settings.disturbances == ("none", "fog:3", "jpeg:2")
    assert settings.changes == {"a": 1.0, "b": -2.0}


RESOLVED = ("algo", "data", "objective", "inherited", "name", "answer", "controller")  # "" until the others are known


@pytest.mark.parametrize("command", FROZEN)
def test_without_options_the_settings_are_python_s(command, asked):
    assert app.main([*command.split(), *NEEDED.get(command, [])]) == 0
    for field in fields(asked[0]):
        if field.default is not MISSING and field.name not in RESOLVED:
            assert getattr(asked[0], field.name) == field.default


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: CortexOptions(size_px=8), r"size_px \(--size\) must be at least 32, got 8"),
        (lambda: CortexOptions(depth="radar"), "depth knows no 'radar'; choose from none, pictorial, learned, midas"),
        (lambda: CortexOptions(features_weights="w.pth"), "--features-weights is of a backbone; .* --features NAME"),
        (lambda: SessionSettings(perceiver="eye"), "perceiver knows no 'eye'; .* module:object"),
        (lambda: SessionSettings(n_trials=0), "at least 1"),
    ],
)
def test_python_meets_the_same_checks(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_one_setting_is_judged_by_agreement_unless_its_chooser_learned_otherwise():
    assert {SessionSettings(inherited=kind, answer="best").objective for kind in INHERITED} == {"agreement"}
    assert SessionSettings(perceiver="slic", answer="best").objective == "agreement"
    assert SessionSettings(inherited="none", controller="policy").objective == "calibrated"


@pytest.mark.parametrize(
    ("asked", "answer", "controller", "objective"),
    [
        ({}, "integrated", "panel", "looks"),
        ({"perceiver": "slic"}, "integrated", "panel", "looks"),
        ({"controller": "disagreement"}, "integrated", "disagreement", "looks"),
        ({"answer": "best"}, "best", "tpe", "agreement"),
        ({"controller": "cmaes"}, "best", "cmaes", "agreement"),
        ({"objective": "raw"}, "best", "tpe", "raw"),
        ({"controller": "cmaes", "answer": "integrated"}, "integrated", "cmaes", "looks"),
    ],
)
def test_looks_are_put_together_unless_a_search_is_named(asked, answer, controller, objective):
    settings = SessionSettings(**asked)
    assert (settings.answer, settings.controller, settings.objective) == (answer, controller, objective)


def test_a_cortex_inherits_unless_it_learned_without_people():
    assert SessionSettings().inherited == SessionSettings(learned=("m5",)).inherited == "contours"
    assert SessionSettings(learned=("m2", "m5")).inherited == "none"
    assert SessionSettings(learned=("m2",), inherited="all").inherited == "all"
    assert SessionSettings(perceiver="slic").inherited == "none"
    with pytest.raises(ValueError, match="--inherited is of the cortex, and slic is to see"):
        SessionSettings(perceiver="slic", inherited="all")
    assert SessionSettings(perceiver="slic").cortex_marks == {}


def test_where_a_cortex_lies_is_no_part_of_what_it_sees(monkeypatch):
    here, auto = SessionSettings(device="cpu"), SessionSettings()
    assert auto.device == "auto"
    assert here.fingerprint() == auto.fingerprint()
    assert here.cortex == auto.cortex
    assert "device" not in here.values() | here.as_params()
    assert here.make_seer().device.type == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no cuda device here"):
        SessionSettings(device="cuda")
    with pytest.raises(ValueError, match="device knows no 'tpu'; choose from auto, cpu, cuda, mps"):
        SessionSettings(device="tpu")


@pytest.mark.parametrize(
    "command", [command for command in FROZEN if command not in ("merge", "ui", "benchmark", "doctor")]
)
def test_whoever_computes_is_told_where(command, asked, monkeypatch, capsys):
    """A device that is not there is one line and wrong usage, before anything is read or written."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = [*command.split(), *NEEDED.get(command, [])]
    assert app.main([*words, "--device", "cuda"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sees no cuda device here; use the device cpu or auto" in line
    assert app.main([*words, "--device", "tpu"]) == 2
    assert "device" in capsys.readouterr().err
    assert app.main([*words, "--device", "cpu"]) == 0
    assert [settings.device for settings in asked] == ["cpu"]
    assert "device" not in asked[0].values()


def test_help_and_wrong_usage_import_nothing_heavy():
    lines = [["--help"], ["train", "policy", "--help"], ["look", "--depth", "radar"], ["compare", "--nonsense"]]
    code = (
        "import sys; from ciliary.tuning.cli.app import main\n"
        f"print('codes', *[main(line) for line in {lines}])\n"
        "print('heavy', *{'torch', 'mlflow', 'optuna', 'matplotlib', 'skimage', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["codes 0 0 2 2", "heavy"]
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["look", "compare"]


def test_a_shell_is_taught_every_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert app.main(["--install-completion"]) == 0
    (script,) = (path for path in tmp_path.rglob("ciliary") if path.is_file())
    text = script.read_text()
    assert not [word for command in app.COMMANDS for word in command.split() if word not in text]
    assert "--trials" in text


def test_a_folder_may_be_given_as_text_in_python():
    from ciliary.tuning.sessions.settings import SessionSettings

    settings = SessionSettings(out="here", save="there")
    assert (settings.out, settings.save) == (Path("here"), Path("there"))


def test_files_of_what_is_not_inherited_are_refused(capsys):
    weights = ["--inherited-weights", "mine.safetensors"]
    assert app.main(["accommodate", "chelsea", "--inherited", "none", *weights]) == 2
    assert "say what with --inherited contours or all" in capsys.readouterr().err
    assert app.main(["accommodate", "chelsea", "--inherited", "contours", *weights]) == 2
    assert "no learned cortex at mine.safetensors" in capsys.readouterr().err
    assert app.main(["calibrate", "--bsds", "x", "--inherited", "none", "--left-out", "y"]) == 2
    assert "--left-out is of what is inherited" in capsys.readouterr().err


def test_what_was_taught_on_a_trunk_takes_no_other(capsys):
    assert app.main(["accommodate", "chelsea", "--inherited", "all", "--features", "resnet18"]) == 2
    assert "leave --features out" in capsys.readouterr().err


def test_the_version_is_told_in_one_line(capsys):
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ciliary {version('ciliary')}\n"


def test_looks_is_another_name_of_trials(asked):
    assert app.main(["accommodate", "--looks", "9"]) == app.main(["accommodate", "--trials", "9"]) == 0
    first, second = asked
    assert first.n_trials == 9
    assert command_of("accommodate", first) == command_of("accommodate", second)
    assert " --trials 9" in command_of("accommodate", first)
