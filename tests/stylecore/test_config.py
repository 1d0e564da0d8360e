from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stylecore.config import (
    Limits,
    OutputSettings,
    StyleSource,
    StylizeJob,
    without_preset,
)
from stylecore.pixel_settings import pixel_settings
from stylecore.presets import PRESETS
from stylecore.settings import FrozenModel, OptimizeSettings, RefineSettings

MINIMAL: dict[str, Any] = {"manifest_uri": "m.jsonl", "styles": ["wave.jpg"], "output_uri": "out"}


def job(**values: object) -> StylizeJob:
    return StylizeJob.model_validate(MINIMAL | values)


def settings_of(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from model.model_json_schema()["properties"].items()


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_is_expanded_into_its_values(preset: str) -> None:
    expected = {"draft": 20, "standard": 60, "fine": 150}[preset]
    assert job(preset=preset).optimize.num_evaluations == expected


def test_without_a_preset_the_standard_one_holds() -> None:
    assert job().optimize.num_evaluations == 60


@pytest.mark.parametrize("optimize", [{"num_evaluations": 7}, OptimizeSettings(num_evaluations=7)])
def test_what_is_asked_for_wins_over_the_preset(optimize: object) -> None:
    assert job(preset="fine", optimize=optimize).optimize.num_evaluations == 7


@pytest.mark.parametrize("optimize", [None, {}, {"num_evaluations": None}, OptimizeSettings()])
def test_what_is_left_open_comes_from_the_preset(optimize: object) -> None:
    assert job(preset="draft", optimize=optimize).optimize.num_evaluations == 20


def test_a_preset_does_not_touch_the_other_settings() -> None:
    assert job(preset="draft", optimize={"pooling": "average"}).optimize.pooling == "average"


@pytest.mark.parametrize("preset", ["ultra", None, ["draft"], {"draft": 1}, 3])
def test_a_preset_that_does_not_exist_is_refused_whatever_its_type(preset: object) -> None:
    with pytest.raises(ValidationError, match="preset"):
        job(preset=preset)


@given(
    preset=st.sampled_from(list(PRESETS)),
    side=st.integers(16, 8192),
    weight=st.floats(0, 1e9),
    seed=st.integers(0, 2**63 - 1),
    shares=st.none() | st.floats(0.001, 1000),
)
def test_a_job_comes_back_from_json_as_it_was(
    preset: str, side: int, weight: float, seed: int, shares: float | None
) -> None:
    before = job(
        preset=preset,
        max_side_px=side,
        optimize={"tv_weight": weight},
        seed=seed,
        styles=[{"uri": "a.jpg", "weight": shares}, {"uri": "b.jpg", "weight": shares}],
    )
    after = StylizeJob.model_validate_json(before.model_dump_json())
    assert after == before
    assert pixel_settings(after) == pixel_settings(before)


@pytest.mark.parametrize(
    "values",
    [
        {"max_side_px": 15},
        {"max_side_px": 8193},
        {"max_side_px": 0},
        {"manifest_uri": ""},
        {"output_uri": ""},
        {"styles": [""]},
        {"seed": -1},
        {"device": "tpu"},
        {"method": "magic"},
        {"output": {"format": "gif"}},
        {"output": {"quality": 0}},
        {"limits": {"rows_per_shard": 0}},
        {"limits": {"rows_per_shard": 2001}},
        {"optimize": {"num_evaluations": 0}},
        {"optimize": {"tv_weight": float("nan")}},
        {"optimize": {"style_layers": []}},
        {"optimize": "fast"},
        {"unknown": 1},
        {"optimize": {"unknown": 1}},
        {"styles": [{"uri": "a.jpg", "size": 1}]},
    ],
)
def test_what_is_out_of_bounds_or_unknown_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        job(**values)


def test_a_style_may_be_a_bare_uri() -> None:
    assert job(styles=["a.jpg"]).styles == (StyleSource(uri="a.jpg"),)


def test_a_job_may_leave_the_styles_to_its_rows() -> None:
    assert StylizeJob(manifest_uri="m.jsonl", output_uri="out").styles == ()


def test_all_styles_have_weights_or_none() -> None:
    blend = [{"uri": "a.jpg", "weight": 1}, {"uri": "b.jpg", "weight": 2}]
    assert [style.weight for style in job(styles=blend).styles] == [1, 2]
    with pytest.raises(ValidationError, match="every style a weight"):
        job(styles=[*blend, "c.jpg"])


def test_a_cascade_excludes_regions_and_masks() -> None:
    assert job(regions=True).regions
    with pytest.raises(ValidationError, match="exclude each other"):
        job(regions=True, cascade=True)
    with pytest.raises(ValidationError, match="a cascade takes no masks"):
        job(cascade=True, styles=[{"uri": "a.jpg", "mask_uri": "m.png"}])


def test_masks_are_no_setting_of_pixels_since_their_bytes_are() -> None:
    masked = job(styles=[{"uri": "wave.jpg", "mask_uri": "m.png"}], regions=True)
    assert pixel_settings(masked) == pixel_settings(job())


@pytest.mark.parametrize("optimize", [{"init": "image"}, {"init_uri": "a.jpg"}])
def test_a_picture_to_start_from_and_its_uri_go_together(optimize: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        job(optimize=optimize)
    assert job(optimize={"init": "image", "init_uri": "a.jpg"}).optimize.init == "image"


def test_a_job_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        job().max_side_px = 64  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize(
    "values",
    [
        {"max_side_px": 513},
        {"method": "identity"},
        {"preset": "fine"},
        {"seed": 1},
        {"output": {"format": "png"}},
        {"output": {"quality": 90}},
        {"optimize": {"style_weight": 1e5}},
        {"optimize": {"style_layers": ["relu1_1"]}},
        {"optimize": {"num_scales": 2}},
        {"refine": "s3://weights/poppies"},
        {"refine": "per-image"},
    ],
)
def test_settings_that_change_pixels_are_told_apart(values: dict[str, Any]) -> None:
    assert pixel_settings(job(**values)) != pixel_settings(job())


@pytest.mark.parametrize(
    "values",
    [
        {"device": "cpu"},
        {"run_key": "again"},
        {"limits": {"rows_per_shard": 7}},
        {"allow": ["s3://other"]},
        {"preset": "fine", "optimize": {"num_evaluations": 60}},
        {"optimize": {"encoder_weights_uri": "s3://elsewhere/same-bytes.safetensors"}},
        {"output": {"save_every": 10}},
        {"batch_size": 4},
    ],
)
def test_settings_that_change_no_pixel_are_not(values: dict[str, Any]) -> None:
    assert pixel_settings(job(**values)) == pixel_settings(job())


def test_a_rehearsal_depends_on_no_setting_of_the_optimizer() -> None:
    plain = pixel_settings(job(method="identity"))
    assert pixel_settings(job(method="identity", preset="fine", seed=3)) == plain


@pytest.mark.parametrize(
    "model",
    [StylizeJob, OptimizeSettings, RefineSettings, OutputSettings, Limits, StyleSource],
)
def test_every_field_has_a_description_and_a_place_of_its_own_in_the_form(
    model: type[FrozenModel],
) -> None:
    fields = dict(settings_of(model))
    assert all(field.get("description") or "$ref" in field for field in fields.values())
    assert [field["position"] for field in fields.values()] == list(range(len(fields)))


@pytest.mark.parametrize("model", [StylizeJob, OptimizeSettings])
def test_no_field_carries_a_credential(model: type[FrozenModel]) -> None:
    names = " ".join(name for name, _ in settings_of(model))
    assert not any(word in names for word in ("secret", "password", "token", "access", "endpoint"))


def test_a_weight_for_a_layer_that_is_not_in_use_is_refused() -> None:
    with pytest.raises(ValidationError, match="relu9_9"):
        OptimizeSettings(style_layer_weights={"relu9_9": 2.0})
    assert OptimizeSettings(style_layer_weights={"relu1_1": 2.0}).style_layer_weights


def test_where_a_refiner_lies_changes_no_pixel_but_how_it_is_used_does() -> None:
    here, there = (pixel_settings(job(refine=uri)) for uri in ("s3://a/refiner", "s3://b/refiner"))
    assert here == there
    assert pixel_settings(job(refine={"uri": "s3://a/refiner", "strength": "style"})) != here
    steps = [pixel_settings(job(refine={"uri": "per-image", "num_steps": n})) for n in (5, 6)]
    assert steps[0] != steps[1]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"method": "identity", "refine": "s3://a/refiner"}, "identity makes no pictures"),
        ({"refine": {"uri": "per-image", "strength": "style"}}, "needs a refiner of the style"),
        ({"refine": ""}, "at least 1 character"),
    ],
)
def test_a_refinement_that_makes_no_sense_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        job(**values)


@pytest.mark.parametrize("preset", ["draft", "standard", "fine"])
def test_what_a_preset_says_can_be_left_open_again_and_another_preset_chosen(preset: str) -> None:
    job = StylizeJob.model_validate({**MINIMAL, "preset": preset})
    opened = without_preset(job)
    assert opened["optimize"]["num_evaluations"] is None
    assert StylizeJob.model_validate(opened) == job
    finer = StylizeJob.model_validate({**opened, "preset": "fine"})
    assert finer.optimize.num_evaluations == 150


def test_what_a_request_says_itself_stays_when_its_preset_is_left_open() -> None:
    job = StylizeJob.model_validate({**MINIMAL, "optimize": {"num_evaluations": 7}})
    assert without_preset(job)["optimize"]["num_evaluations"] == 7
