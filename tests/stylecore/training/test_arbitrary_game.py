import numpy as np
import pytest
import torch

from stylecore.generate.adain import ChannelStatistics, measure_channels
from stylecore.generate.arbitrary import FEATURES
from stylecore.generate.decoder import Decoder
from stylecore.images.tensors import to_batch
from stylecore.training.arbitrary_game import ArbitraryBatch, ArbitraryGame, arbitrary_losses
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.style_views import STYLE_LAYERS, measure_images, measure_views

SETTINGS = TrainArbitrarySettings(crop_px=32, batch_size=3, num_views=8, drawing_share=0.0)


def picture(seed: int, height: int = 40, width: int = 36) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def images(seed: int, num: int = 2) -> torch.Tensor:
    return torch.rand(num, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def open_game(encoder, **changes: object) -> ArbitraryGame:
    settings = SETTINGS.model_copy(update=changes)
    photographs = [picture(seed) for seed in range(3)]
    paintings = [picture(10, 64, 64)]
    views = measure_views(encoder, paintings, photographs, settings, chance(), lambda: False)
    return ArbitraryGame(photographs, views, encoder, settings)


def test_losses_are_those_of_an_independent_computation(tiny_encoder):
    pictures, style = images(0), measure_images(tiny_encoder, images(1))
    adapted = torch.randn(2, 6, 4, 4, generator=chance())
    content, distance = arbitrary_losses(
        tiny_encoder, pictures, ArbitraryBatch(adapted, pictures, style)
    )
    found = {
        name: maps.numpy().astype(np.float64)
        for name, maps in tiny_encoder(pictures, STYLE_LAYERS).items()
    }
    for index in range(2):
        there = adapted[index].numpy().astype(np.float64)
        wrong = found["relu4_1"][index] - there
        expected = (wrong**2).sum() / (there**2).sum()
        assert content[index].item() == pytest.approx(expected, rel=1e-4)
        parts = []
        for name in ("relu1_1", "relu2_1", "relu3_1", "relu4_1"):
            mean = style[name].mean[index].numpy().astype(np.float64)
            deviation = style[name].deviation[index].numpy().astype(np.float64)
            off = (found[name][index].mean(axis=(1, 2)) - mean) ** 2
            off = off + (found[name][index].std(axis=(1, 2)) - deviation) ** 2
            parts.append(off.sum() / (mean**2 + deviation**2).sum())
        assert distance[index].item() == pytest.approx(sum(parts), rel=1e-3)


def test_losses_of_a_picture_that_is_what_it_should_be_are_zero(tiny_encoder):
    pictures = images(0)
    features = tiny_encoder(pictures, [FEATURES])[FEATURES]
    wanted = ArbitraryBatch(features, pictures, measure_images(tiny_encoder, pictures))
    content, style = arbitrary_losses(tiny_encoder, pictures, wanted)
    assert content.max() < 1e-10
    assert style.max() < 1e-10


def test_penalties_are_weighted(tiny_encoder):
    game = open_game(tiny_encoder, content_weight=2.0, style_weight=5.0)
    batch, pictures = game.draw(chance(1)), images(0, 3)
    content, style = arbitrary_losses(tiny_encoder, pictures, batch)
    found = game.penalties(0, pictures, batch)
    assert found["content"].item() == pytest.approx(2 * content.mean().item())
    assert found["style"].item() == pytest.approx(5 * style.mean().item())


def test_an_encoder_in_bfloat16_gives_nearly_the_same_losses(tiny_encoder):
    exact, fast = open_game(tiny_encoder), open_game(tiny_encoder.in_precision(torch.bfloat16))
    pictures = images(0, 3)
    for name, loss in exact.penalties(0, pictures, exact.draw(chance(1))).items():
        rounded = fast.penalties(0, pictures, fast.draw(chance(1)))[name]
        assert rounded.item() == pytest.approx(loss.item(), rel=0.03)


def test_photographs_without_a_style_are_held_against_their_pixels(tiny_encoder):
    game = open_game(tiny_encoder, drawing_share=1.0, drawing_weight=4.0)
    batch, pictures = game.draw(chance(1)), images(0, 3)
    assert batch.photographs is not None
    assert torch.equal(batch.ground, batch.photographs)
    torch.testing.assert_close(batch.adapted, tiny_encoder(batch.photographs, [FEATURES])[FEATURES])
    expected = 4 * np.square(pictures.numpy() - batch.photographs.numpy()).mean()
    (loss,) = game.penalties(0, pictures, batch).values()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_gradients_reach_every_weight_of_the_decoder(tiny_encoder):
    game = open_game(tiny_encoder)
    torch.manual_seed(0)
    decoder = Decoder(6, width=4, num_blocks=1)
    batch = game.draw(chance(1))
    losses = game.penalties(0, game.generate(decoder, batch), batch)
    torch.stack([*losses.values()]).sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in decoder.parameters())


def test_features_to_draw_have_the_statistics_of_the_style(tiny_encoder):
    batch = open_game(tiny_encoder).draw(chance(2))
    found = measure_channels(batch.adapted)
    torch.testing.assert_close(found.mean, batch.style[FEATURES].mean, rtol=1e-3, atol=1e-4)
    ground = batch.ground.mean(dim=(2, 3))
    torch.testing.assert_close(ground, batch.style["pixels"].mean, rtol=1e-3, atol=1e-4)


def is_among(one: ChannelStatistics, others: ChannelStatistics) -> list[bool]:
    return [bool((others.mean == mean).all(dim=1).any()) for mean in one.mean]


def test_without_mixing_every_style_is_one_of_the_views(tiny_encoder):
    game = open_game(tiny_encoder, mixing_share=0.0)
    style = game.draw(chance(3)).style
    assert all(is_among(style[FEATURES], game.views[FEATURES]))


def test_with_mixing_styles_are_between_views_or_between_one_and_the_photograph(tiny_encoder):
    game = open_game(tiny_encoder, mixing_share=1.0, batch_size=16)
    style = game.draw(chance(3)).style
    assert not any(is_among(style[FEATURES], game.views[FEATURES]))
    assert all((one.deviation > 0).all() for one in style.values())


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_a_share_of_the_views_is_of_photographs(tiny_encoder, share, expected):
    black = np.zeros((40, 36, 3), dtype=np.uint8)
    settings = SETTINGS.model_copy(update={"photograph_share": share})
    paintings = [picture(10)]
    views = measure_views(tiny_encoder, paintings, [black], settings, chance(), lambda: False)
    varied = measure_images(tiny_encoder, to_batch([picture(10)]))["relu1_1"].deviation.mean()
    is_black = views["relu1_1"].deviation.mean(dim=1) < varied / 2
    assert is_black.tolist() == [False] * (8 - expected) + [True] * expected


def test_drawing_depends_on_nothing_but_the_seed(tiny_encoder):
    one, other = (open_game(tiny_encoder).draw(chance(4)) for _ in range(2))
    assert torch.equal(one.adapted, other.adapted)
    assert not torch.equal(one.adapted, open_game(tiny_encoder).draw(chance(5)).adapted)
