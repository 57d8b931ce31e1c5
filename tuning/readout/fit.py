"""Learning a readout: AdamW on crops, a rate that falls where validation stands still, the best of all epochs kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from ciliary.tuning.readout.fields import FieldStore
from ciliary.tuning.readout.losses import parse_loss
from ciliary.tuning.readout.models import Readout
from ciliary.tuning.readout.split import Split


@dataclass(frozen=True)
class FitSettings:
    """How a readout is learned.

    Attributes:
        loss: of :func:`~ciliary.tuning.readout.losses.parse_loss`.
        n_epochs: at most; ``n_steps`` batches of ``n_batch`` crops of ``crop_px`` each.
        rate, decay: of AdamW (Loshchilov & Hutter 2019).
        patience: epochs without a lower validation loss after which it ends.
        plateau: epochs without one after which the rate is halved.
        is_turned: whether crops are turned and mirrored.
        seed: of first weights, and of the crops.
    """

    loss: str = "dice+ce"
    n_epochs: int = 60
    n_steps: int = 12
    n_batch: int = 4
    crop_px: int = 96
    rate: float = 3e-3
    decay: float = 1e-4
    patience: int = 10
    plateau: int = 4
    is_turned: bool = True
    seed: int = 0

    def about(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Epoch:
    """The losses of one epoch, and the rate it was learned at."""

    number: int
    train: float
    validation: float
    rate: float


@dataclass
class Fitted:
    """A readout at the epoch whose validation loss was lowest, in eval mode, and how it came there."""

    model: Readout
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> Epoch:
        """The epoch that was kept."""
        return min(self.epochs, key=lambda epoch: epoch.validation)


def fit(
    make: Callable[[], Readout],
    store: FieldStore,
    split: Split,
    settings: FitSettings,
    *,
    weights: Tensor | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[], None] = lambda: None,
    on_epoch: Callable[[Epoch, Readout], None] = lambda epoch, model: None,
) -> Fitted:
    """Learn on the training images, stop by the validation images. The same settings and fields give the same model.

    Args:
        make: a new readout; its weights are drawn under the seed.
        store: fields and classes of the images.
        split: which are for what; test images are not touched.
        settings: how.
        weights: (K,) of the classes, for losses of pixels.
        device: where it learns.
        on_step: called after each batch.
        on_epoch: called after each epoch with its losses, and the model where it is the best so far.
    """
    s, loss = settings, parse_loss(settings.loss)
    weights = None if weights is None else weights.to(device, torch.float32)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(s.seed)
        model = make()
        model.standardise(store.fields(i) for i in split.train)
        model = model.to(device)
        generator = torch.Generator().manual_seed(s.seed)
        optimiser = torch.optim.AdamW(model.body.parameters(), lr=s.rate, weight_decay=s.decay)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=s.plateau)
        px = crop_side(store, split, s.crop_px, model.multiple_px)
        fitted, best = Fitted(model), copy.deepcopy(model.state_dict())
        for number in range(1, s.n_epochs + 1):
            model.train()
            total = 0.0
            for _ in range(s.n_steps):
                crops = store.crops(split.train, s.n_batch, px, generator, is_turned=s.is_turned)
                cost = loss(model(crops.fields.to(device)), crops.target.to(device), weights)
                optimiser.zero_grad()
                cost.backward()
                optimiser.step()
                total += float(cost.detach())
                on_step()
            held = validation_loss(model, store, split.validation, settings, weights, device)
            epoch = Epoch(number, total / s.n_steps, held, float(optimiser.param_groups[0]["lr"]))
            plateau.step(held)
            is_best = not fitted.epochs or held < fitted.best.validation
            fitted.epochs.append(epoch)
            if is_best:
                best = copy.deepcopy(model.state_dict())
            on_epoch(epoch, model)
            if number - fitted.best.number >= s.patience:
                break
    model.load_state_dict(best)
    model.eval().requires_grad_(False)
    return fitted


def crop_side(store: FieldStore, split: Split, asked_px: int, multiple_px: int) -> int:
    """The side of crops: as asked, not more than the smallest training image, a multiple of what the model needs."""
    px = min(asked_px, store.smallest_px(split.train))
    return max(px - px % multiple_px, 1) if px >= multiple_px else px


@torch.no_grad()
def validation_loss(
    model: Readout,
    store: FieldStore,
    rows: Sequence[int],
    settings: FitSettings,
    weights: Tensor | None,
    device: torch.device | str,
) -> float:
    """Mean over whole images of the loss that is learned by."""
    loss = parse_loss(settings.loss)
    model.eval()
    found = []
    for i in rows:
        fields, target = store.fields(i)[None].to(device), torch.from_numpy(store.target(i))[None].to(device)
        found.append(float(loss(model(fields), target, weights)))
    return sum(found) / len(found)
