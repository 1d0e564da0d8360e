"""Sheets of pictures side by side for docs/gan.md, of what ``study_gan.py`` left.

    python tests/benchmarks/study_gan_pictures.py RUN --out FOLDER --sheets docs/images/gan

Each is: photograph, unrefined, refined, and the same 64 px of both at three times the size,
where the refiner changed most. Which: of the accepted pictures of each style the one in the
middle by swdL, and of all the best and the worst.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from study_gan import Style, read, read_styles
from study_gan_tables import Case, read_cases
from torch.nn import functional

from stylecore.images.codec import OutputSettings, RgbImage, encode_image, resample

DETAIL_PX = 64
DETAIL_SCALE = 3
GAP_PX = 6
HEIGHT_PX = DETAIL_PX * DETAIL_SCALE
JPEG = OutputSettings(format="jpeg", quality=75)


def main() -> None:
    """Make the sheets, and say on standard output what each shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheets", type=Path, required=True)
    options = parser.parse_args()
    options.sheets.mkdir(parents=True, exist_ok=True)
    styles = {style.name: style for style in read_styles(options.run, None)}
    studies = read_cases(options.out.glob("refined-*.json"))
    accepted = [case for case in studies if case.method == "refined" and case.is_accepted]
    for title, case in choose(sorted(accepted, key=swdl_change)).items():
        sheet = make_sheet(styles[case.style], case.name, options.out)
        path = options.sheets / f"{title}.jpg"
        path.write_bytes(encode_image(sheet, JPEG))
        show_case(title, case)


def swdl_change(case: Case) -> float:
    return case.change("swdl", "gated")


def choose(cases: list[Case]) -> dict[str, Case]:
    """By file name; ``cases`` are accepted ones, the best first."""
    chosen = {"best": cases[0], "worst": cases[-1]}
    for style in sorted({case.style for case in cases}):
        part = [case for case in cases if case.style == style]
        chosen[f"median-{style}"] = part[len(part) // 2]
    return chosen


def show_case(title: str, case: Case) -> None:
    changed = [f"{key} {case.change(key, 'gated'):+.1%}" for key in case.before]
    strength = f"strength {case.found['alpha']}"
    print(f"{title}: {case.style}, {case.name}, {strength}: {', '.join(changed)}")  # noqa: T201


def make_sheet(style: Style, name: str, out: Path) -> RgbImage:
    """Five pictures in a row, of one height."""
    (pair,) = [pair for pair in style.pairs if pair.name == name]
    refined = read(str(out / "images" / style.name / f"{name}-refined-gated.png"))
    details = [magnify(picture, pair.stylized, refined) for picture in (pair.stylized, refined)]
    return join([pair.content, pair.stylized, refined, *details])


def magnify(picture: RgbImage, before: RgbImage, after: RgbImage) -> RgbImage:
    """The square of ``picture`` where two pictures differ most."""
    difference = torch.from_numpy(np.abs(after.astype(float) - before).mean(axis=2))[None, None]
    means = functional.avg_pool2d(difference, DETAIL_PX, stride=1)[0, 0]
    top, left = divmod(int(means.argmax()), means.shape[1])
    square = picture[top : top + DETAIL_PX, left : left + DETAIL_PX]
    return np.repeat(np.repeat(square, DETAIL_SCALE, axis=0), DETAIL_SCALE, axis=1)


def join(pictures: list[RgbImage]) -> RgbImage:
    """In a row on white, each scaled to one height."""
    gap = np.full((HEIGHT_PX, GAP_PX, 3), 255, np.uint8)
    parts: list[RgbImage] = []
    for picture in pictures:
        height, width, _ = picture.shape
        parts += [resample(picture, round(width * HEIGHT_PX / height), HEIGHT_PX), gap]
    return np.concatenate(parts[:-1], axis=1)


if __name__ == "__main__":
    main()
