"""Any function ``segment(image, **parameters) -> label map`` as a perceiver."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.model import check_image
from ciliary.cortex.segmenters.describe import describe
from ciliary.cortex.segmenters.percept import MAX_MASKS, LabelPercept, Labels
from ciliary.cortex.segmenters.work import Segment, Task, Workers
from ciliary.cortex.table import Parameter, ParameterTable, Theta

#: Pixels of label maps that are remembered: 160 of 192 x 128, or one of four megapixels.
REMEMBERED_PX = 4_000_000

_Key = tuple[bytes, tuple[float, ...]]  # digest of an image, numbers


class SegmenterPerceiver:
    """A segmentation function with a described set of parameters.

    ```
    def segment(image, *, threshold=0.5):  # (H, W, 3) in [0, 1] -> (H, W) integers
        return image.mean(-1) > threshold

    SegmenterPerceiver(segment, {"threshold": (0.1, 0.9, 0.5)})
    ```

    The function is called once for each image and setting, with plain numbers: whole ones where the scale is ``int``,
    six significant digits else. What was asked for lately is not computed again. A number of segments that differs from
    image to image is no trouble, see :class:`~ciliary.cortex.segmenters.percept.LabelPercept`.

    Args:
        segment: the function; the same image and numbers must give the same answer.
        parameters: a :class:`ParameterTable`; or ``(low, high, default)`` of each, and behind these ``"log"`` or
            ``"int"`` where that is its scale and a sentence on what it does; None: every keyword of the function whose
            default is a number above 0, from a quarter to four times that (``notes`` says so).
        name: short; part of what is stored. The function's own when None.
        n_workers: processes that share the settings of a batch; 1 calls the function in this process. More pay where a
            call takes more than some ten milliseconds. The function must then be one that a module holds.
        max_masks: segments told apart in the masks of one image; labels keep all.

    Raises:
        ValueError, TypeError: as :func:`ciliary.cortex.segmenters.describe.describe`.
    """

    answers: frozenset[str] = frozenset()
    inert: frozenset[str] = frozenset()

    def __init__(
        self,
        segment: Segment,
        parameters: ParameterTable | Mapping[str, Sequence[Any]] | None = None,
        *,
        name: str | None = None,
        n_workers: int = 1,
        max_masks: int = MAX_MASKS,
    ) -> None:
        if not callable(segment):
            raise TypeError(f"expected a function segment(image, **parameters), got {segment!r}")
        if max_masks < 1:
            raise ValueError(f"expected max_masks >= 1, got {max_masks}")
        self.name = name or _name_of(segment)
        self.segment = segment
        self.table, self.notes = describe(segment, parameters, name=self.name)
        self.max_masks = max_masks
        self._workers = Workers(segment, self.name, n_workers)
        self._remembered: OrderedDict[_Key, Labels] = OrderedDict()

    def cues(self, image: Tensor) -> None:
        """None: settings share nothing of an image."""
        del image

    def __call__(self, image: Tensor, theta: Theta | None = None, cues: Any = None) -> LabelPercept:
        """Segment B images. The function is called on the CPU, wherever they lie; the percept lies where they do.

        Args:
            image: (B, 3, H, W) float32, sRGB in [0, 1].
            theta: one value per image and parameter, (B,) each; the defaults when None.
            cues: ignored.

        Raises:
            RuntimeError: the function failed; says with which numbers on which image.
            TypeError, ValueError: it returned no label map of the image; or on a wrong shape, dtype or range of
                ``image``, or a theta of another batch size.
            KeyError: on unknown or missing parameter names.
        """
        del cues
        check_image(image)
        theta = self.table.default_theta(len(image)) if theta is None else theta
        self.table.check_theta(theta, len(image))
        pixels = image.detach().permute(0, 2, 3, 1).clamp(0, 1).contiguous().cpu().numpy()
        columns = [theta[row.name].detach().tolist() for row in self.table]
        values = [tuple(map(_number, self.table, setting)) for setting in zip(*columns, strict=True)]
        keys = [(_digest(one), setting) for one, setting in zip(pixels, values, strict=True)]
        wanted: dict[_Key, Task] = {}
        for i, key in enumerate(keys):
            if key not in self._remembered and key not in wanted:
                numbers = dict(zip(self.table.names, key[1], strict=True))
                wanted[key] = Task(pixels[i], numbers, f"image {i + 1} of {len(pixels)}")
        found = dict(zip(wanted, self._workers.run(list(wanted.values())), strict=True))
        maps = [found[key] if key in found else self._remembered[key] for key in keys]
        self._remember(dict(zip(keys, maps, strict=True)))
        return LabelPercept(torch.from_numpy(np.stack(maps)).to(image.device), self.max_masks)

    def close(self) -> None:
        """End the worker processes, if there are any. They also end with this object."""
        self._workers.close()

    def _remember(self, maps: Mapping[_Key, Labels]) -> None:
        for key, labels in maps.items():
            self._remembered[key] = labels
            self._remembered.move_to_end(key)
        n_px = sum(labels.size for labels in self._remembered.values())
        while n_px > REMEMBERED_PX:
            n_px -= self._remembered.popitem(last=False)[1].size

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_remembered": OrderedDict()}


def _name_of(segment: Segment) -> str:
    function = segment.func if isinstance(segment, partial) else segment
    name = str(getattr(function, "__name__", type(function).__name__))
    return name if name.isidentifier() else "segment"


def _digest(pixels: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    return hashlib.blake2b(pixels.tobytes(), digest_size=16, salt=repr(pixels.shape).encode()[:16]).digest()


def _number(row: Parameter, value: float) -> float:
    """What the function is handed: float32 was on the way here, and a default of 1.2 is to arrive as 1.2."""
    return round(value) if row.scale == "int" else float(f"{value:.6g}")
