"""docs/environments.md tells every entry of every environment's observation and info, and tells it right."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest

EYE = {"scenes": "synthetic", "size_px": (48, 64), "window_px": 32, "n_layers": 2}
QUICK = {
    "Ciliary/Toy-v0": {},
    "Ciliary/Accommodation-v0": {"perceiver": "watershed", "objective": "raw", "source": "coffee", "size_px": 48},
    "Ciliary/Focus-v0": EYE,
    "Ciliary/Gaze-v0": EYE,
    "Ciliary/Eye-v0": EYE,
}


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "environments.md").read_text(encoding="utf-8")


def rows_below(page: str, title: str) -> dict[str, list[str]]:
    """Name -> the other cells, of the table whose first title that is."""
    table = page[page.index(f"| {title} |") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {name: rest for first, *rest in cells for name in re.findall(r"`(\w+)`", first)}


def test_all_that_are_registered_are_asked(page):
    import ciliary.envs  # noqa: F401

    assert set(QUICK) == {name for name in gym.registry if name.startswith("Ciliary/")}
    assert all(name in page for name in QUICK)


@pytest.mark.parametrize("env_id", QUICK)
def test_the_page_tells_every_entry(page, env_id):
    env = gym.make(f"ciliary.envs:{env_id}", **QUICK[env_id])
    obs, info = env.reset(seed=0)
    kind = {"Toy": "toy", "Accommodation": "photographs"}.get(env_id.split("/")[1].removesuffix("-v0"), "eyes")
    told = rows_below(page, "`info`")
    assert {name for name in told if "all" in told[name][0] or kind in told[name][0]} - {"things"} == set(info)
    assert {"object_dpt", "focus_error_dpt", "disc_deg"} <= set(re.findall(r"`(\w+)`", " ".join(told["hidden"])))
    if kind == "toy":
        assert set(obs) == {"statistics", "terms", "u"}
        return
    seen = rows_below(
        page,
        "`Ciliary/Accommodation-v0` sees" if kind == "photographs" else "`Ciliary/Focus-v0`, `Gaze-v0`, `Eye-v0` see",
    )
    assert set(seen) == set(obs)
    for name, (what, *_) in seen.items():
        shape, dtype = re.match(r"\((.*?)\) (\w+)", what).groups()
        sizes = [int(n) if n.isdigit() else None for n in shape.replace(" ", "").strip(",").split(",")]
        space = env.observation_space[name]
        assert len(sizes) == len(space.shape)
        assert all(told in (None, n) for told, n in zip(sizes, space.shape, strict=True))
        assert space.dtype == np.dtype(dtype)
        if bounds := re.search(r"in \[(-?\d), (\d)\]", what):
            assert [float(x) for x in bounds.groups()] == [space.low.min(), space.high.max()]
