"""The job: a newborn cortex, photographs without labels, and the curriculum; out come weights with provenance.

One checkpoint holds everything a later process needs: the same steps follow as if nothing had happened.
"""

from __future__ import annotations

import copy
import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ciliary.agents.training.pool import split
from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device, to_device
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.images import open_images
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.training.batches import Batches
from ciliary.tuning.training.curriculum import PHASES, Curriculum, PhaseSettings
from ciliary.tuning.training.curves import Curve, LearningRun, claim
from ciliary.tuning.training.phases import PHASE_LOSSES, remembered_pairs
from ciliary.tuning.training.settings import MatureSettings

N_CHECK_BATCHES = 3  # held-out batches that a look is made at


@dataclass
class State:
    """Where a training stands: done phases, steps of the present one, its best weights and how long ago that was."""

    stages: dict[str, nn.Module]
    done: list[str] = field(default_factory=list)
    i_step: int = 0
    best: float = math.inf
    n_since_best: int = 0
    kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    optimiser: dict[str, Any] | None = None
    log: list[dict[str, Any]] = field(default_factory=list)


def newborn(seed: int, device: torch.device | str = "cpu") -> dict[str, nn.Module]:
    """All learned stages, untrained; the same seed gives the same. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {name: make().to(device) for name, make in LEARNED_STAGES.items()}


def cortex_of(stages: Mapping[str, nn.Module], device: torch.device | str = "cpu") -> Cortex:
    """A cortex with these stages, all of it there; those that are missing are the mathematical ones."""
    return Cortex(**dict(stages)).to(device)  # type: ignore[arg-type]


def mature(settings: MatureSettings, *, is_quiet: bool = False) -> Path:
    """Train, or go on with a training that was stopped; returns the weights, ``out/cortex.safetensors``.

    Raises:
        ValueError: too few photographs, or the folder holds another training.
        UnreadableImage: the images cannot be read.
        StoreError: the tracking store cannot be opened.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    out, curriculum = settings.out, settings.curriculum
    weights, checkpoint = out / "cortex.safetensors", out / "checkpoint.pt"
    device = choose_device(settings.device)
    photographs = [p for source in settings.images for p in open_images(source, 2 * curriculum.long_side_px)]
    training, held_out = split(photographs, curriculum.hold_out)
    about = {"curriculum": curriculum.about(), "n_photographs": len(training), "n_held_out": len(held_out)}
    claim(out, about)
    if weights.is_file() and checkpoint.is_file():
        return weights
    parameters = {k: v for k, v in curriculum.about().items() if k != "phases"}
    parameters |= {k: v for k, v in about.items() if k != "curriculum"}
    with Stopper() as stopper, LearningRun(out, parameters, name="cortex") as run:
        batches, checked = (
            Batches(
                some, shape_px=curriculum.shape_px, seed=curriculum.seed + i, spread=curriculum.spread, device=device
            )
            for i, some in enumerate((training, held_out))
        )
        state = State(newborn(curriculum.seed, device))
        if checkpoint.is_file():
            load(state, checkpoint)
        curve = Curve(out / "progress.jsonl", len(state.log))
        for name, phase in curriculum.phases.items():
            if name in state.done:
                continue

            def told(values: dict[str, float], name: str = name) -> None:
                state.log.append(values)
                save(state, checkpoint)
                curve.log({"phase": PHASES.index(name), **values}, len(state.log))
                run.log({f"{name}/{k}": v for k, v in values.items()}, int(values["at"]))
                stopper.check()

            with Bar(phase.n_steps, n_done=state.i_step, is_quiet=is_quiet, title=f"{name:<8}") as bar:
                run_phase(name, phase, curriculum, state, batches, checked, on_check=told, on_step=bar.advance)
            state.done.append(name)
            state.i_step, state.best, state.n_since_best, state.kept, state.optimiser = 0, math.inf, 0, {}, None
            save(state, checkpoint)
        about |= {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": versions(),
            "labels": "none were used",
        }
        write_atomically(weights, stages_to_bytes(state.stages, about))
        run.keep(weights)
        run.keep(curve.path)
    return weights


