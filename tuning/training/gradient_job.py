"""The job of training a policy through the cortex: photographs in; weights with provenance and a tracked run out."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ciliary.agents.controllers.policy import Policy
from ciliary.agents.training.pool import Pool, columns_of, make_pools, split
from ciliary.agents.training.through_cortex import Check, Training
from ciliary.envs.config import EnvConfig
from ciliary.envs.data.images import open_images
from ciliary.envs.evaluator import Evaluator
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.curves import Curve, LearningRun, claim, draw_learning_curve
from ciliary.tuning.training.settings import GradientSettings


def train_gradient(settings: GradientSettings, *, is_quiet: bool = False) -> Path:
    """Train a policy through the cortex, or go on with a training that was stopped.

    Args:
        settings: what to do. The folder ``settings.out`` belongs to one training: the same settings go on from its
            checkpoint, others are refused.
        is_quiet: no progress bar.

    Returns:
        the weights, ``out/policy.safetensors``. Beside them lie ``checkpoint.pt``, ``progress.jsonl``,
        ``learning_curve.png`` and (without ``MLFLOW_TRACKING_URI``) ``mlflow.db``.

    Raises:
        ValueError: too few photographs, or the folder holds another training.
        UnreadableImage: the images cannot be read.
        StoreError: the tracking store cannot be opened.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    out, checkpoint, policy = settings.out, settings.out / "checkpoint.pt", settings.out / "policy.safetensors"
    photographs = open_images(settings.images, 2 * settings.size_px)
    training, held_out = split(photographs, settings.hold_out)
    about = settings.about() | {"n_photographs": len(training)}
    claim(out, about)
    if policy.is_file() and checkpoint.is_file():
        return policy
    how, n_iterations = settings.training, settings.training.n_iterations
    with Stopper() as stopper, LearningRun(out, _flat(about), name=f"gradient-{settings.objective}") as run:
        n_looks = settings.n_cases + settings.n_check_cases
        with Bar(n_looks, is_quiet=is_quiet, title="looking") as bar:

            def on_case() -> None:
                bar.advance()
                stopper.check()

            pools, checked = pools_of(settings, training, held_out, on_case=on_case)
        job = Training(pools, checked, how)
        if checkpoint.is_file():
            job.load(checkpoint)
        curve = Curve(out / "progress.jsonl", job.i_iteration)

        with Bar(n_iterations, n_done=job.i_iteration, title="training", is_quiet=is_quiet) as bar:

            def on_check(check: Check) -> None:
                job.save(checkpoint)
                values = {"train/total": check.train_total, "eval/gain": check.gain, "eval/total": check.totals[-1]}
                for writer in (curve, run):
                    writer.log(values, check.i_iteration)
                bar.move(check.i_iteration, note=f"gain {check.gain:+.4f}")
                stopper.check()

            network = job.run(on_check=on_check)
        best = min(job.checks, key=lambda check: check.totals[-1])
        about |= {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(),
            "gain_on_held_out": best.gain,
            "default_total_on_held_out": best.default_total,
            "best_iteration": best.i_iteration,
            **columns_of(pools[0].evaluator.perceiver),
        }
        write_atomically(policy, Policy(network, about).to_bytes())
        figure = write_figure(
            draw_learning_curve(curve.rows, about, unit="optimiser steps"), out / "learning_curve.png"
        )
        run.keep(policy)
        run.keep(curve.path)
        run.keep(figure, "figures")
    return policy


def pools_of(
    settings: GradientSettings, training: Sequence[Any], held_out: Sequence[Any], *, on_case: Any = lambda: None
) -> tuple[list[Pool], list[Pool]]:
    """The pools to learn from and to check on."""
    config = EnvConfig(
        cortex=settings.cortex,
        device=settings.looks.device,
        objective=settings.objective,
        n_views=settings.n_views,
    )
    evaluator = Evaluator.of(config)
    default_u = evaluator.perceiver.table.default_unit()[0].numpy()
    common = {"size_px": settings.size_px, "disturbances": settings.disturbances, "on_case": on_case}
    seed = settings.training.seed
    pools = make_pools(evaluator, training, default_u, n_cases=settings.n_cases, seed=seed, **common)
    checked = make_pools(evaluator, held_out, default_u, n_cases=settings.n_check_cases, seed=seed + 1, **common)
    return pools, checked


def _flat(about: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a tracked run: nested settings by their own names."""
    nested = {k: v for k, v in about.items() if isinstance(v, dict)}
    flat = {k: v for k, v in about.items() if k not in nested}
    return flat | {f"{k}.{name}": value for k, values in nested.items() for name, value in values.items()}
