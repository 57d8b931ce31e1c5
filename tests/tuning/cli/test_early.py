"""A slip of the pen is answered before torch is imported, with the words and the exit code of the job itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ciliary.agents import options as agents
from ciliary.agents import registry
from ciliary.envs import options as envs
from ciliary.envs.data.disturbances import DISTURBANCES, Disturbance, parse_disturbance
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.cli.early import nothing_there
from ciliary.tuning.evaluation.methods import BY_TABLE, SETTING
from ciliary.tuning.evaluation.settings import CompareSettings
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.sessions.settings import SessionSettings

LINES = {
    "accommodate missing.jpg": (1, "accommodate: missing.jpg: no such file or folder"),
    "accommodate empty": (1, "accommodate: empty: no images in this folder"),
    "look missing.jpg empty": (1, "look: empty: no images in this folder"),
    "accommodate --controller cma-es": (2, "(did you mean 'cmaes'?); choose from fixed, policy"),
    "accommodate --objective lookz": (2, "(did you mean 'looks'?); choose from raw"),
    "accommodate --disturb fogg:3": (2, "unknown disturbance 'fogg:3' (did you mean 'fog'?)"),
    "accommodate --depth pictoral": (2, "(did you mean 'pictorial'?); choose from none, pictorial"),
    "focus room.hdr --controller lens-hil": (2, "(did you mean 'lens-hill'?); choose from lens-sweep"),
    "compare missing.jpg": (2, "compare: missing.jpg: no such file or folder"),
    "compare here.jpg --methods tpee:raw:4": (2, "knows no 'tpee' (did you mean 'tpe'?)"),
    "open": (1, "open: the page is made with NiceGUI, which is not installed"),
}


def test_torch_is_not_imported_to_complain(tmp_path):
    (tmp_path / "empty" / "in it").mkdir(parents=True)
    (tmp_path / "here.jpg").write_bytes(b"a picture")
    code = (
        "import importlib.util as u, json, sys; from ciliary.tuning.cli.app import main\n"
        "find = u.find_spec; u.find_spec = lambda name, *of: None if name == 'nicegui' else find(name, *of)\n"
        f"codes = [main(line.split(), owns_process=True) for line in {list(LINES)}]\n"
        "print(json.dumps([codes, sorted({'torch', 'optuna', 'mlflow'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    codes, heavy = json.loads(done.stdout)
    assert codes == [code for code, _ in LINES.values()]
    assert heavy == []
    said = done.stderr.splitlines()
    assert len(said) == len(LINES) + 1  # of two paths, each is told
    for _, words in LINES.values():
        assert any(words in line for line in said), words


def test_the_light_lists_are_the_registries():
    assert tuple(registry.CONTROLLERS) == agents.CONTROLLERS
    assert tuple(registry.EYE_CONTROLLERS) == agents.EYE_CONTROLLERS
    assert tuple(DISTURBANCES) == envs.KINDS
    assert (SETTING, *BY_TABLE) == ("setting", "best-fixed", "refit-fixed")
    for name in envs.UNCALIBRATED:
        make_objective(name)


def test_only_who_can_play_is_offered():
    for name in ("nobody", "gaze-grid"):
        with pytest.raises(ValueError, match="fixed, policy") as problem:
            SessionSettings(controller=name)
        assert "lens-hill" not in str(problem.value)
    with pytest.raises(ValueError, match="moves an eye"):
        SessionSettings(controller="gaze-grid")
    with pytest.raises(ValueError, match=r"is no more: .* use policy"):
        SessionSettings(controller="portfolio")
    with pytest.raises(ValueError, match="lens-hill") as problem:
        FocusSettings(controller="nobody")
    assert "gaze-grid" not in str(problem.value)
    assert SessionSettings(controller="mine:Walker").controller == "mine:Walker"
    assert FocusSettings(controller="eye-random").controller == "eye-random"


def test_one_path_that_may_give_images_is_enough(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "any.txt").write_text("the job tells what is in it")
    assert nothing_there([tmp_path / "gone.png", tmp_path / "notes"]) == []
    assert nothing_there([]) == nothing_there(["bundled"]) == nothing_there(["coffee"]) == []
    assert nothing_there([object()]) == []  # an image in memory
    assert CompareSettings((str(tmp_path / "notes"),), methods=("best-fixed", "setting:a.json")).hopeless() == ()


@pytest.mark.parametrize("text", ["fog", "fog:much", "fog:6", "fog:-1", "fog:nan"])
def test_a_severity_out_of_its_range_is_named(text):
    with pytest.raises(ValueError, match="from 0 to 5, for example fog:3"):
        parse_disturbance(text)


def test_a_disturbance_is_read_as_ever():
    assert parse_disturbance(" fog:2.5 ") == Disturbance("fog", 2.5)
    assert parse_disturbance("none") == Disturbance()
