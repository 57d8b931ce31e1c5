"""Training a policy as one call: what to train in, a file out, an exit code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.installing import install_extra
from ciliary.cortex.options import cortex_name
from ciliary.envs.data.reading import UnreadableImage
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, STOPPED, USAGE
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.runs.store import TRAININGS, StoreError, open_store
from ciliary.tuning.sessions.settings import DEFAULT_OUT
from ciliary.tuning.training.options import PolicySettings


def run(settings: PolicySettings) -> int:
    """Train, say where the policy is, and register it if asked to; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 130 stopped.
    """
    s, algo, objective = settings, settings.algo, settings.objective
    out = s.out or Path("runs/policies") / (algo if algo == "reflex" else f"{algo}-{Path(objective).stem}")
    images = s.images if s.bsds is None else s.bsds / "images" / "train"
    try:
        make_objective(objective, perceiver=cortex_name(s.inherited))
        s.cortex_marks  # noqa: B018 -- says now what is missing
        if str(images) != "bundled" and not Path(images).is_dir():
            raise ValueError(f"no folder of photographs at {images}")
    except (ValueError, FileNotFoundError) as error:
        return _complain(str(error), USAGE)
    common: dict[str, Any] = {
        "images": images,
        "objective": objective,
        "out": out,
        "looks": CortexOptions(**{field.name: getattr(s, field.name) for field in fields(CortexOptions)}),
    }
    asked: dict[str, Any] = {"n_views": s.n_views, "n_cases": s.n_cases}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        if algo == "reflex":
            path = _train_reflex(images, out, s)
        elif algo == "gradient":
            from ciliary.tuning.training.gradient_job import train_gradient
            from ciliary.tuning.training.settings import GradientSettings, with_training

            gradient = with_training(
                GradientSettings(**common, **given, size_px=s.size_px, without=s.without), seed=s.seed
            )
            gradient = gradient if s.n_steps is None else with_training(gradient, n_iterations=s.n_steps)
            path = train_gradient(gradient, is_quiet=s.is_quiet)
        else:
            from ciliary.tuning.training.rl_job import train_rl
            from ciliary.tuning.training.settings import RlSettings

            given |= {} if s.n_steps is None else {"n_steps": s.n_steps}
            shape_px = (max(32, round(s.size_px * 2 / 3)), s.size_px)
            more: dict[str, Any] = {"algo": algo, "shape_px": shape_px, "n_envs": s.n_envs, "seed": s.seed}
            path = train_rl(RlSettings(**common, **given, **more), is_quiet=s.is_quiet)
        words = f"Policy: {path}"
        if s.register is not None:
            from ciliary.tuning.runs.registry import register_policy

            version = register_policy(open_store(s.store or DEFAULT_OUT, experiment=TRAININGS), path, s.register)
            words += f", registered as models:/{s.register}/{version}"
    except KeyboardInterrupt:
        return _complain("stopped; the same command goes on where it stood", STOPPED)
    except ImportError as error:
        if (error.name or "").split(".")[0] != "stable_baselines3":
            raise
        return _complain(f"{algo} needs stable-baselines3; install it with: {install_extra('rl')}", NOTHING)
    except (ValueError, UnreadableImage, ProviderUnavailable, StoreError, OSError) as error:
        return _complain(str(error), NOTHING)
    if not s.is_quiet:
        print(words)
    return 0


def _train_reflex(images: str | Path, out: Path, settings: PolicySettings) -> Path:
    """The homeostat's table, measured on a folder."""
    from ciliary.tuning.training.homeostat_job import train_reflex

    if str(images) == "bundled":
        raise ValueError(
            "a reflex is measured on a folder of photographs, better forty than eight; give --images FOLDER"
        )
    path = out / "reflex.json"
    train_reflex(Path(images), out=path, size_px=settings.size_px, cortex=settings.cortex, device=settings.device)
    return path


def _complain(text: str, code: int) -> int:
    complain("train_policy", text)
    return code
