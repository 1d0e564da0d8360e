import re
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.fingerprint import (
    ALGORITHM_VERSION,
    Style,
    digest_of,
    fingerprint,
    make_run_id,
    name_styles,
    output_name,
    style_folder,
    to_shares,
)

FINGERPRINT: dict[str, Any] = {
    "content_version": "v1",
    "style_digest": "d1",
    "settings": {"max_side_px": 512},
    "inputs_digest": "w1",
}
RUN: dict[str, Any] = {
    "manifest_digest": "m1",
    "settings": {"max_side_px": 512},
    "styles": [["a.jpg", "d1"]],
    "run_key": "",
}


def alone(*uris: str) -> list[tuple[tuple[str, ...], tuple[float, ...]]]:
    return [((uri,), (1.0,)) for uri in uris]


def names_of(*uris: str) -> list[str]:
    return [style.name for style in name_styles(alone(*uris))]


def test_a_fingerprint_is_a_sha256_in_hex_and_always_the_same() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", fingerprint(**FINGERPRINT))
    assert fingerprint(**FINGERPRINT) == fingerprint(**FINGERPRINT)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("content_version", "v2"),
        ("style_digest", "d2"),
        ("settings", {"max_side_px": 513}),
        ("inputs_digest", "w2"),
    ],
)
def test_whatever_changes_the_pixels_changes_the_fingerprint(part: str, value: object) -> None:
    assert fingerprint(**FINGERPRINT | {part: value}) != fingerprint(**FINGERPRINT)


def test_without_masks_a_picture_is_called_what_it_was_before_there_were_any() -> None:
    parts = [ALGORITHM_VERSION, "v1", "d1", {"max_side_px": 512}, "w1"]
    assert fingerprint(**FINGERPRINT, mask_versions=[]) == digest_of(parts)


def test_masks_change_the_fingerprint_and_so_does_their_order() -> None:
    masks: list[list[str]] = [[], ["m1"], ["m2"], ["m1", ""], ["", "m1"], ["m1", "m2"]]
    assert len({fingerprint(**FINGERPRINT, mask_versions=each) for each in masks}) == len(masks)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("manifest_digest", "m2"),
        ("settings", {"max_side_px": 513}),
        ("styles", [["a.jpg", "d2"]]),
        ("run_key", "again"),
    ],
)
def test_another_request_has_another_run_id(part: str, value: object) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", make_run_id(**RUN))
    assert make_run_id(**RUN | {part: value}) != make_run_id(**RUN)


def test_a_new_version_of_the_algorithm_makes_everything_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint(**FINGERPRINT), make_run_id(**RUN)
    monkeypatch.setattr("stylecore.batch.fingerprint.ALGORITHM_VERSION", 10**6)
    after = fingerprint(**FINGERPRINT), make_run_id(**RUN)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_digest_looks_neither_at_the_order_of_keys_nor_at_the_kind_of_list() -> None:
    assert digest_of({"a": (1, 2), "b": None}) == digest_of({"b": None, "a": [1, 2]})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_an_output_name_is_stem_fingerprint_and_the_formats_suffix() -> None:
    mark = "0123456789abcdef" * 4
    assert output_name("s3://in/x/photo one.tiff", mark, "jpeg") == "photo-one-0123456789ab.jpg"
    assert output_name("/in/a.jpg", mark, "png") == "a-0123456789ab.png"
    assert output_name("/in/a.jpg", mark, "webp") == "a-0123456789ab.webp"


@given(st.text() | st.text("./\\ ~%$\0\n\"'<>|;`a", max_size=300))
def test_no_content_uri_puts_anything_unsafe_into_an_output_name(uri: str) -> None:
    name = output_name(uri, "0" * 64, "jpeg")
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}-0{12}\.jpg", name)


def test_pictures_of_a_style_are_in_its_folder() -> None:
    assert style_folder("s3://out/x/", "wave") == "s3://out/x/images/wave"


def test_a_style_is_called_by_its_stem() -> None:
    assert names_of("s3://styles/great wave.jpg", "/styles/poppies.png") == [
        "great-wave",
        "poppies",
    ]


def test_styles_that_share_a_stem_are_told_apart_by_six_digits() -> None:
    names = names_of("s3://a/wave.jpg", "s3://b/wave.png", "s3://a/other.jpg")
    assert all(re.fullmatch(r"wave-[0-9a-f]{6}", name) for name in names[:2])
    assert names[0] != names[1]
    assert names[2] == "other"


def test_names_that_differ_in_case_only_are_told_apart_too() -> None:
    first, second = names_of("s3://a/Wave.jpg", "s3://a/wave.jpg")
    assert first.casefold() != second.casefold()


def test_ten_thousand_paintings_called_alike_have_names_of_their_own() -> None:
    names = names_of(*[f"s3://museum/{number}/painting.jpg" for number in range(10_000)])
    assert len(set(names)) == 10_000


def test_a_painting_called_like_anothers_name_with_digits_keeps_out_of_its_way() -> None:
    marked = names_of("/a/wave.jpg", "/b/wave.jpg")[0]
    names = names_of("/a/wave.jpg", "/b/wave.jpg", f"/c/{marked}.jpg")
    assert len(set(names)) == 3


def test_a_blend_is_called_by_all_its_paintings_and_told_apart_by_its_shares() -> None:
    uris = ("/s/wave.jpg", "/s/poppies.jpg")
    one = name_styles([(uris, (0.5, 0.5))])
    two = name_styles([(uris, (0.5, 0.5)), (uris, (0.25, 0.75))])
    assert one == [Style("wave-and-poppies", uris, (0.5, 0.5))]
    assert one[0].uri == "/s/wave.jpg + /s/poppies.jpg"
    assert two[0].name != two[1].name


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_style_names_are_single_safe_folders_and_never_equal(uris: list[str]) -> None:
    names = names_of(*uris)
    assert len({name.casefold() for name in names}) == len(uris)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,164}", name) for name in names)
    assert all(PurePosixPath(name).name == name for name in names)


def test_a_long_blend_has_a_name_that_file_systems_take() -> None:
    uris = tuple(f"/s/{'x' * 60}{number}.jpg" for number in range(30))
    assert len(name_styles([(uris, (1.0,) * 30)])[0].name) <= 100


def test_only_the_ratios_of_weights_count() -> None:
    assert to_shares([3.0]) == (1.0,)
    assert to_shares([1, 3]) == to_shares([2, 6]) == (0.25, 0.75)
    assert to_shares([0.1, 0.2]) == to_shares([1.0, 2.0])
