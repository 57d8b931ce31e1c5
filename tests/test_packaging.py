"""What ``pip install`` brings: one name, every file it needs, environments that register themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOMS = {"cortex": "cortex", "envs": "envs", "agents": "agents", "tuning": "tuning", "testing": "tests/contracts"}
FRONT = "tuning/front"  # the package `ciliary` itself
#: Files that are no code and must be there all the same.
DATA = (
    "__init__.pyi",
    "agents/__init__.pyi",
    "py.typed",
    "cortex/__init__.pyi",
    "cortex/segmenters/__init__.pyi",
    "envs/__init__.pyi",
    "cortex/weights/cortex.safetensors",
    "cortex/weights/depth.safetensors",
    "cortex/weights/trunk_efficientnet_lite0.safetensors",
    "envs/objective/calibration.npz",
    "agents/weights/policy_raw.safetensors",
    "agents/weights/reflex.json",
    "tuning/inspect/page.html.j2",
    "tuning/tabular/data/bsds_mathematical_128.npz",
    "tuning/tabular/package/benchmarks/ciliary_response_table/README.md",
    "tuning/training/curriculum.toml",
    *(f"{room}/py.typed" for room in ROOMS),
)


def test_every_package_is_listed(repository):
    listed = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "packages"
    ]
    found = {
        ".".join(["ciliary", room, *path.parent.relative_to(repository / folder).parts])
        for room, folder in ROOMS.items()
        for path in (repository / folder).rglob("__init__.py")
        if path.parent != repository / FRONT
    }
    assert set(listed) == found | {"ciliary"}


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory) -> Path:
    """A folder with the wheel unpacked in it, as it would lie in site-packages."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in (*ROOMS, "tests", "pyproject.toml", "README.md", "LICENSE"):
        path = repository / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "fixtures"))
        elif path.is_file():
            shutil.copy(path, source / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
        str(source),
    ]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(site: Path, folder: Path, code: str) -> str:
    """What a program prints whose ciliary is the wheel's, started beside a user's own ``envs`` and ``agents``."""
    for name in ("envs", "agents"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(f"raise SystemExit('the user\\'s own {name} was imported')\n")
    (folder / "program.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "program.py"],
        check=False,
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:] or done.stdout[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_brings_one_name_and_all_files(site):
    top = {path.name for path in site.iterdir() if not path.name.endswith((".whl", ".dist-info"))}
    assert top == {"ciliary"}
    missing = [name for name in DATA if not (site / "ciliary" / name).is_file()]
    assert not missing


@pytest.mark.slow
def test_environments_are_made_beside_a_users_own_folders(site, tmp_path):
    code = """
import gymnasium as gym
env = gym.make("ciliary.envs:Ciliary/Accommodation-v0", size_px=48, objective="raw")
assert "total" in env.reset(seed=0, options={"image": "coffee"})[1]["terms"]
vector = gym.make_vec("ciliary.envs:Ciliary/Accommodation-v0", num_envs=2, objective="raw", shape_px=(32, 48))
vector.reset(seed=0)
import ciliary.envs
print(ciliary.envs.__file__, ciliary.__version__, ciliary.accommodate)
"""
    assert str(site) in run(site, tmp_path, code)


@pytest.mark.slow
def test_subprocess_vector_environments_work(site, tmp_path):
    code = """
import gymnasium as gym
import numpy as np

def main():
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv
    envs = make_vec_env(
        "ciliary.envs:Ciliary/Accommodation-v0",
        n_envs=2,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": "spawn"},
        env_kwargs={"size_px": 40, "objective": "raw"},
    )
    print(envs.reset()["u"].shape)
    envs.close()
    envs = gym.make_vec("ciliary.envs:Ciliary/Toy-v0", num_envs=2, vectorization_mode="async",
                        vector_kwargs={"context": "spawn"})
    print(envs.reset(seed=0)[0]["u"].shape)
    envs.close()

if __name__ == "__main__":
    main()
"""
    assert run(site, tmp_path, code).split("\n")[:2] == ["(2, 37)", "(2, 37)"]


@pytest.mark.slow
def test_a_training_finds_its_curriculum(site, tmp_path):
    code = """
from ciliary.tuning.training.curriculum import read_curriculum
print(len(read_curriculum().phases))
"""
    assert int(run(site, tmp_path, code)) == 3


@pytest.mark.slow
def test_the_command_is_there(site, tmp_path):
    entry = next(site.glob("*.dist-info")) / "entry_points.txt"
    assert "ciliary" in entry.read_text()
    code = "import sys; from ciliary.tuning.cli.app import main; sys.exit(main(['accommodate', '--help']))"
    assert "--trials" in run(site, tmp_path, code)


@pytest.mark.slow
def test_the_doctor_finds_the_weights_as_they_were_packed(site, tmp_path):
    code = "import sys; from ciliary.tuning.cli.app import main; sys.exit(main(['doctor']))"
    said = run(site, tmp_path, code)
    assert "a wheel, in" in said
    assert "as they were packed" in said
    assert said.splitlines()[-1] == "all well"
