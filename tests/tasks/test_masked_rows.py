"""Masks from the manifest to the stylizer, on a local folder."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from local_jobs import LocalBucket, Row
from PIL import Image
from sample_images import POPPIES
from stub_stylizers import Invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import JobError
from stylecore.stylizer import Content, StylePainting, Stylized
from tasks.painting import load_style
from tasks.preparing import prepare_run, preview_run
from tasks.progress import Tally, tally_outcomes
from tasks.shard_work import ShardRequest, work_through_shard
from tasks.style_files import style_digest, style_source


def paint(path: Path, size: tuple[int, int], left: int = 255, right: int = 0) -> str:
    """A mask whose halves have two levels."""
    levels = np.full(size[::-1], right, np.uint8)
    levels[:, : size[0] // 2] = left
    sink = io.BytesIO()
    Image.fromarray(levels).save(sink, "PNG")
    path.write_bytes(sink.getvalue())
    return path.name


@pytest.fixture
def masked(bucket: LocalBucket) -> LocalBucket:
    """A photograph of 96 x 64 px, two paintings, and masks of the left and the right half."""
    bucket.fill(1)
    (bucket.folder / "poppies.jpg").write_bytes(POPPIES.read_bytes())
    paint(bucket.photographs / "left.png", (96, 64))
    paint(bucket.photographs / "right.png", (96, 64), 0, 255)
    return bucket


@pytest.fixture
def seen(invert: Invert, monkeypatch: pytest.MonkeyPatch) -> list[Content]:
    """What the stylizer was given."""
    contents: list[Content] = []
    original = invert.stylize

    def stylize(given: Iterable[Content]) -> Iterator[Stylized]:
        for content in given:
            contents.append(content)
            yield from original([content])

    monkeypatch.setattr(invert, "stylize", stylize)
    return contents


def row(*masks: str | None, **values: Any) -> Row:
    return {"uri": "photo00.jpg", "mask_uri": list(masks), **values}


def regions(bucket: LocalBucket) -> Row:
    uris = [str(bucket.folder / name) for name in ("wave.jpg", "poppies.jpg")]
    return {"styles": uris, "regions": True}


def plan(bucket: LocalBucket, *rows: Row, **fields: Any) -> RunLedger:
    manifest = str(bucket.manifest(*rows))
    return prepare_run(Store(), bucket.job(manifest_uri=manifest, **fields))


def work(ledger: RunLedger) -> Tally:
    """Work on all shards of a run."""
    for number in ledger.pending_shards():
        request = ShardRequest(ledger.run_uri, number, uuid4().hex, device="cpu")
        work_through_shard(ledger, request)
    return tally_outcomes(ledger.outcomes())


def marks(ledger: RunLedger) -> list[str | None]:
    return [outcome.fingerprint for outcome in ledger.outcomes()]


def test_the_styles_of_a_job_with_regions_are_one_style_and_its_rows_have_masks(
    masked: LocalBucket, seen: list[Content]
) -> None:
    ledger = plan(masked, row("left.png", "right.png"), **regions(masked))
    (style,) = ledger.record.styles
    assert (style.name, style.weights) == ("wave-and-poppies", (0.5, 0.5))
    assert ledger.read_shard(0).rows[0].mask_uris == (
        f"{masked.photographs}/left.png",
        f"{masked.photographs}/right.png",
    )
    assert work(ledger).made == 1
    (content,) = seen
    assert content.pixels.shape == (21, 32, 3)
    left, right = content.masks
    assert left is not None
    assert right is not None
    assert (left[:, :14].min() > 250, left[:, 18:].max() < 5) == (True, True)
    assert (right[:, :14].max() < 5, right[:, 18:].min() > 250) == (True, True)


def test_a_row_brings_its_own_styles_and_masks_without_the_job(
    masked: LocalBucket, seen: list[Content]
) -> None:
    own = [str(masked.folder / name) for name in ("wave.jpg", "poppies.jpg")]
    assert work(plan(masked, row("left.png", None, style_uri=own))).made == 1
    assert [mask is None for mask in seen[0].masks] == [False, True]


def test_a_mask_of_another_size_fails_its_row_with_both_sizes(
    masked: LocalBucket, seen: list[Content]
) -> None:
    paint(masked.photographs / "small.png", (30, 20))
    assert work(plan(masked, row("small.png"))).failed_by_code == {"mask_size": 1}
    (line,) = masked.results()
    assert (
        "small.png: the mask is 30 x 20 px and the photograph 96 x 64 px" in line["error_message"]
    )
    assert seen == []


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        ("no.png", "missing"),
        ("/elsewhere/m.png", "not_allowed"),
        ("manifest.jsonl", "not_an_image"),
        ("../m.png", "bad_key"),
    ],
)
def test_a_mask_that_cannot_be_had_fails_its_row_only(
    masked: LocalBucket, seen: list[Content], mask: str, code: str
) -> None:
    tally = work(plan(masked, row(mask), row("left.png"), row()))
    assert (tally.made, tally.failed_by_code) == (2, {code: 1})
    (failed,) = (line for line in masked.results() if line["status"] == "failed")
    assert Path(mask).name in failed["error_message"]


def test_masks_are_in_the_name_of_the_picture_and_no_masks_leave_it_as_it_was(
    masked: LocalBucket, seen: list[Content]
) -> None:
    rows = [row(), row(None), row("left.png"), row("right.png")]
    assert work(plan(masked, *rows)).made == 3  # a mask that is everywhere is none
    first = plan(masked, *rows)
    plain, left, right = marks(first)
    assert len({plain, left, right}) == 3
    paint(masked.photographs / "left.png", (96, 64), 254)
    again = plan(masked, *rows, run_key="again")
    assert work(again).skipped == 2
    assert marks(again)[0] == plain
    assert marks(again)[1] != left


def test_masked_pictures_are_found_again(masked: LocalBucket, seen: list[Content]) -> None:
    rows = [row("left.png", "right.png")]
    assert work(plan(masked, *rows, **regions(masked))).made == 1
    assert work(plan(masked, *rows, **regions(masked), run_key="again")).skipped == 1
    assert len(seen) == 1


def test_quality_is_asked_for_with_the_masks(
    masked: LocalBucket, seen: list[Content], invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[Content] = []
    original = invert.score

    def score(content: Content, picture: Any) -> Any:
        scored.append(content)
        return original(content, picture)

    monkeypatch.setattr(invert, "score", score)
    work(plan(masked, row("left.png")))
    assert len(scored[0].masks) == 1


def test_a_preview_counts_rows_with_masks(masked: LocalBucket) -> None:
    manifest = masked.manifest(row("left.png", "right.png"), row("right.png", "left.png"))
    job = masked.job(manifest_uri=str(manifest), **regions(masked))
    assert preview_run(Store(), job).scan.planned == 2


def test_regions_refuse_rows_without_masks(masked: LocalBucket) -> None:
    with pytest.raises(JobError, match="row 2 names no mask_uri"):
        plan(masked, row("left.png", "right.png"), row(), **regions(masked))


def test_a_cascade_refuses_rows_with_masks(masked: LocalBucket) -> None:
    with pytest.raises(JobError, match=r"row 1 .*cascade"):
        plan(masked, row("left.png"), cascade=True)


def masked_style(bucket: LocalBucket, mask: str) -> list[dict[str, str]]:
    return [{"uri": str(bucket.folder / "wave.jpg"), "mask_uri": str(bucket.folder / mask)}]


def test_the_mask_of_a_painting_comes_with_it_and_makes_another_style(
    masked: LocalBucket, seen: list[Content]
) -> None:
    with Image.open(masked.folder / "wave.jpg") as wave:
        paint(masked.folder / "part.png", wave.size)
    plain, ledger = (
        plan(masked, row(), **fields)
        for fields in ({}, {"styles": masked_style(masked, "part.png")})
    )
    style = ledger.read_shard(0).style
    assert style.masks == (str(masked.folder / "part.png"),)
    (painting,) = load_style(Store(), ledger.record.job, style).paintings
    assert isinstance(painting, StylePainting)
    assert painting.mask is not None
    assert painting.mask.shape == painting.pixels.shape[:2]
    assert (work(plain).made, work(ledger).made) == (1, 1)
    assert marks(plain) != marks(ledger)
    assert plain.record.styles[0].digest != style.digest
    paint(masked.folder / "part.png", (8, 8))
    with pytest.raises(JobError, match="the painting or its mask changed"):
        load_style(Store(), ledger.record.job, style)


@pytest.mark.parametrize(
    ("size", "left", "reason"),
    [((8, 8), 255, "the mask is 8 x 8 px and the painting"), (None, 0, "black all over")],
)
def test_the_mask_of_a_painting_that_does_not_fit_is_a_wrong_request(
    masked: LocalBucket, size: tuple[int, int] | None, left: int, reason: str
) -> None:
    with Image.open(masked.folder / "wave.jpg") as wave:
        paint(masked.folder / "part.png", size or wave.size, left)
    with pytest.raises(JobError, match=rf"part\.png: .*{reason}"):
        plan(masked, row(), styles=masked_style(masked, "part.png"))
    assert not (masked.output / "runs").exists()


def test_a_digest_of_a_style_covers_its_masks_only_where_there_are_any() -> None:
    plain = style_digest([b"a", b"b"], (0.5, 0.5))
    assert style_digest([b"a", b"b"], (0.5, 0.5), [None, None]) == plain
    masked = [
        style_digest([b"a", b"b"], (0.5, 0.5), masks) for masks in ([b"m", None], [None, b"m"])
    ]
    assert len({plain, *masked}) == 3


def test_a_style_without_masks_has_no_third_part(masked: LocalBucket) -> None:
    assert len(style_source(masked.job().styles)) == 2
