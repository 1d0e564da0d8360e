"""Pretrained networks and the device they are on, loaded once in a process."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import nn

from stylecore.errors import JobError
from stylecore.metrics.quality import build_lpips
from stylecore.perception.encoder import Encoder, build_encoder
from stylecore.perception.weights import load_weights
from stylecore.settings import EncoderName, OptimizeSettings, Pooling, Smoothing

_KEPT_ENCODERS: Final = 4


def load_encoder(settings: OptimizeSettings, data: bytes | None, device: torch.device) -> Encoder:
    """The network that settings name, with the weights in a safetensors file or its default ones.

    Raises:
        JobError: the weights are not of that network, or its own cannot be had.
    """
    if data is None:
        return _default_encoder(settings.encoder, settings.pooling, settings.smoothing, device)
    weights = load_weights(settings.encoder, data)
    encoder = build_encoder(settings.encoder, settings.pooling, weights, settings.smoothing)
    return encoder.to(device)


@lru_cache(_KEPT_ENCODERS)
def _default_encoder(
    name: EncoderName, pooling: Pooling, smoothing: Smoothing, device: torch.device
) -> Encoder:
    """Loaded once in a process: frozen, so that shards and stages of a cascade can share it."""
    return build_encoder(name, pooling, load_weights(name, None), smoothing).to(device)


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first CUDA device, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    num_cuda = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= num_cuda:
        raise JobError(f"device {name} is not here ({num_cuda} CUDA devices): use auto or cpu")
    return device


def default_vgg16(device: torch.device) -> Encoder:
    """What LPIPS and refiners are defined on."""
    return _default_encoder("vgg16", "max", "none", device)


@lru_cache(_KEPT_ENCODERS)
def default_lpips(device: torch.device) -> nn.Module:
    """LPIPS, sharing its network with whoever else uses it."""
    return build_lpips(default_vgg16(device))
