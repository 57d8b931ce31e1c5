"""The check of types sees through the rooms: what one room hands to another has a type there too, not ``Any``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

#: One wrong value from each room to another; mypy must name each such line, and no other.
SOURCE = '''\
from pathlib import Path

import numpy as np
from torch import Tensor

from ciliary.agents.registry import make_controller
from ciliary.agents.trace import Trace
from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import PARAMETERS, default_theta
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.batch import images_per_pass
from ciliary.envs.config import EnvConfig
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.playing import Played


class Blind:
    """No perceiver: it lacks all but a name."""

    name = "blind"


def right(cortex: Cortex, played: Played) -> None:
    perceiver: Perceiver = cortex
    n_images: int = images_per_pass(96, 96)
    config = EnvConfig(perceiver=perceiver, n_views=n_images)
    u: np.ndarray = played.trace.u_chosen
    print(config, u, PARAMETERS["n_slots"].default + 1.0, write_atomically(Path("a"), b"b"))


def wrong(eye: Perceiver, cortex: Cortex, trace: Trace, played: Played) -> None:
    images_per_pass("96", 96)  # wrong: text for a number
    images_per_pass(PARAMETERS["n_slots"], 96)  # wrong: cortex to envs
    EnvConfig(n_views=default_theta(1)["n_slots"])  # wrong: cortex to envs
    perceiver: Perceiver = Blind()  # wrong: lacks what a perceiver has
    make_controller("random").act({}, {}, EnvConfig())  # wrong: envs to agents
    eye(trace.total, default_theta(1), None)  # wrong: agents to cortex, as any perceiver
    cortex(trace.total, default_theta(1))  # wrong: agents to cortex
    write_atomically(PARAMETERS.names, b"")  # wrong: cortex to tuning
    shade: Tensor = played.trace  # wrong: agents to tuning, and on
    print(perceiver, shade)
'''


@pytest.mark.slow
def test_a_wrong_type_between_rooms_is_found(repository: Path, tmp_path: Path) -> None:
    links = tmp_path / "build" / "types" / "ciliary"  # as `make types` has them
    links.mkdir(parents=True)
    for room in ("cortex", "envs", "agents", "tuning"):
        (links / room).symlink_to(repository / room)
    (links / "testing").symlink_to(repository / "tests" / "contracts")
    (tmp_path / "handed.py").write_text(SOURCE, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            f"--config-file={repository}/pyproject.toml",
            "--follow-imports=silent",
            "handed.py",
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(n) for n in re.findall(r"^handed\.py:(\d+): error", done.stdout, re.MULTILINE)}
    wrong = {i for i, line in enumerate(SOURCE.splitlines(), start=1) if "# wrong" in line}
    assert (done.returncode, found) == (1, wrong), done.stdout + done.stderr
