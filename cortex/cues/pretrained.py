"""Whole timm models with their weights, from a file or the hub; what is in a file never runs."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ciliary.cortex.cues.base import BackboneUnavailable, UnknownBackbone
from ciliary.cortex.cues.projection import PACKAGED

_MAX_TOLD = 240  # characters of somebody else's error


def check_name(name: str) -> None:
    """Raise :class:`UnknownBackbone`, naming near ones, unless timm has such a model and weights of that tag."""
    if name == PACKAGED:
        return
    model, _, tag = name.partition(".")
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, [PACKAGED, *timm.list_models()], n=4, cutoff=0.5)
        raise UnknownBackbone(
            f"unknown backbone {name!r}; expected none, {PACKAGED} or a model of timm's"
            + (f", such as {', '.join(near)}" if near else "; timm.list_models() lists them")
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{model}.*")] if tag else []
    if tag and tag not in tags:
        raise UnknownBackbone(f"{model} has no weights called {tag!r}; choose from {', '.join(tags) or 'none'}")


def load_model(name: str, weights: Path | str | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """A whole timm model with its weights: a file's, or the hub's where there is a network or it was there once.

    Returns:
        The model, and what it declares (timm's ``pretrained_cfg``: mean, std, input size).

    Raises:
        BackboneUnavailable: no such file, not the model's tensors, or no network.
    """
    if weights is None:
        try:
            model: Any = timm.create_model(name, pretrained=True)
        except Exception as error:  # no network, nothing published, a download cut off: whatever the hub raises
            raise BackboneUnavailable(
                f"could not get the weights of {name} from the hub ({_told(error)}); open the network once, or give a "
                f"file with --features-weights FILE, or use --features {PACKAGED}, which needs none"
            ) from error
        return model, dict(model.pretrained_cfg)
    given = read_tensors(Path(weights))
    try:
        plain: Any = timm.create_model(name)
        declared = dict(plain.pretrained_cfg)
        head = declared.get("classifier")
        head = head if isinstance(head, str) else (head or ("",))[0]
        n_classes = len(given[f"{head}.weight"]) if f"{head}.weight" in given else 0  # a user's own, or cut off
        overlay = {"state_dict": given, "num_classes": n_classes}
        model = timm.create_model(name, pretrained=True, num_classes=n_classes, pretrained_cfg_overlay=overlay)
    except Exception as error:  # missing, too many or misshapen tensors, said in timm's or torch's words
        raise BackboneUnavailable(
            f"{weights} does not hold the tensors of {name} ({_told(error)}); give a state dict of this very model"
        ) from error
    return model, declared


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, without running anything in it.

    Raises:
        BackboneUnavailable: no such file, or something else in it.
    """
    if not path.is_file():
        raise BackboneUnavailable(f"expected weights at {path}, found no such file; give a .safetensors or .pth file")
    try:
        is_safe = path.suffix == ".safetensors"
        given: Any = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneUnavailable(
            f"expected a state dict in {path}, could not read it ({_told(error)}); give a .safetensors file, or a .pth "
            "file that holds tensors only"
        ) from error
    for key in ("state_dict", "model"):  # as trainings keep it
        if isinstance(given, dict) and isinstance(given.get(key), dict):
            given = given[key]
    if not isinstance(given, dict) or not all(isinstance(x, Tensor) for x in given.values()):
        raise BackboneUnavailable(f"expected a state dict, names and tensors, in {path}, got {type(given).__name__}")
    return given


def _told(error: Exception) -> str:
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words if len(words) <= _MAX_TOLD else f"{words[:_MAX_TOLD]}..."
