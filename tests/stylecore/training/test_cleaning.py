import io

import numpy as np
import pytest
from PIL import Image

from stylecore.images.limits import DecodeLimits
from stylecore.training.cleaning import clean_pictures, hash_picture

LIMITS = DecodeLimits(max_bytes=10**7, max_pixels=10**6)


def scene(seed: int, width: int = 96, height: int = 80) -> np.ndarray:
    """Soft blobs: something that a thumbnail can be told by."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def to_file(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **({"format": "png"} | options))
    return buffer.getvalue()


def reason_for(data: bytes) -> str:
    cleaning = clean_pictures([("it", data)], LIMITS)
    assert not cleaning.kept
    return cleaning.dropped[0].reason


def test_good_pictures_are_kept_in_order():
    files = [(f"{seed}.png", to_file(scene(seed))) for seed in (4, 2, 9)]
    cleaning = clean_pictures(files, LIMITS)
    assert [picture.name for picture in cleaning.kept] == ["4.png", "2.png", "9.png"]
    np.testing.assert_array_equal(cleaning.kept[1].pixels, scene(2))
    assert set(cleaning.count_by_reason().values()) == {0}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "broken"),
        (b"no picture", "broken"),
        (to_file(scene(1))[:200], "broken"),
        (to_file(scene(1, 1001, 1000)), "broken"),
        (to_file(scene(1, 63, 64)), "tiny"),
        (to_file(scene(1, 400, 100)), "extreme-aspect"),
        (to_file(scene(1, 70, 211)), "extreme-aspect"),
        (to_file(np.full((80, 80, 3), 200, np.uint8)), "blank"),
        (to_file(200 + scene(1) // 32), "blank"),
    ],
)
def test_what_would_teach_nothing_is_dropped_for_its_reason(data, reason):
    assert reason_for(data) == reason


def test_what_is_just_good_enough_is_kept():
    files = [("side", to_file(scene(1, 64, 64))), ("aspect", to_file(scene(2, 210, 70)))]
    assert len(clean_pictures(files, LIMITS).kept) == 2


@pytest.mark.parametrize(
    "copy",
    [
        to_file(scene(3)),
        to_file(scene(3, 192, 160)),
        to_file(scene(3), format="jpeg", quality=40),
        to_file((scene(3) * 0.8).astype(np.uint8)),
    ],
    ids=["same", "larger", "compressed", "darker"],
)
def test_copy_is_dropped_and_its_original_named(copy):
    files = [("first", to_file(scene(3))), ("other", to_file(scene(5))), ("copy", copy)]
    cleaning = clean_pictures(files, LIMITS)
    assert [picture.name for picture in cleaning.kept] == ["first", "other"]
    (dropped,) = cleaning.dropped
    assert (dropped.name, dropped.reason) == ("copy", "duplicate")
    assert "first" in dropped.detail


def test_mirror_image_is_not_a_copy():
    files = [("one", to_file(scene(3))), ("mirrored", to_file(scene(3)[:, ::-1].copy()))]
    assert len(clean_pictures(files, LIMITS).kept) == 2


def test_different_pictures_have_hashes_far_apart():
    hashes = np.stack([hash_picture(scene(seed)) for seed in range(30)])
    apart = np.bitwise_count(hashes[:, None] ^ hashes).sum(axis=2)
    assert apart[~np.eye(30, dtype=bool)].min() > 20


def test_report_counts_every_file_once():
    files = [("a", to_file(scene(1))), ("b", b""), ("c", to_file(scene(1))), ("d", b"x")]
    cleaning = clean_pictures(files, LIMITS)
    assert len(cleaning.kept) + len(cleaning.dropped) == len(files)
    counts = cleaning.count_by_reason()
    assert counts == {"broken": 2, "tiny": 0, "extreme-aspect": 0, "blank": 0, "duplicate": 1}
    assert [one.name for one in cleaning.dropped] == ["b", "c", "d"]
    assert all(one.detail for one in cleaning.dropped)


def test_kept_pictures_are_made_as_small_as_asked_and_judged_as_they_came():
    files = [("large", to_file(scene(1))), ("copy", to_file(scene(1)))]
    cleaning = clean_pictures(files, LIMITS, max_side_px=24)
    assert [one.pixels.shape for one in cleaning.kept] == [(20, 24, 3)]
    assert [one.reason for one in cleaning.dropped] == ["duplicate"]
