"""Pictures in one pass in the style of any painting."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from arbitrary_networks import tiny_arbitrary

from stylecore.config import StylizeJob
from stylecore.errors import JobError, RunStoppedError
from stylecore.generate.arbitrary import ArbitraryGenerator
from stylecore.generate.cards import GeneratorCard, GeneratorStyle
from stylecore.generate.files import save_generator
from stylecore.generate.networks import Generator
from stylecore.optimize.watch import Watch
from stylecore.stylizer import (
    Content,
    StylePainting,
    Stylizer,
    StylizerInputs,
    build_stylizer,
    passes,
)


def picture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


ONE, OTHER = StylePainting(picture(90)), StylePainting(picture(91) // 4)


@pytest.fixture(autouse=True)
def _tiny_networks(tiny_encoder, monkeypatch) -> None:
    monkeypatch.setattr(passes, "default_vgg16", lambda _device: tiny_encoder)


def job(strength: float = 1.0, **fields: Any) -> StylizeJob:
    values = {
        "manifest_uri": "in/",
        "output_uri": "out",
        "max_side_px": 64,
        "method": "generator",
        "generator": {"uri": "generator.safetensors", "strength": strength},
        "device": "cpu",
        **fields,
    }
    return StylizeJob.model_validate(values)


def open_stylizer(
    *styles: StylePainting, watch: Watch | None = None, data: bytes | None = None, **fields: Any
) -> Stylizer:
    inputs = StylizerInputs(generator=tiny_arbitrary() if data is None else data)
    return build_stylizer(job(**fields), styles, inputs, watch or Watch())


def make(stylizer: Stylizer, *pixels: np.ndarray) -> list[np.ndarray]:
    made = stylizer.stylize(Content(number, one) for number, one in enumerate(pixels))
    return [one.pixels for one in sorted(made, key=lambda one: one.key) if one.pixels is not None]


def test_any_painting_is_a_style():
    one, other = (make(open_stylizer(style), picture(1))[0] for style in (ONE, OTHER))
    assert one.shape == other.shape == (40, 48, 3)
    assert not np.array_equal(one, other)


def test_pictures_do_not_depend_on_who_is_in_their_batch():
    pixels = [picture(seed) for seed in range(3)]
    together = make(open_stylizer(ONE, batch_size=3), *pixels)
    alone = [make(open_stylizer(ONE, batch_size=1), one)[0] for one in pixels]
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


def test_a_style_is_measured_once_for_pictures_of_any_size(monkeypatch):
    measured: list[tuple[int, ...]] = []
    measure = ArbitraryGenerator.measure

    def count(self: ArbitraryGenerator, paintings: list[torch.Tensor], weights: list[float]):
        measured.extend(tuple(one.shape) for one in paintings)
        return measure(self, paintings, weights)

    monkeypatch.setattr(ArbitraryGenerator, "measure", count)
    sizes = [(40, 48), (48, 40), (20, 30), (40, 48)]
    made = make(open_stylizer(ONE), *(picture(1, *size) for size in sizes))
    assert [one.shape[:2] for one in made] == sizes
    assert measured == [(1, 3, 53, 64)]  # as large as the job's largest picture


def test_styles_are_mixed_by_their_weights():
    first = make(open_stylizer(ONE), picture(1))[0]
    most = make(open_stylizer(ONE, replace(OTHER, weight=1e-6)), picture(1))[0]
    half = make(open_stylizer(ONE, OTHER), picture(1))[0]
    assert np.abs(first.astype(int) - most).max() <= 1
    assert not np.array_equal(first, half)


def test_strength_leads_from_the_photograph_to_the_style():
    full = make(open_stylizer(ONE), picture(1))[0].astype(int)
    found = [make(open_stylizer(ONE, strength=s), picture(1))[0] for s in (0.0, 0.5, 0.9, 1.0)]
    distances = [np.abs(one - full).mean() for one in found]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0
    assert distances[-1] == 0
    assert np.array_equal(found[0], make(open_stylizer(OTHER, strength=0.0), picture(1))[0])


def test_generators_of_trained_styles_refuse_a_strength():
    style = GeneratorStyle(name="waves", digest="0" * 64)
    card = GeneratorCard(
        version="1", width=4, num_blocks=1, styles=(style,), photographs_digest="0" * 64
    )
    data = save_generator(Generator(1, 4, 1), card)
    painting = replace(ONE, digest="0" * 64)
    assert make(open_stylizer(painting, data=data), picture(1))
    with pytest.raises(JobError, match=r"generator\.strength: 0\.5 .*any painting"):
        open_stylizer(painting, data=data, strength=0.5)


def test_no_painting_is_no_style():
    with pytest.raises(JobError, match="takes any painting; name at least one"):
        open_stylizer()


def test_decoder_that_does_not_fit_the_encoder_is_refused(tiny_encoder, monkeypatch):
    monkeypatch.setattr(ArbitraryGenerator, "measure", _measure_too_few)
    with pytest.raises(JobError, match="draws from 6 channels, and the encoder has 5"):
        open_stylizer(ONE)


def _measure_too_few(_self, _paintings, _weights):
    from stylecore.generate.adain import ChannelStatistics

    return {"relu4_1": ChannelStatistics(torch.zeros(1, 5), torch.ones(1, 5))}


def test_stop_flag_ends_the_work():
    stylizer = open_stylizer(ONE, watch=Watch(should_stop=lambda: True))
    with pytest.raises(RunStoppedError):
        list(stylizer.stylize([Content(0, picture(1))]))


def test_optimizer_goes_on_from_what_the_generator_made(monkeypatch, tiny_encoder):
    from stylecore.stylizer import optimize

    monkeypatch.setattr(optimize, "load_encoder", lambda *_: tiny_encoder)
    then = {"optimize": {"num_evaluations": 2}}
    (made,) = open_stylizer(ONE, then=then).stylize([Content(0, picture(1))])
    assert made.error is None
    assert made.evaluations
