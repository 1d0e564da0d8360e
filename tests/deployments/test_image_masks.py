"""``image --mask``: which painting goes where, without a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stub_stylizers import Invert

from deployments.requests import build_job
from deployments.single import image_options, make_image
from stylecore.errors import JobError
from stylecore.stylizer import Content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photograph, two paintings, and masks: the photograph's left half, and of another size."""
    for name, size in {"photo": (60, 40), "a": (20, 30), "b": (30, 20), "small": (8, 8)}.items():
        Image.new("RGB", size, "teal").save(tmp_path / f"{name}.png")
    levels = np.zeros((40, 60), np.uint8)
    levels[:, :30] = 255
    Image.fromarray(levels).save(tmp_path / "left.png")
    return tmp_path


def make(folder: Path, *masks: str, **fields: Any) -> None:
    paintings = [str(folder / name) for name in ("a.png", "b.png")]
    options = image_options(str(folder / "photo.png"), paintings, str(folder / "out.png"))
    job = build_job(None, {**options, "max_side_px": 30, "device": "cpu", **fields}, [])
    make_image(job, [mask and str(folder / mask) for mask in masks], as_json=True)


def test_each_painting_has_its_mask_at_the_size_of_the_picture(
    folder: Path, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Content] = []
    original = invert.stylize
    monkeypatch.setattr(
        invert, "stylize", lambda contents: original(seen.append(one) or one for one in contents)
    )
    make(folder, "left.png", "")
    (content,) = seen
    left, everywhere = content.masks
    assert everywhere is None
    assert left is not None
    assert left.shape == content.pixels.shape[:2] == (20, 30)
    assert (left[:, :13].min() > 250, left[:, 17:].max() < 5) == (True, True)


@pytest.mark.parametrize(
    ("masks", "fields", "reason"),
    [
        (["left.png"], {}, "--mask: 1 for 2 paintings"),
        (["left.png", "small.png"], {}, "small.png: the mask is 8 x 8 px and the photograph 60"),
        (["left.png", "no.png"], {}, "no.png"),
        (["left.png", ""], {"cascade": True}, "a cascade takes no masks"),
    ],
)
def test_masks_that_do_not_fit_are_a_wrong_request(
    folder: Path, invert: Invert, masks: list[str], fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(JobError, match=reason):
        make(folder, *masks, **fields)
    assert not (folder / "out.png").exists()


def test_the_mask_of_a_painting_may_be_given_as_a_setting(folder: Path, invert: Invert) -> None:
    sources = [{"uri": str(folder / "a.png"), "mask_uri": str(folder / "small.png")}]
    with pytest.raises(JobError, match=r"small\.png: .* 8 x 8 px and the painting 20 x 30"):
        make(folder, styles=sources)
