"""M1 on filters that grew from photographs, in place of log-Gabors: complex cells of what a rule of plasticity learned.

A complex cell takes some units of one orientation, each with a partner in quadrature (its Hilbert transform across its
stripes), and adds up their squares (Adelson & Bergen 1985). The bank is used at octave steps, as log-Gabors are,
enlarged or shrunk in frequency; its gains were set once, so that cells answer photographs as strongly as log-Gabors do.
``ciliary train filters`` grows one; :mod:`ciliary.tuning.training.filters_bank` says which units are taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ciliary.cortex.ops.loggabor import crop_spectrum, cut_padding, spectrum_of, upsample_aligned
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import Cues, M1Out, RetinaOut
from ciliary.cortex.stages.m1_perception import N_SCALES, PAD_PX, SCALE_STRIDES, perceive
from ciliary.cortex.stages.weights import FOLDER

SHIPPED = FOLDER / "filters.safetensors"
PREFIX = "m1."  # in the file, of the tensors of V1


class GrownV1(nn.Module):
    """:data:`~ciliary.cortex.stages.m1_perception.V1` by a grown bank.

    Args:
        size: orientations, units of each, and height and width of their fields.
    """

    fields: Tensor
    gain: Tensor
    wavelength_px: Tensor
    bandwidth_octaves: Tensor

    def __init__(self, size: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.register_buffer("fields", torch.zeros(size))  # of the image, through the retina, about their middle
        self.register_buffer("gain", torch.ones(N_SCALES + 1, size[0]))  # of each scale's cells, and of colours'
        self.register_buffer("wavelength_px", torch.tensor(8.0))  # that the bank prefers as it stands
        self.register_buffer("bandwidth_octaves", torch.tensor(1.5))

    def forward(self, retina: RetinaOut, theta: Theta) -> tuple[Tensor, Tensor]:
        """Energy of luminance (B, A, O, H, W) and of colours, weighed (B, 2, O, H, W)."""
        size = (retina.opponent.shape[-2], retina.opponent.shape[-1])
        contrast = retina.on_off[:, :1] - retina.on_off[:, 1:]
        spectrum = spectrum_of(torch.cat([contrast, retina.opponent[:, 1:]], 1), pad_px=PAD_PX)
        gains = self.gain[..., None, None]
        energies = [self.energy(spectrum[:, :1], theta, scale, size) * gains[scale] for scale in range(N_SCALES)]
        weight = theta["colour_weight"].view(-1, 1, 1, 1, 1)
        colours = self.energy(spectrum[:, 1:], theta, N_SCALES - 1, size) * (gains[N_SCALES] * weight)
        return torch.cat(energies, 1), colours

    def energy(self, spectrum: Tensor, theta: Theta, scale: int, size: tuple[int, int]) -> Tensor:
        """Energy (B, C, O, H, W) of one octave step of a spectrum (B, C, H', W'); no gain yet."""
        stride = SCALE_STRIDES[scale]
        seen = crop_spectrum(spectrum, stride)
        enlarged = theta["wavelength_px"] * 2**scale / self.wavelength_px
        grid, n = (spectrum.shape[-2], spectrum.shape[-1]), len(self.fields)
        cells = []
        for o, fields in enumerate(self.fields.unbind()):  # one by one: all units of many settings would fill memory
            transfer = quadrature_transfer(
                fields, tangent_rad=math.pi * o / n, enlarged=enlarged, grid=grid, stride=stride
            )
            response = torch.fft.ifft2(seen[:, :, None] * transfer[:, None])
            response = cut_padding(response, pad_px=PAD_PX, stride=stride, size=size)
            power = (response.real.square() + response.imag.square()).mean(2)
            cells.append(torch.sqrt(power + 1e-10) - 1e-5)  # not |z|: its gradient at zero contrast is undefined
        return upsample_aligned(torch.stack(cells, 2), stride, size)


class GrownM1(nn.Module):
    """M1 on a grown bank, which has its own bandwidth: ``bandwidth_octaves`` of theta is not read."""

    inert = frozenset({"bandwidth_octaves"})

    bandwidth_octaves: Tensor

    def __init__(self, v1: GrownV1) -> None:
        super().__init__()
        self.v1 = v1
        self.register_buffer("bandwidth_octaves", v1.bandwidth_octaves.clone())  # whoever stands in for V1 later

    def forward(self, retina: RetinaOut, cues: Cues, theta: Theta) -> M1Out:
        """As M1."""
        own = self.bandwidth_octaves.expand_as(theta["bandwidth_octaves"])  # for what asks how far a filter reaches
        return perceive(retina, cues, {**theta, "bandwidth_octaves": own}, self.v1)


def quadrature_transfer(
    fields: Tensor, *, tangent_rad: float, enlarged: Tensor, grid: tuple[int, int], stride: int
) -> Tensor:
    """What units and their partners in quadrature make of each frequency: (B, K, H'/stride, W'/stride) complex.

    The field's Fourier transform at frequencies scaled by ``enlarged``, without its mean, and 0 in the half plane that
    faces away from the wave vector: the inverse transform of a product with it is the unit plus i times its partner.

    Args:
        fields: (K, P, Q).
        tangent_rad: of the stripes that the units prefer.
        enlarged: (B,) > 0: how many times as large the fields are to be.
        grid: (H', W') of the whole spectrum.
        stride: of the cropped one, for which the transfer is.
    """
    fy, fx = (torch.fft.fftfreq(n // stride, d=float(stride), device=fields.device) for n in grid)
    p, q = fields.shape[-2:]
    fields = fields - fields.mean((1, 2), keepdim=True)
    wave_y, wave_x = (_waves(f * enlarged[:, None], n) for f, n in ((fy, p), (fx, q)))
    spectrum = torch.einsum("bhp,kpq,bwq->bkhw", wave_y, fields.to(wave_y.dtype), wave_x)
    facing = fy[:, None] * math.cos(tangent_rad) - fx * math.sin(tangent_rad)
    transfer: Tensor = spectrum * (2.0 * (facing > 0)).to(fields.dtype)
    return transfer


def _waves(frequency: Tensor, n: int) -> Tensor:
    """exp(2 pi i f x) (B, H, n) of frequencies (B, H) in cycles per pixel, at pixels about their middle.

    Nothing beyond half a cycle: a sampled field says nothing of it. The sign is that of a correlation.
    """
    x = torch.arange(n, device=frequency.device, dtype=frequency.dtype) - (n - 1) / 2
    phase = 2 * math.pi * frequency[..., None] * x
    inside = (frequency.detach().abs() <= 0.5).to(frequency.dtype)[..., None]
    return torch.complex(torch.cos(phase) * inside, torch.sin(phase) * inside)


def grown(path: Path | str | None = None) -> GrownM1:
    """M1 on the filters of a file of ``ciliary train filters``; on those that come with the project when None.

    ``Cortex(m1=grown())`` or, where a stage is named, ``ciliary.cortex.stages.m1_grown:grown``.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds something else.
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no grown filters at {path}; grow some with `ciliary train filters`")
    try:
        with safe_open(str(path), "pt") as file:
            names = [key for key in file.keys() if key.startswith(PREFIX)]  # noqa: SIM118 -- it is no mapping
            state = {name.removeprefix(PREFIX): file.get_tensor(name) for name in names}
        n, k, p, q = state["fields"].shape
        v1 = GrownV1((n, k, p, q))
        v1.load_state_dict(state)
    except (KeyError, RuntimeError, SafetensorError, TypeError) as error:
        raise ValueError(f"{path} holds no grown filters ({error}); grow some with `ciliary train filters`") from error
    return GrownM1(v1).eval().requires_grad_(False)


def about(path: Path | str | None = None) -> Mapping[str, Any]:
    """What the file says of where its filters come from."""
    with safe_open(str(SHIPPED if path is None else path), "pt") as file:
        told: dict[str, Any] = json.loads((file.metadata() or {}).get("about", "{}"))
    return told
