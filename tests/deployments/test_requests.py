"""From words to a job: what overrides what, and how faults are described."""

from pathlib import Path
from typing import Any

import pytest

from deployments.requests import build_job, new_run_key, read_job_file
from stylecore.errors import JobError

WHOLE: dict[str, Any] = {"manifest_uri": "m.csv", "output_uri": "out", "styles": ["s.jpg"]}


def job_file(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("yaml_text", "preset", "assignments", "expected"),
    [
        ("{}", None, [], 60),
        ("preset: draft", None, [], 20),
        ("preset: draft", "fine", [], 150),
        ("{preset: draft, optimize: {num_evaluations: 7}}", None, [], 7),
        ("{preset: draft, optimize: {num_evaluations: 7}}", "fine", [], 7),
        ("{preset: draft, optimize: {num_evaluations: 7}}", "fine", ["preset=draft"], 7),
        ("optimize: {num_evaluations: 7}", "fine", ["optimize.num_evaluations=9"], 9),
        ("preset: draft", None, ["preset=fine"], 150),
        ("preset: draft", "standard", ["preset=fine", "preset=draft"], 20),
        ("optimize: {num_evaluations: 7}", None, ["optimize.num_evaluations=null"], 60),
    ],
)
def test_a_preset_gives_way_to_the_file_that_to_options_and_all_to_set(
    tmp_path: Path, yaml_text: str, preset: str | None, assignments: list[str], expected: int
) -> None:
    options = {**WHOLE, "preset": preset}
    job = build_job(job_file(tmp_path, yaml_text), options, assignments)
    assert job.optimize.num_evaluations == expected


def test_options_replace_the_files_values_and_absent_ones_do_not(tmp_path: Path) -> None:
    path = job_file(tmp_path, "{max_side_px: 100, seed: 3, styles: [a.jpg], allow: [s3://yes]}")
    options = {**WHOLE, "max_side_px": 200, "styles": ["b.jpg", "c.jpg"], "allow": []}
    job = build_job(path, options, [])
    assert (job.max_side_px, job.seed, job.allow) == (200, 3, ("s3://yes",))
    assert [style.uri for style in job.styles] == ["b.jpg", "c.jpg"]


def test_an_option_of_zero_is_given_not_absent() -> None:
    with pytest.raises(JobError, match="max_side_px"):
        build_job(None, {**WHOLE, "max_side_px": 0}, [])


def test_set_reaches_nested_fields_and_reads_values_as_yaml() -> None:
    assignments = [
        "optimize.style_layers=[relu1_1, relu2_1]",
        "optimize.tv_weight=1e-1",
        "output.format=png",
        "limits.picture_seconds=1.5",
        "run_key=a=b",
    ]
    job = build_job(None, WHOLE, assignments)
    assert job.optimize.style_layers == ("relu1_1", "relu2_1")
    assert (job.optimize.tv_weight, job.output.format) == (0.1, "png")
    assert (job.limits.picture_seconds, job.run_key) == (1.5, "a=b")


def test_set_keeps_its_neighbours_from_the_file(tmp_path: Path) -> None:
    path = job_file(tmp_path, "optimize: {tv_weight: 2.0, pooling: average}")
    job = build_job(path, WHOLE, ["optimize.tv_weight=3"])
    assert (job.optimize.tv_weight, job.optimize.pooling) == (3.0, "average")


def test_set_reaches_the_settings_of_what_an_option_names_by_its_uri() -> None:
    options = {**WHOLE, "method": "generator", "generator": "weights/", "refine": "refiner/"}
    job = build_job(None, options, ["generator.strength=0.5", "refine.strength=style"])
    assert job.generator is not None
    assert job.refine is not None
    assert (job.generator.uri, job.generator.strength) == ("weights/", 0.5)
    assert (job.refine.uri, job.refine.strength) == ("refiner/", "style")


def test_styles_with_weights_are_a_blend_and_with_some_weights_an_error() -> None:
    blend = [{"uri": "a.jpg", "weight": 1}, {"uri": "b.jpg", "weight": 3}]
    job = build_job(None, {**WHOLE, "styles": blend}, [])
    assert [style.weight for style in job.styles] == [1.0, 3.0]
    with pytest.raises(JobError, match="every style a weight"):
        build_job(None, {**WHOLE, "styles": [*blend, "c.jpg"]}, [])


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("seed", "PATH=VALUE"),
        ("=3", "PATH=VALUE"),
        ("seed=[1", "not valid YAML"),
        ("seed.deep=1", "seed"),
        ("optimise.tv_weight=1", "optimise: there is no such setting"),
        ("optimize.tv_wait=1", "optimize.tv_wait: there is no such setting"),
        ("optimize.tv_weight=-1", "optimize.tv_weight: .*greater than or equal to 0"),
        ("optimize.tv_weight=.nan", "optimize.tv_weight"),
        ("optimize.init=image", "init_uri go together"),
        ("device=tpu", "device"),
    ],
)
def test_a_wrong_assignment_is_told_by_its_path(assignment: str, expected: str) -> None:
    with pytest.raises(JobError, match=expected):
        build_job(None, WHOLE, [assignment])


def test_many_faults_are_told_in_less_than_ten_lines() -> None:
    with pytest.raises(JobError) as caught:
        build_job(None, WHOLE, [f"unknown{number}=1" for number in range(30)])
    lines = str(caught.value).splitlines()
    assert len(lines) < 10
    assert lines[-1].strip() == "and 24 more"


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(JobError) as caught:
        build_job(None, {**WHOLE, "preset": "x" * 10_000}, [])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "- 1", "1: 2", "a: [", "\x00", "a: &a [*a]\nb: !!python/x 1"])
def test_a_file_that_is_no_mapping_of_names_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(JobError, match=r"job\.yaml"):
        read_job_file(job_file(tmp_path, text))


def test_a_job_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JobError, match="cannot read the job file"):
        read_job_file(tmp_path / "job.yaml")


def test_run_keys_differ() -> None:
    assert len({new_run_key() for _ in range(100)}) == 100
