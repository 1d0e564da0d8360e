"""Masks of rows: how many, which are allowed, and what they make of duplicates."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stylecore.batch.fingerprint import StyleSources
from stylecore.batch.manifest import SpooledManifest
from stylecore.batch.planning import MaskRule, PlannedRow, RowReader, Scan, scan_manifest
from stylecore.batch.uris import AllowList
from stylecore.errors import JobError

WAVE, POPPIES = "/styles/wave.jpg", "/styles/poppies.jpg"
ALONE: list[StyleSources] = [((WAVE,), (1.0,)), ((POPPIES,), (1.0,))]
TOGETHER: list[StyleSources] = [((WAVE, POPPIES), (0.5, 0.5))]


def read(
    folder: Path,
    records: Sequence[dict[str, Any]],
    styles: Sequence[StyleSources] = (),
    masks: MaskRule = "optional",
) -> tuple[Scan, list[PlannedRow]]:
    """The rows of a manifest at s3://inbox; it and /styles are allowed."""
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    manifest = SpooledManifest("s3://inbox/manifest.jsonl", path, "digest", "s3://inbox", "jsonl")
    reader = RowReader(manifest, styles, AllowList(["s3://inbox", "/styles"]), masks)
    return scan_manifest(reader), [planned for _, planned, _ in reader]


def photo(masks: object, **values: Any) -> dict[str, Any]:
    return {"content_uri": "a.jpg", "mask_uri": masks, **values}


def test_masks_are_made_whole_and_kept_in_their_order(tmp_path: Path) -> None:
    records = [photo(["left.png", "s3://inbox/right.png"]), photo([None, "right.png"])]
    _, rows = read(tmp_path, records, TOGETHER)
    assert [row.mask_uris for row in rows] == [
        ("s3://inbox/left.png", "s3://inbox/right.png"),
        ("", "s3://inbox/right.png"),
    ]


def test_a_row_has_as_many_masks_as_styles_of_its_own(tmp_path: Path) -> None:
    masked = photo(["left.png", "right.png"], style_uri=[WAVE, POPPIES])
    scan, rows = read(tmp_path, [masked])
    assert (scan.planned, len(rows[0].mask_uris)) == (1, 2)


def test_one_mask_holds_for_each_of_several_styles_that_are_not_blended(tmp_path: Path) -> None:
    scan, rows = read(tmp_path, [photo("left.png")], ALONE)
    assert (scan.planned, rows[0].mask_uris) == (2, ("s3://inbox/left.png",))


@pytest.mark.parametrize(
    ("record", "styles", "masks", "reason"),
    [
        (photo(["l.png", "r.png"]), ALONE, "optional", "2 mask_uri for a style of 1.*regions"),
        (photo("l.png"), TOGETHER, "required", "1 mask_uri for a style of 2"),
        (photo(["l.png"] * 3), TOGETHER, "required", "3 mask_uri for a style of 2"),
        (photo(None), TOGETHER, "required", "no mask_uri, which regions need"),
        (photo("", style_uri=POPPIES), TOGETHER, "required", "no mask_uri, which regions need"),
        (photo("l.png"), ALONE, "refused", "which no cascade and no generator takes"),
    ],
)
def test_a_row_with_another_number_of_masks_refuses_the_manifest_with_its_number(
    tmp_path: Path,
    record: dict[str, Any],
    styles: Sequence[StyleSources],
    masks: MaskRule,
    reason: str,
) -> None:
    good = photo(["l.png", "r.png"], content_uri="good.jpg") if styles is TOGETHER else photo(None)
    with pytest.raises(JobError, match=f"row 2 .*{reason}"):
        read(tmp_path, [good, record], styles, masks)


def test_masks_that_are_all_everywhere_are_no_masks(tmp_path: Path) -> None:
    _, rows = read(tmp_path, [photo([None, ""])], TOGETHER, "required")
    assert rows[0].mask_uris == ()


def test_a_row_whose_mask_is_refused_is_refused(tmp_path: Path) -> None:
    records = [photo("ok.png"), photo("s3://other/m.png"), photo("../m.png")]
    scan, rows = read(tmp_path, records, ALONE)
    assert scan.rejected == Counter(not_allowed=2, bad_key=2)  # in both styles
    assert [row.error_code for row in rows] == [None, "not_allowed", "bad_key"]
    assert "--allow s3://other" in str(rows[1].error_message)


def test_the_same_photograph_with_other_masks_is_no_duplicate(tmp_path: Path) -> None:
    masks = [None, "l.png", "r.png", "l.png", "s3://inbox/l.png"]
    scan, _ = read(tmp_path, [photo(mask) for mask in masks], ALONE[:1])
    assert (scan.planned, scan.duplicates) == (3, 2)


def test_a_masked_row_in_one_of_the_jobs_styles_gives_way_only_to_the_same_mask(
    tmp_path: Path,
) -> None:
    records = [photo("l.png"), photo("l.png", style_uri=WAVE), photo("r.png", style_uri=WAVE)]
    scan, _ = read(tmp_path, records, ALONE)
    assert (scan.planned, scan.duplicates) == (3, 1)


def test_a_masked_painting_of_the_job_is_another_style_than_the_whole_one(tmp_path: Path) -> None:
    masked: list[StyleSources] = [((WAVE,), (1.0,), ("/styles/mask.png",))]
    scan, _ = read(tmp_path, [photo(None), photo(None, style_uri=WAVE)], masked)
    assert (scan.planned, scan.duplicates) == (2, 0)
    assert [style.masks for style in scan.styles] == [("/styles/mask.png",), ()]
    assert len({style.name for style in scan.styles}) == 2
