"""A readout as a file: its weights, and all that it takes to read another image by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ciliary.tuning.readout.data import Classes
from ciliary.tuning.readout.models import Readout, make_head

_KIND = "readout"


@dataclass(frozen=True, eq=False)
class Kept:
    """A head, its classes, and what it is for.

    Attributes:
        model: in eval mode, frozen, on the CPU.
        classes: that it knows.
        about: JSON types; ``cortex`` (keyword arguments), ``size_px``, ``is_oriented``, and where it comes from.
    """

    model: Readout
    classes: Classes
    about: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """The file."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        classes = {
            "values": list(self.classes.values),
            "is_foreground": self.classes.is_foreground,
            "void": self.classes.void,
        }
        return save(tensors, {"about": json.dumps({**self.about, "kind": _KIND, "classes": classes})})


def load_readout(path: Path) -> Kept:
    """Read such a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no readout at {path}; learn one with: ciliary readout --labelled DIR")
    try:
        with safe_open(str(path), "pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no dict
        if about["kind"] != _KIND:
            raise ValueError(f"its kind is {about['kind']!r}")
        told = about["classes"]
        classes = Classes(tuple(told["values"]), bool(told["is_foreground"]), told["void"])
        model = make_head(about["head"], len(tensors["mean"]), len(classes))
        model.load_state_dict(tensors)
    except (KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} is not a readout of this version ({error}); learn one anew") from error
    return Kept(model.eval().requires_grad_(False), classes, about)
