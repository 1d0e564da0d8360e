"""One contestant of ``bench_optimizer.py`` on one pair, in a process of its own.

Writes what every evaluation found, and when, as JSON to the standard output.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylecore.config import StylizeJob
from stylecore.errors import RunStoppedError
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content, resize_style
from stylecore.images.tensors import to_batch
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import IMAGENET
from stylecore.perception.layers import CONVOLUTIONS_PER_BLOCK, vgg_layers
from stylecore.perception.weights import load_weights
from stylecore.stylizer import Content, StylePainting, build_stylizer

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHT = 1e6
LIMITS = DecodeLimits(max_bytes=2**26, max_pixels=50_000_000)


class Curve:
    """Best total so far and CPU seconds of the process, after every evaluation."""

    def __init__(self, target: float) -> None:
        self._target = target
        self.totals: list[float] = []
        self.cpu_seconds: list[float] = []

    def note(self, total: float) -> None:
        self.totals.append(min([total, *self.totals[-1:]]))
        self.cpu_seconds.append(time.process_time())

    def is_at_target(self) -> bool:
        return bool(self.totals) and self.totals[-1] <= self._target


def main() -> None:
    """Run the contestant that the options name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--px", type=int, required=True, help="longest side")
    parser.add_argument("--evaluations", type=int, required=True)
    parser.add_argument("--target", type=float, default=0.0, help="total at which to stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    curve = Curve(options.target)
    pictures = [_read(options.content), _read(options.style)]
    CONTESTANTS[options.contestant](*pictures, options, curve)
    json.dump({"totals": curve.totals, "cpu_seconds": curve.cpu_seconds}, sys.stdout)


def run_stylebatch(content: RgbImage, style: RgbImage, options: Any, curve: Curve) -> None:
    """The project's own stylizer."""
    optimize = {"num_evaluations": options.evaluations}
    job = StylizeJob(
        manifest_uri="none", output_uri="none", max_side_px=options.px, device="cpu",
        optimize=optimize,
    )  # fmt: skip
    watch = Watch(
        on_evaluation=lambda _key, _number, total: curve.note(total),
        should_stop=curve.is_at_target,
    )
    stylizer = build_stylizer(job, [StylePainting(style)], watch=watch)
    try:
        list(stylizer.stylize([Content(0, resize_content(content, options.px))]))
    except RunStoppedError:
        return


def run_tutorial(
    is_frozen: bool, content: RgbImage, style: RgbImage, options: Any, curve: Curve
) -> None:
    """The loop of PyTorch's "Neural Transfer Using PyTorch", on the reference objective.

    torch.optim.LBFGS as it comes, from the photograph, pixels clamped in the closure. As
    first published it did not freeze the network's weights, and computed their gradients too.
    """
    network = plain_vgg16().requires_grad_(not is_frozen)
    photograph = to_batch([resize_content(content, options.px)])
    painting = to_batch([resize_style(style, options.px)])
    objective = plain_objective(network, photograph, painting)
    pixels = photograph.clone().contiguous().requires_grad_()
    optimizer = torch.optim.LBFGS([pixels])

    def closure() -> Tensor:
        with torch.no_grad():
            pixels.clamp_(0, 1)
        optimizer.zero_grad()
        total = objective(pixels)
        total.backward()
        if len(curve.totals) < options.evaluations:  # a step is 20 evaluations: some are too many
            curve.note(total.item())
        return total

    while len(curve.totals) < options.evaluations:
        optimizer.step(closure)


def plain_vgg16() -> nn.ModuleDict:
    """The shipped network up to relu5_1, of nothing but torch's own layers."""
    weights = load_weights("vgg16", None)
    network = nn.ModuleDict()
    for name, key in vgg_layers(CONVOLUTIONS_PER_BLOCK["vgg16"]):
        if key is None:
            network[name] = nn.MaxPool2d(2)
            continue
        kernel, bias = weights[f"{key}.weight"].float(), weights[f"{key}.bias"].float()
        convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        convolution.load_state_dict({"weight": kernel, "bias": bias})
        network[name] = nn.Sequential(convolution, nn.ReLU())
        if name == STYLE_LAYERS[-1]:
            break
    return network


def plain_objective(
    network: nn.ModuleDict, photograph: Tensor, painting: Tensor
) -> Callable[[Tensor], Tensor]:
    """The reference objective, as one would write it down."""
    with torch.no_grad():
        content_target = dict(features_of(network, photograph))[CONTENT_LAYER]
        found = dict(features_of(network, painting))
        grams = {name: plain_gram(found[name]) for name in STYLE_LAYERS}

    def objective(pixels: Tensor) -> Tensor:
        total = pixels.new_zeros(())
        for name, features in features_of(network, pixels):
            if name == CONTENT_LAYER:
                total = total + functional.mse_loss(features, content_target)
            if name in grams:
                error = functional.mse_loss(plain_gram(features), grams[name])
                total = total + STYLE_WEIGHT * error
        return total

    return objective


def features_of(network: nn.ModuleDict, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Layer by layer."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    features = (images - mean) / std
    for name, layer in network.items():
        features = layer(features)
        yield name, features


def plain_gram(features: Tensor) -> Tensor:
    """Shape (1, c, h, w) to (c, c)."""
    flat = features.reshape(features.shape[1], -1)
    return flat @ flat.t() / flat.numel()


def run_floor(content: RgbImage, style: RgbImage, options: Any, curve: Curve) -> None:
    """Only the convolutions of an evaluation: forward, and back to their inputs.

    A layer is taken as often as there are evaluations and its best time counts, in the memory
    order that is faster. The curve has their sum as a total, in seconds.
    """
    del style
    height, width, _ = resize_content(content, options.px).shape
    network = plain_vgg16().requires_grad_(requires_grad=False)
    seconds = 0.0
    for layer in network.values():
        if isinstance(layer, nn.MaxPool2d):
            height, width = height // 2, width // 2
            continue
        inputs = torch.rand(1, layer[0].in_channels, height, width)
        formats = (torch.contiguous_format, torch.channels_last)
        seconds += min(_best_seconds(layer[0], inputs, order, options.evaluations)
                       for order in formats)  # fmt: skip
    curve.note(seconds)


def _best_seconds(
    convolution: nn.Module, inputs: Tensor, order: torch.memory_format, turns: int
) -> float:
    convolution = convolution.to(memory_format=order)
    inputs = inputs.to(memory_format=order).requires_grad_()
    gradient = torch.ones_like(convolution(inputs))
    times = [time.process_time()]
    for _ in range(turns):
        convolution(inputs).backward(gradient)
        times.append(time.process_time())
    return min(after - before for before, after in pairwise(times))


def _read(path: Path) -> RgbImage:
    return decode_image(path.read_bytes(), str(path), LIMITS)


CONTESTANTS: dict[str, Callable[[RgbImage, RgbImage, Any, Curve], None]] = {
    "tutorial": lambda *given: run_tutorial(False, *given),
    "tutorial-frozen": lambda *given: run_tutorial(True, *given),
    "standard": run_stylebatch,
    "recipe": run_stylebatch,  # the same until it is at its target
    "floor": run_floor,
}


if __name__ == "__main__":
    main()