def run_phase(
    name: str,
    phase: PhaseSettings,
    curriculum: Curriculum,
    state: State,
    batches: Batches,
    checked: Batches,
    *,
    on_check: Callable[[dict[str, float]], None],
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """One phase, from where the state stands to its end; the best weights on the held-out photographs are kept."""
    for stage in state.stages.values():
        stage.requires_grad_(False)
    parameters = [p for stage in phase.trains for p in state.stages[stage].requires_grad_(True).parameters()]
    cortex = cortex_of(state.stages, batches.device)
    learn, look = (
        prepare(name, phase, cortex, some, curriculum=curriculum, is_training=is_training)
        for some, is_training in ((batches, True), (checked, False))
    )
    optimiser = torch.optim.Adam(parameters, lr=phase.rate)
    if state.optimiser is not None:
        optimiser.load_state_dict(state.optimiser)
    every = phase.check_every or curriculum.check_every

    def check(recent: list[float]) -> None:
        with torch.no_grad():
            terms = [look(i) for i in range(N_CHECK_BATCHES)]
        means = {k: float(torch.stack([t[k] for t in terms]).mean()) for k in terms[0]}
        total = sum(phase.weights.get(k, 0.0) * v for k, v in means.items())
        state.n_since_best += 1
        if total < state.best:
            state.best, state.n_since_best = total, 0
            state.kept = {n: copy.deepcopy(state.stages[n].state_dict()) for n in phase.trains}
        state.optimiser = optimiser.state_dict()
        told = {"at": float(state.i_step), "total": total, **means}
        told |= {"train": sum(recent) / len(recent)} if recent else {}
        on_check(told)

    recent: list[float] = []
    if state.i_step == 0:
        check(recent)
    while state.i_step < phase.n_steps and state.n_since_best <= curriculum.patience:
        for group in optimiser.param_groups:
            group["lr"] = phase.rate * 0.5 * (1 + math.cos(math.pi * state.i_step / phase.n_steps))
        terms = learn(state.i_step)
        total = torch.stack([phase.weights.get(k, 0.0) * v for k, v in terms.items()]).sum()
        optimiser.zero_grad()
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        recent.append(float(total.detach()))
        state.i_step += 1
        on_step()
        if state.i_step % every == 0 or state.i_step == phase.n_steps:
            check(recent)
            recent = []
    for n, kept in state.kept.items():
        state.stages[n].load_state_dict(kept)
        state.stages[n].requires_grad_(False)


def prepare(
    name: str, phase: PhaseSettings, cortex: Cortex, batches: Batches, *, curriculum: Curriculum, is_training: bool
) -> Callable[[int], dict[str, Tensor]]:
    """What a phase looks at once, before it learns; returns its losses by step."""
    losses, n = PHASE_LOSSES[name], curriculum.n_batch
    if name == "m5":
        pairs = gather_pairs(cortex, batches, n_rounds=phase.n_rounds if is_training else 1, n_batch=n)
        net: Any = cortex.m5.net  # type: ignore[union-attr]
        if is_training:
            standardise(net, pairs[0])
        pairs = (net.standardise(pairs[0]), net.standardise(pairs[1]), pairs[2])
        return lambda step: losses(cortex, pairs, phase, step=step)
    if name == "m2":
        teacher = batches.taught(curriculum.n_settings)
        return lambda step: losses(cortex, batches.draw(step, n), phase, teacher=teacher)
    return lambda step: losses(cortex, batches.draw(step, n), phase)


def gather_pairs(cortex: Cortex, batches: Batches, *, n_rounds: int, n_batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`remembered_pairs` of all photographs, ``n_rounds`` times under other views and settings."""
    found = []
    for k in range(n_rounds):
        found += [
            remembered_pairs(cortex, batches.batch(rows, seed=1000 * k + int(rows[0])))
            for rows in torch.split(torch.arange(len(batches)), n_batch)
        ]
    one, other, owner = (torch.cat([x[i] for x in found]) for i in range(3))
    return one, other, owner


@torch.no_grad()
def standardise(net: Any, descriptions: Tensor) -> None:
    """Give the experts mean and spread of what they will be told."""
    net.mean.copy_(descriptions.mean(0))
    net.spread.copy_(descriptions.std(0).clamp_min(0.05))


def save(state: State, path: Path) -> None:
    """Everything, atomically; on the CPU, so that it goes on wherever."""
    values = {k: v for k, v in vars(state).items() if k != "stages"}
    values |= {"stages": {name: stage.state_dict() for name, stage in state.stages.items()}}
    part = path.with_suffix(".part")
    torch.save(to_device(values, "cpu"), part)
    part.replace(path)


def load(state: State, path: Path) -> None:
    """Back to where :func:`save` was.

    Raises:
        ValueError: it was saved of other stages than the state has.
    """
    values = torch.load(path, weights_only=True, map_location="cpu")
    stages = values.pop("stages")
    if set(stages) != set(state.stages):
        raise ValueError(f"{path} trains {', '.join(stages)}, not {', '.join(state.stages)}; choose another folder")
    for name, weights in stages.items():
        state.stages[name].load_state_dict(weights)
    for name, value in values.items():
        setattr(state, name, value)
