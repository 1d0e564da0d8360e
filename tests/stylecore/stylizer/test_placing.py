"""Where the paintings of a style go, with the tiny encoder."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.images.codec import GrayImage, RgbImage
from stylecore.images.tensors import to_batch
from stylecore.optimize.starts import StartInputs, make_start
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder
from stylecore.perception.losses import gram_matrix
from stylecore.settings import OptimizeSettings
from stylecore.stylizer import Content, StylePainting, StylizerInputs, build_stylizer
from stylecore.stylizer.optimize import OptimizeStylizer
from stylecore.stylizer.protocol import content_at
from stylecore.stylizer.subject import Studio, Subject

SIZE = (32, 48)
LAYERS = {"content_layers": ("relu3_1",), "style_layers": ("relu1_1", "relu2_1")}


def noise(seed: int, size: tuple[int, int] = SIZE) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def stripes(period_px: int, color: tuple[int, int, int]) -> RgbImage:
    lit = np.arange(SIZE[1]) // period_px % 2
    return (lit[None, :, None] * np.array(color)).repeat(SIZE[0], 0).astype(np.uint8)


def mask(value: int = 255, size: tuple[int, int] = SIZE) -> GrayImage:
    return np.full(size, value, np.uint8)


def left() -> GrayImage:
    half = mask(0)
    half[:, : SIZE[1] // 2] = 255
    return half


PHOTO = noise(0)
WAVE, POPPIES = stripes(2, (40, 90, 250)), stripes(6, (250, 120, 20))
BLEND = (StylePainting(WAVE, 0.25), StylePainting(POPPIES, 0.75))
COLORS = ["no", "luminance", "histogram", "cholesky"]


def job(**settings: object) -> StylizeJob:
    return StylizeJob.model_validate({
        "manifest_uri": "memory",
        "output_uri": "memory",
        "device": "cpu",
        "optimize": {"num_evaluations": 12, **LAYERS, **settings},
    })  # fmt: skip


def make(
    encoder: Encoder,
    masks: tuple[GrayImage | None, ...],
    styles: tuple[StylePainting, ...] = BLEND,
    **settings: object,
) -> RgbImage:
    stylizer = OptimizeStylizer(job(**settings), styles, StylizerInputs(), Watch(), encoder)
    (made,) = stylizer.stylize([Content(0, PHOTO, masks)])
    assert made.pixels is not None
    return made.pixels


def prepare(
    encoder: Encoder,
    masks: tuple[GrayImage | None, ...],
    styles: tuple[StylePainting, ...] = BLEND,
    photo: RgbImage = PHOTO,
    **settings: object,
) -> Subject:
    values = OptimizeSettings.model_validate({**LAYERS, **settings})
    return Studio(encoder, values, styles, torch.device("cpu")).prepare(Content(0, photo, masks))


def gradient(subject: Subject) -> torch.Tensor:
    images = subject.photograph.clone().requires_grad_()
    subject.objective(images).total.sum().backward()
    assert images.grad is not None
    return images.grad


def distance(encoder: Encoder, picture: RgbImage, painting: RgbImage) -> float:
    """Between the Gram matrices of two pictures."""
    features = [encoder(to_batch([image]), ["relu2_1"])["relu2_1"] for image in (picture, painting)]
    first, second = map(gram_matrix, features)
    return float((first - second).norm())


@pytest.mark.parametrize("keep_color", COLORS)
def test_a_white_mask_makes_the_same_picture_as_none(
    tiny_encoder: Encoder, keep_color: str
) -> None:
    alone = (StylePainting(WAVE),)
    plain = make(tiny_encoder, (), alone, keep_color=keep_color)
    for white in (mask(), None):
        masked = make(tiny_encoder, (white,), alone, keep_color=keep_color)
        np.testing.assert_array_equal(masked, plain)


@pytest.mark.parametrize("settings", [{}, {"statistics": "covariance"}])
def test_white_masks_all_over_pull_as_a_blend_does(
    tiny_encoder: Encoder, settings: dict[str, object]
) -> None:
    blend = gradient(prepare(tiny_encoder, (), **settings))
    both = gradient(prepare(tiny_encoder, (mask(), None), **settings))
    assert torch.allclose(both, blend, rtol=1e-3, atol=1e-4 * float(blend.abs().max()))


def test_white_masks_of_paintings_make_the_same_picture_as_none(tiny_encoder: Encoder) -> None:
    masked = tuple(StylePainting(one.pixels, one.weight, mask()) for one in BLEND)
    np.testing.assert_array_equal(make(tiny_encoder, (), masked), make(tiny_encoder, ()))


def test_each_half_comes_closer_to_the_style_that_goes_there(tiny_encoder: Encoder) -> None:
    settings = {"num_evaluations": 40, "content_weight": 1e-3}
    picture = make(tiny_encoder, (left(), 255 - left()), **settings)
    halves = picture[:, : SIZE[1] // 2], picture[:, SIZE[1] // 2 :]
    to_wave = [distance(tiny_encoder, half, WAVE) for half in halves]
    to_poppies = [distance(tiny_encoder, half, POPPIES) for half in halves]
    assert to_wave[0] < 0.5 * to_poppies[0]
    assert to_poppies[1] < 0.5 * to_wave[1]


@pytest.mark.parametrize("keep_color", COLORS)
def test_halves_that_change_places_have_less_of_the_styles_where_they_were(
    tiny_encoder: Encoder, keep_color: str
) -> None:
    settings = job(keep_color=keep_color)
    stylizer = OptimizeStylizer(settings, BLEND, StylizerInputs(), Watch(), tiny_encoder)
    content = Content(0, PHOTO, (left(), 255 - left()))
    kept, changed = (
        make(tiny_encoder, masks, keep_color=keep_color)
        for masks in (content.masks, content.masks[::-1])
    )
    losses = [stylizer.score(content, picture).style_loss for picture in (kept, changed)]
    assert losses[0] < 0.8 * losses[1]


def test_halves_weigh_as_much_as_one_style_all_over(tiny_encoder: Encoder) -> None:
    style = StylePainting(WAVE)
    whole = prepare(tiny_encoder, (), (style,))
    halves = prepare(tiny_encoder, (left(), 255 - left()), (style, style))
    even = to_batch([np.full_like(PHOTO, 128)])  # has the same Gram matrix everywhere
    losses = [float(one.objective(even).style) for one in (whole, halves)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_where_a_mask_is_black_only_the_content_counts(tiny_encoder: Encoder) -> None:
    subject = prepare(tiny_encoder, (left(),), (StylePainting(WAVE),))
    slopes = gradient(subject)  # at the photograph, where the content has none
    assert float(slopes[..., :24].abs().max()) > 0
    assert float(slopes[..., 32:].abs().max()) == 0


def test_masks_that_are_black_all_over_leave_the_photograph(tiny_encoder: Encoder) -> None:
    masks = (mask(0), mask(0))
    np.testing.assert_array_equal(make(tiny_encoder, masks, init="color-matched"), PHOTO)


def test_a_photograph_under_16_px_takes_masks_too(tiny_encoder: Encoder) -> None:
    settings = job(init="color-matched")
    stylizer = OptimizeStylizer(settings, BLEND, StylizerInputs(), Watch(), tiny_encoder)
    masks = (mask(255, (5, 40)), mask(0, (5, 40)))
    (made,) = stylizer.stylize([Content(0, noise(5, (5, 40)), masks)])
    assert made.pixels is not None
    assert made.pixels.shape == (5, 40, 3)


def test_a_softer_mask_takes_less_style(tiny_encoder: Encoder) -> None:
    style = (StylePainting(WAVE),)
    pulls = [gradient(prepare(tiny_encoder, (mask(v),), style)).norm() for v in (255, 128, 32, 0)]
    assert all(stronger > weaker for stronger, weaker in pairwise(pulls))


def test_a_style_with_more_weight_pulls_more_where_it_goes(tiny_encoder: Encoder) -> None:
    masks = (left(), 255 - left())
    even = (StylePainting(WAVE), StylePainting(POPPIES))
    uneven = (StylePainting(WAVE, 3.0), StylePainting(POPPIES))
    first, second = (gradient(prepare(tiny_encoder, masks, style)) for style in (even, uneven))
    assert second[..., :16].norm() > 1.2 * first[..., :16].norm()
    assert second[..., 32:].norm() < 0.8 * first[..., 32:].norm()


def test_the_mask_of_a_painting_leaves_the_rest_of_it_out(tiny_encoder: Encoder) -> None:
    two_sided = np.concatenate([WAVE, POPPIES])
    upper = np.concatenate([mask(255), mask(0)])
    half = prepare(tiny_encoder, (), (StylePainting(two_sided, mask=upper),), style_scale=64 / 48)
    alone = prepare(tiny_encoder, (), (StylePainting(WAVE),))
    both = prepare(tiny_encoder, (), (StylePainting(two_sided),), style_scale=64 / 48)
    grams = [one.style.target.regions[0].grams["relu1_1"] for one in (half, both, alone)]
    assert (grams[0] - grams[2]).norm() < 0.2 * (grams[1] - grams[2]).norm()


@pytest.mark.parametrize("keep_color", COLORS)
@pytest.mark.parametrize("size", [(160, 272), (5, 40)])
def test_regions_by_tiles_have_the_objective_of_the_whole(
    tiny_encoder: Encoder, keep_color: str, size: tuple[int, int]
) -> None:
    photo, soft = noise(3, size), noise(4, size)[..., 0]
    masks, totals = (soft, 255 - soft), []
    for settings in ({}, {"tile_px": 128}):
        subject = prepare(tiny_encoder, masks, BLEND, photo, keep_color=keep_color, **settings)
        totals.append(float(subject.objective(subject.photograph).total[0]))
    assert totals[1] == pytest.approx(totals[0], rel=1e-4)


def test_one_photographs_masks_do_not_leak_into_the_next(tiny_encoder: Encoder) -> None:
    values = OptimizeSettings.model_validate(LAYERS)
    studio = Studio(tiny_encoder, values, BLEND, torch.device("cpu"))
    for masks in ((left(), None), (), (None, left())):
        shared = gradient(studio.prepare(Content(0, PHOTO, masks)))
        assert torch.equal(shared, gradient(prepare(tiny_encoder, masks)))


def test_photographs_with_and_without_masks_may_be_worked_on_together(
    tiny_encoder: Encoder,
) -> None:
    all_masks = [(left(), None), (), (None, left()), ()]
    contents = [Content(key, PHOTO, masks) for key, masks in enumerate(all_masks)]
    together = job(num_evaluations=4).model_copy(update={"batch_size": 4})
    stylizer = OptimizeStylizer(together, BLEND, StylizerInputs(), Watch(), tiny_encoder)
    for made in stylizer.stylize(contents):
        alone = make(tiny_encoder, all_masks[made.key], num_evaluations=4)
        assert made.pixels is not None
        assert np.abs(made.pixels.astype(int) - alone).max() <= 1


def test_colors_are_matched_where_the_painting_goes(tiny_encoder: Encoder) -> None:
    subject = prepare(tiny_encoder, (left(), mask(0)))
    style = subject.style
    inputs = StartInputs(style.paintings, None, 0, style.masks)
    start = make_start("color-matched", subject.photograph, inputs)
    assert torch.allclose(start[..., 24:], subject.photograph[..., 24:], atol=1e-6)
    alone = make_start(
        "color-matched", subject.photograph, StartInputs(style.paintings[:1], None, 0)
    )
    assert torch.allclose(start[..., :24], alone[..., :24], atol=1e-6)


def test_quality_is_measured_with_the_masks(tiny_encoder: Encoder) -> None:
    stylizer = OptimizeStylizer(job(), BLEND, StylizerInputs(), Watch(), tiny_encoder)
    plain = stylizer.score(Content(0, PHOTO), WAVE)
    masked = stylizer.score(Content(0, PHOTO, (left(), 255 - left())), WAVE)
    assert masked.style_loss != pytest.approx(plain.style_loss, rel=0.01)
    assert masked.content_loss == plain.content_loss


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_masks_than_paintings_is_a_wrong_job(
    tiny_encoder: Encoder, count: int
) -> None:
    with pytest.raises(JobError, match=f"{count} masks for 2 paintings"):
        prepare(tiny_encoder, (mask(),) * count)


def test_a_cascade_takes_no_masks() -> None:
    cascade = job().model_copy(update={"cascade": True})
    stylizer = build_stylizer(cascade, [StylePainting(noise(1, (16, 16)))] * 2)
    with pytest.raises(JobError, match="a cascade takes no masks"):
        list(stylizer.stylize([Content(0, PHOTO, (mask(), mask()))]))


def test_a_smaller_photograph_brings_its_masks_along() -> None:
    small = content_at(Content(7, PHOTO, (left(), None)), 24)
    assert (small.key, small.pixels.shape, small.masks[1]) == (7, (16, 24, 3), None)
    assert small.masks[0] is not None
    assert small.masks[0].shape == (16, 24)
    assert small.masks[0][:, :10].min() > 250
    assert small.masks[0][:, 14:].max() < 5
