"""Sessions on a Ray cluster: workers that are processes of their own, die, and are stopped by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.loading import SCRIPTS
from ciliary_tests.ray_worlds import make_deadly, make_slow_toy
from ciliary_tests.worlds import Recorder, inputs_of, make_toy

pytestmark = pytest.mark.slow
NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine, which says that it has two GPUs: nobody computes on them."""
    ray = pytest.importorskip("ray", reason="no Ray; pip install 'ciliary[ray]'")
    before = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**27
    )
    yield ray
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def settings(settings) -> SessionSettings:
    return replace(settings, engine="ray", n_workers=2, device="cpu", is_bare=True)


def lines(found):
    return Counter(record["image"] for record in records.read(found.folder / records.FILE) if "history" in record)


def numbers(found):
    return [(r["key"], r["history"], r["before"], r["after"], r["guard"], r["parameters"]) for r in found]


def largest_difference(some, others):
    """Of all terms, before and after."""
    pairs = [
        (one[side][name], other[side][name])
        for one, other in zip(some, others, strict=True)
        for side in ("before", "after")
        for name in one[side]
    ]
    return max(abs(a - b) for a, b in pairs)


def test_a_worker_dies_on_the_way_and_nothing_is_lost_or_done_twice(ray, settings):
    """``c`` kills its worker once, by SIGKILL; ``d`` each time. The others are those of one process."""
    alone = run_session(
        replace(settings, session="alone", engine="local", n_workers=1),
        inputs_of("a", "b", "c", "e"),
        make_env=make_toy,
        display=Recorder(),
    )
    said = Recorder()
    found = run_session(settings, inputs_of(*NAMES), make_env=partial(make_deadly, folder=settings.out), display=said)
    assert found.exit_code == 3
    assert found.problems == ["d.png: RuntimeError: its worker died 3 times (often: out of memory)"]
    assert [line for line in said.problems if line.startswith("c.png")] == [
        "c.png: its worker died; done again, 2 of 3"
    ]
    assert numbers(found.records) == numbers(alone.records)
    assert [record["i_chosen"] for record in found.records] == [record["i_chosen"] for record in alone.records]
    assert largest_difference(found.records, alone.records) == 0.0
    assert lines(found) == dict.fromkeys("abce", 1)
    assert ray.is_initialized()  # it was ours, and stays


def test_a_worker_that_is_killed_from_outside(ray, settings, tmp_path):
    """The process of a worker that plays is killed while the other goes on; so does the session."""
    killed = []

    class Killing(Recorder):
        def done(self, *, was_done_before):
            if not killed:
                pids = [int(path.name) for path in (settings.out / "playing").iterdir()]
                killed.extend(pids[:1])
                os.kill(pids[0], signal.SIGKILL)

    found = run_session(
        settings, inputs_of(*NAMES), make_env=partial(make_slow_toy, folder=settings.out), display=Killing()
    )
    assert killed
    assert found.exit_code == 0
    assert [record["image"] for record in found.records] == [*NAMES]
    assert lines(found) == dict.fromkeys(NAMES, 1)


def test_a_gpu_to_a_worker(ray, settings):
    """Each sees one GPU, another one."""
    asked = replace(settings, device="auto", n_workers=1)
    make_env = partial(make_slow_toy, folder=settings.out)
    found = run_session(asked, inputs_of(*NAMES), make_env=make_env, display=Recorder())
    assert found.exit_code == 0
    seen = {path.read_text() for path in (settings.out / "playing").iterdir()}
    assert seen == {"0", "1"}


@pytest.fixture
def command(out, tmp_path):
    """The command line for three small photographs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in "abc":
        page = np.kron(rng.integers(0, 255, (4, 5, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(page).save(tmp_path / "photos" / f"{name}.png")
    more = ["--controller", "random", "--trials", "6", "--population", "2", "--size", "48", "--no-figures", "--quiet"]
    command = [sys.executable, str(SCRIPTS / "accommodate.py"), str(tmp_path / "photos"), *more, "--device", "cpu"]
    return [*command, "--out", str(out)]


def kept(out, session):
    file = out / session / records.FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_ctrl_c_stops_the_command_and_it_goes_on(ray, command, out):
    """On the cluster of somebody else: both as a user types it, Ctrl-C reaches the whole group."""
    address = ray.get_runtime_context().gcs_address
    asked = [*command, "--session", "there", "--engine", "ray", "--address", address, "--workers", "2"]
    asked[asked.index("--trials") + 1] = "600"
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True, start_new_session=True)
    end_s = time.monotonic() + 240
    while not (out / "there").exists() and time.monotonic() < end_s:
        time.sleep(0.2)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 130, said
    assert said.strip().splitlines() == ["SIGINT: stopping after this batch; once more to stop at once"]
    assert kept(out, "there") == []
    asked[asked.index("--trials") + 1] = "6"
    again = subprocess.run(asked, capture_output=True, text=True, timeout=400, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert sorted(record["image"] for record in kept(out, "there")) == ["a", "b", "c"]


def test_the_command_starts_a_cluster_of_its_own_and_ends_it(command, out):
    pytest.importorskip("ray", reason="no Ray; pip install 'ciliary[ray]'")
    for more in (["--session", "here"], ["--session", "ray", "--engine", "ray", "--workers", "2"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=400, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    one = sorted(kept(out, "here"), key=lambda record: record["image"])
    two = sorted(kept(out, "ray"), key=lambda record: record["image"])
    assert [record["i_chosen"] for record in one] == [record["i_chosen"] for record in two]
    assert largest_difference(one, two) == 0.0
    assert numbers(one) == numbers(two)
