"""Images to tokens through a cortex, in batches, kept on disk so that an exam sat again, or interrupted, is quick."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.device import choose_device
from ciliary.cortex.model import Cortex
from ciliary.cortex.stages.weights import SHIPPED
from ciliary.tuning.benchmarks.tokens import Tokens, joined, tokens_of
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import code_mark, inherited_mark

CHUNK = 64  # images in one file
_FORMAT = 1  # of the files

Progress = Callable[[int], None]
"""Told how many more images are done."""


@dataclass(frozen=True)
class Look:
    """Which cortex looks, at its default setting, and what is kept of what it sees.

    Attributes:
        learned: stages with their learned part, such as ``("m5",)``.
        weights: their file; the one that comes with the project when None.
        deep: backbone as a cue of recognition.
        n_tokens: proto-objects kept of each image; those beyond the 16 heaviest hardly weigh anything.
        batch_size: images in one pass.
        inherited: stages that people's drawings taught.
        curvature: V4 answers too.
        device: where it lies, which is no part of what it sees.
    """

    learned: tuple[str, ...] = ()
    weights: Path | None = None
    deep: str = "none"
    n_tokens: int = 16
    batch_size: int = 16
    inherited: str = "none"
    curvature: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.n_tokens < 1 or self.batch_size < 1:
            raise ValueError(f"expected n_tokens and batch_size >= 1, got {self.n_tokens} and {self.batch_size}")

    @property
    def has_learned_m5(self) -> bool:
        """Whether M5 is the learned one."""
        return "m5" in self.learned

    @cached_property
    def mark(self) -> str:
        """Changes with everything that shapes the tokens of an image."""
        path = self.weights or SHIPPED
        weights = hashlib.sha256(path.read_bytes()).hexdigest() if self.learned else ""
        parts = [sorted(self.learned), weights, self.deep, self.n_tokens, code_mark(rooms=("cortex",)), _FORMAT]
        parts += [inherited_mark(self.inherited)] if self.inherited != "none" else []
        return json.dumps([*parts, "V4"] if self.curvature else parts)

    def cortex(self) -> Cortex:
        """The cortex, in eval mode.

        Raises:
            ProviderUnavailable, FileNotFoundError, ValueError: as :class:`~ciliary.cortex.model.Cortex`.
        """
        cortex = Cortex(
            learned=self.learned,
            weights=self.weights,
            inherited=self.inherited,
            recognise=True,
            deep=self.deep,
            curvature=self.curvature,
        )
        return cortex.eval().to(choose_device(self.device))


class Eye:
    """A cortex that keeps what it saw.

    Args:
        look: which cortex.
        folder: where tokens are kept; None to keep none.
    """

    def __init__(self, look: Look, folder: Path | None = None) -> None:
        self.look = look
        self._folder = folder

    @cached_property
    def cortex(self) -> Cortex:
        """Built when it is first needed: not where all is kept."""
        return self.look.cortex()

    def perceive(self, images: Tensor, progress: Progress | None = None) -> Tokens:
        """Tokens of images (N, 3, P, P) of uint8, N >= 1."""
        parts = []
        for chunk in images.split(CHUNK):
            parts.append(self._chunk(chunk))
            if progress is not None:
                progress(len(chunk))
        return joined(parts)

    def _chunk(self, images: Tensor) -> Tokens:
        path = None if self._folder is None else self._folder / f"{self._key(images)}.npz"
        found = None if path is None else _read(path, len(images))
        if found is None:
            found = joined(
                [see(self.cortex, batch, self.look.n_tokens) for batch in images.split(self.look.batch_size)]
            )
            if path is not None:
                buffer = io.BytesIO()
                np.savez(buffer, **found.arrays())  # type: ignore[arg-type]
                write_atomically(path, buffer.getvalue())
        return found

    def _key(self, images: Tensor) -> str:
        digest = hashlib.sha256(f"{self.look.mark} {tuple(images.shape)}".encode())
        digest.update(images.contiguous().numpy().tobytes())
        return digest.hexdigest()[:24]


@torch.no_grad()
def see(cortex: Cortex, images: Tensor, n_tokens: int) -> Tokens:
    """Tokens of one batch (B, 3, P, P) of uint8; the cortex must recognise."""
    start = time.perf_counter()
    pixels = images.to(cortex.device).float() / 255
    cues = cortex.cues(pixels)
    percept = cortex(pixels, cues=cues)
    return tokens_of(percept, cues.deep, n_tokens=n_tokens, seconds=time.perf_counter() - start)


def _read(path: Path, n_images: int) -> Tokens | None:
    """What a file kept; None where there is none, or a broken one, which is then written anew."""
    try:
        with np.load(path, allow_pickle=False) as file:
            tokens = Tokens(**{name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return tokens if len(tokens) == n_images else None
