"""What an inbox's names and settings mean, and what they may not say."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.inbox import (
    Inbox,
    StyleUploads,
    UploadsJob,
    check_uploads_job,
    sort_inbox,
    style_job,
)
from stylecore.batch.objects import ObjectInfo
from stylecore.errors import JobError

JOB = UploadsJob(inbox_uri="s3://inbox", output_uri="s3://outbox", preset="draft")


def listing(*names: str, inbox_uri: str = "s3://inbox") -> list[ObjectInfo]:
    now = datetime.now(UTC)
    return [ObjectInfo(f"{inbox_uri}/{name}", "etag", 1, now) for name in names]


def sort(*names: str) -> Inbox:
    return sort_inbox(listing(*names), "s3://inbox")


def wave(settings: str | None = None) -> StyleUploads:
    names = ["styles/wave.jpg", "wave/1.jpg"]
    return sort(*names, *(["styles/wave.yaml"] if settings is not None else [])).style("wave")


def job_of(settings: str | None, job: UploadsJob = JOB):  # type: ignore[no-untyped-def]
    return style_job(job, wave(settings), None if settings is None else settings.encode())


def test_names_tell_styles_settings_and_photographs_apart() -> None:
    inbox = sort("styles/a b.JPG", "styles/a b.yaml", "a b/1.jpg", "a b/deep/2.jpg", "sea/3.png")
    assert sorted(inbox.styles) == ["a b", "sea"]
    style = inbox.styles["a b"]
    assert style.painting().uri == "s3://inbox/styles/a b.JPG"
    assert style.settings is not None
    uris = [info.uri for info in style.photographs]
    assert uris == ["s3://inbox/a b/1.jpg", "s3://inbox/a b/deep/2.jpg"]
    assert inbox.ignored == []


@pytest.mark.parametrize(
    "name", ["photo.jpg", "styles/notes.txt", "styles/wave", "styles/deep/wave.jpg", "/x.jpg"]
)
def test_what_is_neither_style_nor_photograph_is_told(name: str) -> None:
    inbox = sort(name)
    assert (inbox.ignored, inbox.styles) == ([name], {})


def test_an_inbox_below_a_prefix_starts_there() -> None:
    inbox = sort_inbox(listing("wave/1.jpg", inbox_uri="s3://b/in/box"), "s3://b/in/box")
    assert list(inbox.styles) == ["wave"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("wave/1.jpg",), "no painting yet: upload styles/wave.jpg"),
        (("styles/wave.yaml", "wave/1.jpg"), "no painting yet"),
        (("styles/wave.jpg", "styles/wave.png"), r"2 paintings \(wave.jpg, wave.png\)"),
    ],
)
def test_a_style_without_its_one_painting_says_so(names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        sort(*names).style("wave").painting()


def test_a_style_is_the_sweeps_job_with_its_own_painting() -> None:
    job = job_of(None)
    assert (job.preset, job.optimize.num_evaluations, job.method) == ("draft", 20, "optimize")
    assert [style.uri for style in job.styles] == ["s3://inbox/styles/wave.jpg"]
    assert job.output_uri == "s3://outbox"


def test_settings_override_what_holds_for_all() -> None:
    job = job_of("preset: fine\nmax_side_px: 96\nseed: 3\noptimize: {tv_weight: 2}\n")
    assert (job.preset, job.max_side_px, job.seed) == ("fine", 96, 3)
    assert (job.optimize.num_evaluations, job.optimize.tv_weight) == (150, 2)


@pytest.mark.parametrize("settings", ["", "# nothing\n", "{}"])
def test_empty_settings_are_none(settings: str) -> None:
    assert job_of(settings) == job_of(None)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("preset: [", "styles/wave.yaml: not YAML"),
        ("\x00", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("- preset", "write settings such as"),
        ("preset: huge", "styles/wave.yaml: preset: Input should be 'draft'"),
        ("max_side_px: 9", "max_side_px: Input should be greater than or equal to 16"),
        ("method: identity\nrefine: per-image", "refine: identity makes no pictures"),
        ("output_uri: s3://mine", "output_uri: not a setting of a style. Settings are preset"),
        ("allow: [/]", "allow: not a setting"),
        ("limits: {max_pixels: 100000000}", "limits: not a setting"),
        ("1: 2", "1: not a setting"),
        ("optimize: {nonsense: 1}", r"optimize\.nonsense: Extra inputs"),
    ],
)
def test_wrong_settings_say_where_and_what(settings: str, reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        job_of(settings)


@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "s3://elsewhere/r", "file:///etc", "http://169.254.169.254/", "../x"]
)
def test_settings_name_no_file_outside_the_inbox(uri: str) -> None:
    for settings in (
        f"refine: {uri}",
        f"optimize: {{encoder_weights_uri: '{uri}'}}",
        f"optimize: {{init: image, init_uri: '{uri}'}}",
    ):
        with pytest.raises(JobError, match=r"styles/wave\.yaml: "):
            job_of(settings)


def test_settings_may_name_files_in_the_inbox_and_where_the_sweep_allows() -> None:
    refine = job_of("refine: refiners/wave/").refine
    assert refine is not None
    assert refine.uri == "s3://inbox/refiners/wave"
    job = JOB.model_copy(update={"allow": ("s3://weights/good",)})
    allowed = job_of("refine: s3://weights/good/wave", job).refine
    assert allowed is not None
    with pytest.raises(JobError, match="not allowed"):
        job_of("refine: s3://weights/goods", job)
    own = job_of("refine: per-image").refine
    assert own is not None
    assert own.is_per_image


@given(text=st.text(max_size=60) | st.from_regex(r"(preset|seed|output): [\[{&*!a-z0-9]{0,20}"))
def test_any_settings_are_a_job_or_a_reason(text: str) -> None:
    try:
        job_of(text)
    except JobError as error:
        assert str(error).startswith("styles/wave.yaml: ")  # noqa: PT017 - either is right


def test_references_that_multiply_are_no_trouble() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(JobError, match="not a setting"):
        job_of("\n".join(lines))
    nested = "\n  ".join(lines)
    with pytest.raises(JobError, match="Extra inputs"):
        job_of(f"optimize:\n  {nested}")


@pytest.mark.parametrize(
    ("inbox_uri", "output_uri", "is_right"),
    [
        ("s3://inbox", "s3://outbox", True),
        ("s3://inbox/", "s3://inbox-2/", True),
        ("s3://both/in", "s3://both/inside", True),
        ("s3://inbox", "s3://inbox/out", False),
        ("s3://inbox/", "s3://inbox", False),
    ],
)
def test_pictures_must_not_become_uploads(inbox_uri: str, output_uri: str, is_right: bool) -> None:
    job = UploadsJob(inbox_uri=inbox_uri, output_uri=output_uri)
    if is_right:
        assert not check_uploads_job(job).inbox_uri.endswith("/")
    else:
        with pytest.raises(JobError, match="uploads themselves"):
            check_uploads_job(job)
