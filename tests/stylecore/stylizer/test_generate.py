"""One pass through a network: sizes, batches, styles, memory, and the optimizer behind it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from generators import generator_file, translator_file
from sample_images import GREAT_WAVE, POPPIES

from stylecore.config import StylizeJob
from stylecore.errors import RunStoppedError, StyleUnknownError
from stylecore.generate.files import load_generator
from stylecore.images.codec import RgbImage, decode_image
from stylecore.images.limits import DecodeLimits
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, StylePainting, Stylized, StylizerInputs, build_stylizer
from stylecore.stylizer.generate import GeneratorStylizer, group_by_size
from stylecore.stylizer.optimize import OptimizeStylizer
from stylecore.stylizer.polished import PolishedStylizer


def photograph(seed: int, height: int = 40, width: int = 32) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def painting(path: Path, weight: float = 1.0) -> StylePainting:
    import hashlib

    data = path.read_bytes()
    pixels = decode_image(data, path.name, DecodeLimits(2**25, 2**25))
    return StylePainting(pixels, weight, digest=hashlib.sha256(data).hexdigest())


def job(**fields: object) -> StylizeJob:
    values = {
        "manifest_uri": "in/",
        "output_uri": "out",
        "method": "generator",
        "generator": "gen",
        "device": "cpu",
        **fields,
    }
    return StylizeJob.model_validate(values)


def stylizer(
    *styles: StylePainting, knows: Sequence[Path] = (GREAT_WAVE, POPPIES), **fields: object
) -> GeneratorStylizer:
    return GeneratorStylizer(job(**fields), styles, generator_file(knows), Watch())


def pictures(made: Sequence[Stylized]) -> dict[int, RgbImage]:
    assert all(one.error is None for one in made)
    return {one.key: one.pixels for one in made if one.pixels is not None}


def test_pictures_are_those_of_the_network():
    (made,) = stylizer(painting(POPPIES)).stylize([Content(7, photograph(1))])
    network, _ = load_generator(generator_file((GREAT_WAVE, POPPIES)), "here")
    seen = torch.from_numpy(photograph(1)).permute(2, 0, 1)[None] / 255
    expected = network(seen, torch.tensor([[0.0, 1.0]]))[0].permute(1, 2, 0).mul(255).round()
    assert made.key == 7
    np.testing.assert_allclose(made.pixels, expected.numpy(), atol=1)


def test_a_batch_makes_what_single_photographs_make():
    contents = [Content(n, photograph(n)) for n in range(5)]
    one = pictures([*stylizer(painting(POPPIES), batch_size=1).stylize(contents)])
    several = pictures([*stylizer(painting(POPPIES), batch_size=3).stylize(contents)])
    assert one.keys() == several.keys() == set(range(5))
    for key in one:
        np.testing.assert_allclose(one[key].astype(int), several[key].astype(int), atol=1)


def test_photographs_of_every_size_come_out_at_their_size_and_once():
    sizes = [(40, 32), (32, 40), (40, 32), (9, 50), (32, 40), (40, 32), (16, 3)]
    contents = [Content(n, photograph(n, *size)) for n, size in enumerate(sizes)]
    made = pictures([*stylizer(painting(POPPIES), batch_size=2).stylize(contents)])
    assert {key: pixels.shape[:2] for key, pixels in made.items()} == dict(enumerate(sizes))


def test_groups_are_of_one_size_and_only_some_photographs_wait():
    sizes = [(2, 2), (3, 3), (4, 4), (5, 5), (2, 2), (6, 6), (7, 7), (8, 8), (9, 9), (2, 2)]
    taken: list[int] = []

    def contents():
        for number, size in enumerate(sizes):
            taken.append(number)
            yield Content(number, photograph(0, *size))

    groups = []
    for group in group_by_size(contents(), lambda: 2):
        groups.append([content.key for content in group])
        waiting = len(taken) - sum(map(len, groups))
        assert waiting <= 9
        assert len({content.pixels.shape for content in group}) == 1
    assert sorted(key for group in groups for key in group) == list(range(10))
    assert groups[0] == [0, 4]


def test_a_blend_lies_between_its_styles():
    contents = [Content(0, photograph(1))]
    each = [
        pictures([*stylizer(*styles).stylize(contents)])[0].astype(float)
        for styles in (
            [painting(GREAT_WAVE)],
            [painting(POPPIES)],
            [painting(GREAT_WAVE, 0.5), painting(POPPIES, 0.5)],
        )
    ]
    apart = np.abs(each[0] - each[1]).mean()
    assert apart > 1
    assert np.abs(each[2] - each[0]).mean() < apart
    assert np.abs(each[2] - each[1]).mean() < apart


def test_a_painting_that_it_was_not_trained_for_is_refused_with_those_that_it_knows():
    with pytest.raises(StyleUnknownError, match="It knows great_wave: name the file"):
        stylizer(painting(POPPIES), knows=[GREAT_WAVE])


def test_the_only_style_needs_no_name_and_one_of_several_does():
    contents = [Content(0, photograph(1))]
    named = pictures([*stylizer(painting(POPPIES), knows=[POPPIES]).stylize(contents)])
    unnamed = pictures([*stylizer(knows=[POPPIES]).stylize(contents)])
    np.testing.assert_array_equal(named[0], unnamed[0])
    with pytest.raises(StyleUnknownError, match="knows great_wave, poppies: name the painting"):
        stylizer()


def test_a_translator_makes_one_kind_of_picture_and_a_batch_what_single_ones_make():
    contents = [Content(n, photograph(n)) for n in range(5)]
    one, several = (
        pictures(
            [
                *GeneratorStylizer(job(batch_size=n), [], translator_file(), Watch()).stylize(
                    contents
                )
            ]
        )
        for n in (1, 3)
    )
    assert one.keys() == several.keys() == set(range(5))
    for key in one:
        np.testing.assert_allclose(one[key].astype(int), several[key].astype(int), atol=1)
    with pytest.raises(StyleUnknownError, match="is a translator"):
        GeneratorStylizer(job(), [painting(POPPIES)], translator_file(), Watch())


def test_groups_become_smaller_when_the_batch_size_falls():
    sizes = iter([4, 4, 4, 2, 2, 2])
    contents = [Content(number, photograph(0)) for number in range(5)]
    groups = group_by_size(contents, lambda: next(sizes))
    assert [[one.key for one in group] for group in groups] == [[0, 1], [2, 3], [4]]


def test_where_memory_runs_out_batches_are_halved_and_a_single_one_fails(monkeypatch):
    generate = GeneratorStylizer._generate
    tried = []

    def short_of_memory(self, group):
        tried.append(len(group))
        if len(group) > 2 or any(content.key == 3 for content in group):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(self, group)

    monkeypatch.setattr(GeneratorStylizer, "_generate", short_of_memory)
    contents = [Content(n, photograph(n)) for n in range(16)]
    made = {one.key: one for one in stylizer(painting(POPPIES), batch_size=8).stylize(contents)}
    failed = {key: one.error.code for key, one in made.items() if one.error is not None}
    assert len(made) == 16
    assert failed == {3: "out_of_memory"}
    assert max(tried[tried.index(8) + 1 :]) == 4  # what did not fit is not tried again


def test_a_stop_flag_ends_the_work():
    stopped = GeneratorStylizer(
        job(), [painting(POPPIES)], generator_file([POPPIES]), Watch(should_stop=lambda: True)
    )
    with pytest.raises(RunStoppedError):
        list(stopped.stylize([Content(0, photograph(0))]))


def test_the_optimizer_goes_on_from_the_generators_picture(tiny_encoder):
    then = {"optimize": {"num_evaluations": 3}}
    polish = StylizeJob.model_validate(
        {"manifest_uri": "in/", "output_uri": "out", "device": "cpu", **then}
    )
    shown: dict[int, list[float]] = {}
    watch = Watch(on_evaluation=lambda key, _, total: shown.setdefault(key, []).append(total))
    optimizer = OptimizeStylizer(polish, [painting(POPPIES)], StylizerInputs(), watch, tiny_encoder)
    generator = stylizer(painting(POPPIES))
    content = Content(4, photograph(1))
    (start,) = generator.stylize([content])
    assert start.pixels is not None
    (made,) = PolishedStylizer(generator, optimizer).stylize([content])
    assert (made.key, made.evaluations) == (4, 3)
    first = optimizer.score(content, start.pixels).total_loss
    assert shown[4][0] == pytest.approx(first, rel=1e-4)
    assert optimizer.score(content, made.pixels).total_loss < first


def test_what_the_generator_cannot_make_is_not_optimized(monkeypatch, tiny_encoder):
    def no_memory(self, group):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GeneratorStylizer, "_generate", no_memory)
    optimizer = OptimizeStylizer(
        StylizeJob.model_validate(
            {"manifest_uri": "i/", "output_uri": "o", "optimize": {"num_evaluations": 2}}
        ),
        [painting(POPPIES)],
        StylizerInputs(),
        Watch(),
        tiny_encoder,
    )
    (made,) = PolishedStylizer(stylizer(painting(POPPIES)), optimizer).stylize(
        [Content(0, photograph(0))]
    )
    assert made.error is not None
    assert made.error.code == "out_of_memory"


def test_a_job_builds_it_with_and_without_the_optimizer():
    inputs = StylizerInputs(generator=generator_file([POPPIES]))
    alone = build_stylizer(job(), [painting(POPPIES)], inputs)
    assert isinstance(alone, GeneratorStylizer)
    then = {"optimize": {"num_evaluations": 2}}
    polished = build_stylizer(job(then=then), [painting(POPPIES)], inputs)
    assert isinstance(polished, PolishedStylizer)
