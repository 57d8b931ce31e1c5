"""Backbones by name: the packaged EfficientNet-Lite0, and every timm model that shows its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ciliary.cortex.cues.backbone import MEAN, STD, TIMM_NAME, load_classifier
from ciliary.cortex.cues.base import BackboneUnavailable
from ciliary.cortex.cues.network import Network, choose_stages
from ciliary.cortex.cues.pretrained import check_name, load_model
from ciliary.cortex.cues.projection import PACKAGED, find_projection, load_projection
from ciliary.cortex.cues.trunk import Trunk


def make_backbone(name: str = "none", weights: Path | str | None = None) -> Trunk | None:
    """Build a backbone, frozen.

    Args:
        name: ``none`` (None), ``efficientnet_lite0`` (its weights and projection need no network), or a model of
            timm's, with or without the tag of its weights, such as ``resnet50.a1_in1k``.
        weights: state dict file (``.safetensors``, ``.pth``) in place of the package's or the hub's; never runs code.

    Raises:
        UnknownBackbone: no such model; also a ``ValueError``.
        BackboneUnavailable: weights or projection are missing or of another model; the message says what to do.
    """
    if name == "none":
        return None
    network = make_network(name, weights)
    try:
        projection = load_projection(find_projection(name, weights), network.channels)
    except FileNotFoundError as error:
        option = "" if weights is None else f" --features-weights {weights}"
        raise BackboneUnavailable(f"{error}; fit one with: ciliary train features {name}{option}") from error
    except ValueError as error:
        raise BackboneUnavailable(str(error)) from error
    return Trunk(network, projection, name=name)


def make_network(name: str, weights: Path | str | None = None) -> Network:
    """The stages of a model, with its weights; raises as :func:`make_backbone`."""
    if name == PACKAGED:
        tensors = load_classifier(weights).state_dict()
        return stages_of(TIMM_NAME, tensors, {"mean": (MEAN,) * 3, "std": (STD,) * 3, "input_size": (3, 224, 224)})
    check_name(name)
    model, declared = load_model(name, weights)
    return stages_of(name, model.state_dict(), declared)


def stages_of(name: str, tensors: Mapping[str, Tensor], declared: Mapping[str, Any]) -> Network:
    """The stages of timm's model ``name``, with the tensors of the whole model.

    Args:
        name: of the model.
        tensors: its state dict.
        declared: its ``pretrained_cfg``: ``mean``, ``std``, ``input_size`` and, if so, ``fixed_input_size``.

    Raises:
        BackboneUnavailable: timm shows no stages of it.
    """
    size_px = (int(declared["input_size"][1]), int(declared["input_size"][2]))
    is_fixed = bool(declared.get("fixed_input_size"))
    try:
        plain: Any = timm.create_model(name, features_only=True)
        indices = choose_stages([stage["reduction"] for stage in plain.feature_info.info])
        stages = _with_stages(name, indices, takes_any=is_fixed)
    except Exception as error:
        raise BackboneUnavailable(
            f"{name} shows no stages by timm's features_only ({' '.join(str(error).split())[:200]}); choose a model "
            f"that does, such as resnet50, vit_small_patch14_dinov2 or {PACKAGED}"
        ) from error
    stages.load_state_dict(same_tensors(tensors, stages.state_dict(), name), strict=True)
    strides = stages.feature_info.reduction()
    if is_fixed and not _takes(stages.eval(), [n + max(strides) for n in size_px]):
        stages = timm.create_model(name, features_only=True, out_indices=indices)
        stages.load_state_dict(same_tensors(tensors, stages.state_dict(), name), strict=True)
        where: dict[str, Any] = {"input_px": size_px}
    else:  # no zero padding to keep out where there are patches
        where = {"border_px": 0 if is_fixed else max(strides)}
    channels = stages.feature_info.channels()
    return Network(stages, strides=strides, channels=channels, mean=declared["mean"], std=declared["std"], **where)


def same_tensors(whole: Mapping[str, Tensor], part: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of the whole model under the names of its stages, which write ``stages_0.x`` for ``stages.0.x``.

    Raises:
        BackboneUnavailable: one of the stages' tensors is not in the model, or has another shape there.
    """
    known = {key.replace(".", "_"): value for key, value in whole.items()}
    found = {key: known.get(key.removeprefix("model.").replace(".", "_")) for key in part}
    wrong = [key for key, value in found.items() if value is None or value.shape != part[key].shape]
    if wrong or len(known) != len(whole):
        raise BackboneUnavailable(
            f"the stages of {name} have tensors that its model has not ({', '.join(wrong[:3])}); choose another model"
        )
    return {key: value for key, value in found.items() if value is not None}


def _with_stages(name: str, indices: tuple[int, ...], *, takes_any: bool) -> Any:
    """The stages; of a model made for one size, by an option of timm's that lets it take others, if it has it."""
    if takes_any:
        try:
            return timm.create_model(name, features_only=True, out_indices=indices, dynamic_img_size=True)
        except TypeError:
            pass  # it has no such option: whether it takes other sizes all the same is tried out
    return timm.create_model(name, features_only=True, out_indices=indices)


@torch.no_grad()
def _takes(stages: nn.Module, size_px: list[int]) -> bool:
    try:
        stages(torch.zeros(1, 3, *size_px))
    except (RuntimeError, AssertionError, ValueError):
        return False
    return True
