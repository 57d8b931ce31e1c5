"""Learned stages and the file their weights are in: safetensors, ``<stage>.<tensor>``, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ciliary.cortex.stages.table import LEARNED_STAGES

FOLDER = Path(__file__).parents[1] / "weights"
SHIPPED = FOLDER / "cortex.safetensors"


def stage_names(learned: bool | Collection[str]) -> tuple[str, ...]:
    """Names of the stages to be learned ones, in their order: all, none, or those given.

    Raises:
        ValueError: an unknown stage.
    """
    if isinstance(learned, bool):
        return tuple(LEARNED_STAGES) if learned else ()
    names = {learned} if isinstance(learned, str) else set(learned)
    if unknown := sorted(names - set(LEARNED_STAGES)):
        raise ValueError(f"no learned part for {unknown}; choose from {', '.join(LEARNED_STAGES)}, or True for all")
    return tuple(name for name in LEARNED_STAGES if name in names)


def load_stages(learned: bool | Collection[str] = True, path: Path | str | None = None) -> dict[str, nn.Module]:
    """Learned stages with their weights, in eval mode and frozen.

    Args:
        learned: as for :func:`stage_names`.
        path: of the weights; those that come with the project when None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds something else, or lacks a stage asked for.
    """
    stages = {name: LEARNED_STAGES[name]() for name in stage_names(learned)}
    fill(stages, SHIPPED if path is None else Path(path), "train one with scripts/train_cortex.py")
    return stages


def fill(stages: Mapping[str, nn.Module], path: Path, advice: str) -> None:
    """Give stages the weights of a file, and freeze them in eval mode.

    Raises:
        FileNotFoundError: no such file; the message ends with the advice.
        ValueError: the file holds something else, or lacks one of the stages.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no learned cortex at {path}; {advice}")
    try:
        with safe_open(str(path), "pt") as file:
            keys = list(file.keys())
            for name, stage in stages.items():
                own = {key.removeprefix(f"{name}."): file.get_tensor(key) for key in keys if key.startswith(f"{name}.")}
                if not own:
                    found = sorted({key.split(".")[0] for key in keys})
                    raise ValueError(f"it holds {', '.join(found) or 'nothing'}, not {name}")
                stage.load_state_dict(own)
                stage.eval().requires_grad_(False)
    except (ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} is not a learned cortex of this version ({error}); {advice}") from error


def provenance(path: Path | str | None = None) -> dict[str, Any]:
    """What the file says of where its weights come from.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds something else.
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no learned cortex at {path}")
    try:
        with safe_open(str(path), "pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {}).get("about", "{}"))
            return about
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is not a learned cortex ({error})") from error


def stages_to_bytes(stages: Mapping[str, nn.Module], about: Mapping[str, Any]) -> bytes:
    """The file of some learned stages, wherever they lie."""
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, stage in stages.items()
        for key, value in stage.state_dict().items()
    }
    return save(tensors, {"about": json.dumps(dict(about))})
