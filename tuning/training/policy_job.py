"""Training a policy as one call: what to train in, a file out, an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

from ciliary.envs.data.reading import UnreadableImage
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.cli.stopping import EXIT_CODE
from ciliary.tuning.runs.store import TRAININGS, StoreError, open_store
from ciliary.tuning.sessions.settings import DEFAULT_OUT

USAGE = 2


def run(
    algo: str,
    *,
    images: str | Path = "bundled",
    objective: str = "calibrated",
    n_steps: int | None = None,
    n_views: int | None = None,
    n_cases: int | None = None,
    without: tuple[str, ...] = (),
    n_envs: int = 8,
    size_px: int = 96,
    depth: str = "none",
    features: str = "none",
    seed: int = 0,
    out: Path | None = None,
    register: str | None = None,
    store: Path | None = None,
    is_quiet: bool = False,
) -> int:
    """Train, say where the policy is, and register it if asked to.

    Args:
        algo: ``gradient``, ``ppo``, ``sac`` or ``reflex``.
        images: ``bundled`` or a folder.
        objective: ``raw``, ``calibrated`` or the path of a calibration; ``reflex`` has none.
        n_steps: looks (ppo, sac) or optimiser steps (gradient); None is the algorithm's own.
        n_views: views a percept is judged by; None is the objective's own.
        n_cases: disturbed photographs to learn from; None is the algorithm's own.
        without: kinds of disturbance to leave out (gradient).
        n_envs: episodes side by side (ppo, sac).
        size_px: long side; ppo and sac crop to 3 : 2.
        depth, features: cues.
        seed: of everything that is drawn.
        out: folder; None is ``runs/policies/<algo>-<objective>``.
        register: name in the model registry, or None.
        store: folder whose store has the registry; None is where sessions are kept.
        is_quiet: no progress, no word of success.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 130 stopped.
    """
    out = out or Path("runs/policies") / (algo if algo == "reflex" else f"{algo}-{Path(objective).stem}")
    try:
        make_objective(objective)
        if str(images) != "bundled" and not Path(images).is_dir():
            raise ValueError(f"no folder of photographs at {images}")
    except (ValueError, FileNotFoundError) as error:
        return _complain(str(error), USAGE)
    common = {"images": images, "objective": objective, "out": out, "depth": depth, "features": features}
    asked = {"n_views": n_views, "n_cases": n_cases}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        if algo == "reflex":
            path = _train_reflex(images, out, size_px)
        elif algo == "gradient":
            from ciliary.tuning.training.gradient_job import train_gradient
            from ciliary.tuning.training.settings import GradientSettings, with_training

            gradient = with_training(GradientSettings(**common, **given, size_px=size_px, without=without), seed=seed)  # type: ignore[arg-type]
            gradient = gradient if n_steps is None else with_training(gradient, n_iterations=n_steps)
            path = train_gradient(gradient, is_quiet=is_quiet)
        else:
            from ciliary.tuning.training.rl_job import train_rl
            from ciliary.tuning.training.settings import RlSettings

            given |= {} if n_steps is None else {"n_steps": n_steps}
            shape_px = (max(32, round(size_px * 2 / 3)), size_px)
            more = {"algo": algo, "shape_px": shape_px, "n_envs": n_envs, "seed": seed}
            path = train_rl(RlSettings(**common, **given, **more), is_quiet=is_quiet)  # type: ignore[arg-type]
        words = f"Policy: {path}"
        if register is not None:
            from ciliary.tuning.runs.registry import register_policy

            version = register_policy(open_store(store or DEFAULT_OUT, experiment=TRAININGS), path, register)
            words += f", registered as models:/{register}/{version}"
    except KeyboardInterrupt:
        return _complain("stopped; the same command goes on where it stood", EXIT_CODE)
    except ImportError as error:
        if (error.name or "").split(".")[0] != "stable_baselines3":
            raise
        return _complain(f"{algo} needs stable-baselines3; install it with: pip install 'ciliary[rl]'", 1)
    except (ValueError, UnreadableImage, StoreError, OSError) as error:
        return _complain(str(error), 1)
    if not is_quiet:
        print(words)
    return 0


def _train_reflex(images: str | Path, out: Path, size_px: int) -> Path:
    """The homeostat's table, measured on a folder."""
    from ciliary.tuning.training.homeostat_job import train_reflex

    if str(images) == "bundled":
        raise ValueError(
            "a reflex is measured on a folder of photographs, better forty than eight; give --images FOLDER"
        )
    path = out / "reflex.json"
    train_reflex(Path(images), out=path, size_px=size_px)
    return path


def _complain(text: str, code: int) -> int:
    print(f"train_policy: {text}", file=sys.stderr)
    return code
