"""Weights of the networks: shipped, from torchvision, or from bytes that a user names.

Foreign bytes must be safetensors: a pickle can run code when it is read.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.resources import files
from pickle import UnpicklingError

from safetensors.torch import load
from torch import Tensor

from stylecore.errors import JobError
from stylecore.perception.digests import LPIPS_HEADS_SHA256, VGG16_SHA256
from stylecore.perception.layers import CHANNELS_PER_BLOCK, CONVOLUTIONS_PER_BLOCK, vgg_layers
from stylecore.perception.networks import expected_shapes
from stylecore.perception.tensor_files import is_finite, read_safetensors
from stylecore.settings import EncoderName

_REMEDY = "convert it with safetensors.torch.save_file"


def load_weights(encoder: EncoderName, data: bytes | None) -> dict[str, Tensor]:
    """Weights of a network without its classifier, in the precision in which they are stored.

    Args:
        encoder: architecture.
        data: a safetensors file with torchvision's keys, or None for the default weights (shipped
            VGG-16, torchvision's IMAGENET1K_V1 of the others).

    Returns:
        Key, as torchvision has it, to tensor, on the CPU.

    Raises:
        JobError: the weights are not those of this network, not safetensors, damaged, or cannot be
            downloaded.
    """
    if data is not None:
        return _check_weights(encoder, read_safetensors(data, "the encoder's weights", _REMEDY))
    if encoder == "vgg16":
        return load(_read_shipped("vgg16-features-fp16.safetensors", VGG16_SHA256))
    return _check_weights(encoder, _download(encoder))


def load_lpips_heads() -> dict[str, Tensor]:
    """The linear heads of LPIPS v0.1 for VGG-16: ``lin0`` to ``lin4``, shape (1, c, 1, 1).

    Raises:
        JobError: the shipped file is damaged.
    """
    return load(_read_shipped("lpips-vgg-linear.safetensors", LPIPS_HEADS_SHA256))


def _read_shipped(name: str, sha256: str) -> bytes:
    data = files("stylecore.perception").joinpath("shipped", name).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise JobError(f"the shipped {name} is damaged (SHA-256 differs): install stylebatch again")
    return data


def _download(encoder: EncoderName) -> Mapping[str, Tensor]:
    # Imported here because it is slow and the shipped network does without it.
    from torchvision.models import get_model_weights

    # Not the newer weights of ResNet-50: style was shown to work with these (Wang et al. 2021).
    weights = get_model_weights(encoder)["IMAGENET1K_V1"]
    try:
        with redirect_stdout(sys.stderr):  # it announces the download on stdout
            state: Mapping[str, Tensor] = weights.get_state_dict(
                check_hash=True, progress=False, weights_only=True
            )
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise JobError(
            f"cannot get the {encoder} weights from {weights.url} ({error}): set "
            "encoder_weights_uri to a safetensors file that has them, or use the shipped vgg16"
        ) from error
    return state


def _check_weights(encoder: EncoderName, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that the network needs; others, as of the classifier, are left out."""
    shapes = _expected_shapes(encoder)
    missing = [key for key in shapes if key not in weights]
    if missing:
        raise JobError(
            f"these are not {encoder} weights: no {missing[0]} among {len(weights)} keys"
        )
    for key, shape in shapes.items():
        _check_tensor(f"{encoder} weights: {key}", weights[key], shape)
    return {key: weights[key] for key in shapes}


def _check_tensor(where: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise JobError(f"{where} has shape {tuple(tensor.shape)}, expected {shape}")
    if not tensor.is_floating_point() or not is_finite(tensor):
        raise JobError(f"{where} has values that are not finite numbers")


def _expected_shapes(encoder: EncoderName) -> dict[str, tuple[int, ...]]:
    """Key, as torchvision has it, to shape."""
    if encoder not in CONVOLUTIONS_PER_BLOCK:
        return expected_shapes(encoder)
    shapes: dict[str, tuple[int, ...]] = {}
    num_in = 3
    for name, key in vgg_layers(CONVOLUTIONS_PER_BLOCK[encoder]):
        if key is None:
            continue
        num_out = CHANNELS_PER_BLOCK[int(name[len("relu")]) - 1]
        shapes[f"{key}.weight"] = (num_out, num_in, 3, 3)
        shapes[f"{key}.bias"] = (num_out,)
        num_in = num_out
    return shapes
