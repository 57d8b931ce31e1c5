"""Teach the eye what to expect where it has not looked closely, by photographs and glances at them."""

from __future__ import annotations

import datetime
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.cortex.dorsal.expectation import ExpectationNet
from ciliary.cortex.dorsal.mixture import read_mixture
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.images import open_images
from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.gaze.expectation_data import Lessons, make_lessons
from ciliary.tuning.gaze.means import trunk_of
from ciliary.tuning.gaze.settings import ExpectationTraining
from ciliary.tuning.runs.files import write_atomically

WEIGHTS = "expectation.safetensors"
_BATCH = 32
_LEARNING_RATE = 3e-3
_DECAY = 1e-4
_READ_PX = 480
_HELD_OUT = 10  # one photograph in so many is not learned from


def run(settings: ExpectationTraining) -> int:
    """Teach, write and tell.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    try:
        path, words = train(settings)
    except FileNotFoundError as error:
        _complain(error)
        return USAGE
    except (ProviderUnavailable, UnreadableImage, ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        return STOPPED
    if not settings.is_quiet:
        print(f"{words}\nexpectation {path}")
    return ALL_WELL


def train(settings: ExpectationTraining) -> tuple[Path, str]:
    """The file of weights, and what it is worth on the photographs that were held out.

    Raises:
        ProviderUnavailable, UnreadableImage, ValueError, OSError: as they are.
    """
    s = settings
    there = choose_device(s.device)
    mixture = None if s.weights is None else read_mixture(s.weights)
    photographs = open_images(list(s.images), _READ_PX)
    if len(photographs) < _HELD_OUT:
        raise ValueError(f"expected at least {_HELD_OUT} photographs to learn from, got {len(photographs)}")
    n_views = len(photographs) * s.n_views
    with Bar(n_views, title="glances", unit="views", is_quiet=s.is_quiet) as bar:
        lessons = make_lessons(
            photographs,
            n_views=s.n_views,
            seed=s.seed,
            mixture=mixture,
            trunk=trunk_of(mixture, there),
            device=there,
            on_view=bar.advance,
            on_broken=_complain,
        )
        is_told = lessons.photograph[lessons.view] % _HELD_OUT == 0
        learned, told = (torch.nonzero(x).flatten() for x in (~is_told, is_told))
        bar.next("epochs", s.n_epochs)
        net = teach(lessons, learned, seed=s.seed, n_epochs=s.n_epochs, bar=bar)
    missing, floor = divergence(net, lessons, told)
    about = {
        "photographs": len(photographs),
        "views": len(lessons.target),
        "lessons": len(learned),
        "teacher": "priority" if mixture is None else f"mixture of {len(mixture.weights)}, {mixture.features}",
        "epochs": s.n_epochs,
        "seed": s.seed,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
    path = write_atomically(s.out / WEIGHTS, stages_to_bytes({"expectation": net.half()}, about))
    words = (
        f"on {len(told)} lessons of photographs held out: {missing:.3f} nats from the photograph's own priority, "
        f"a uniform density {floor:.3f}"
    )
    return path, words


def teach(lessons: Lessons, learned: Tensor, *, seed: int, n_epochs: int, bar: Bar) -> ExpectationNet:
    """The network after so many epochs, in eval mode: Adam with one cycle of its rate (Smith and Topin 2019)."""
    torch.manual_seed(seed)
    net = ExpectationNet().to(lessons.seen.device).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=_LEARNING_RATE, weight_decay=_DECAY)
    n_steps = -(-len(learned) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=n_steps * n_epochs)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(n_epochs):
        for rows in learned[torch.randperm(len(learned), generator=draw).to(learned.device)].split(_BATCH):
            seen, target = lessons.seen[rows].float(), lessons.target[lessons.view[rows]]
            if torch.rand((), generator=draw) < 0.5:
                seen, target = seen.flip(-1), target.flip(-1)
            loss = F.cross_entropy(net(seen).flatten(1), target.flatten(1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        bar.advance()
    return net.eval().requires_grad_(False)


@torch.no_grad()
def divergence(net: ExpectationNet, lessons: Lessons, told: Tensor) -> tuple[float, float]:
    """Mean Kullback-Leibler divergence in nats of what is expected, and of a uniform density, from the target."""
    missing, floor = [], []
    for rows in told.split(256):
        target = lessons.target[lessons.view[rows]].flatten(1)
        entropy = -torch.xlogy(target, target).sum(1)
        logs = F.log_softmax(net(lessons.seen[rows].float()).flatten(1), 1)
        missing.append(-(target * logs).sum(1) - entropy)
        floor.append(torch.full_like(entropy, target.shape[1]).log() - entropy)
    return float(torch.cat(missing).mean()), float(torch.cat(floor).mean())


_complain = partial(complain, "train_expectation")
