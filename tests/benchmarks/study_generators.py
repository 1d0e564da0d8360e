"""Generators beside the optimizer, on photographs that they were not trained on.

For each photograph: one pass of the generator, `draft` and `standard`, and how many evaluations the
optimizer takes from the generator's picture and from the photograph to what PyTorch's tutorial has
after 100. Writes figures.json after every picture, so that a study that was stopped goes on, and
the pictures beside it; then the tables, a plot and a contact sheet.
"""

import argparse
import hashlib
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from tables import measure, show

from stylecore.config import OutputSettings, StylizeJob
from stylecore.images.codec import RgbImage, decode_image, encode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.metrics.judge import StyleJudge
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, StylePainting, StylizerInputs, build_stylizer

mpl.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 - needs the line above

LIMITS = DecodeLimits(max_bytes=2**26, max_pixels=50_000_000)
METHODS = ("generator", "draft", "standard")
MOST_EVALUATIONS = 70
SHEET = OutputSettings(format="jpeg", quality=85)
PNG = OutputSettings(format="png")
Figures = dict[str, Any]


def main() -> None:
    """Measure what is not measured yet, and show all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generator", type=Path, help="its file")
    parser.add_argument("style", type=Path, help="painting that it knows")
    parser.add_argument("contents", type=Path, nargs="+", help="photographs that it has not seen")
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and pictures")
    parser.add_argument("--px", type=int, default=512, help="longest side")
    parser.add_argument("--num-warm", type=int, default=4, help="photographs for the warm start")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "figures.json"
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    study = Study(options.generator, options.style, options.px, options.out)
    for number, content in enumerate(options.contents):
        found = figures.setdefault(content.stem, {})
        for method in METHODS:
            if method not in found:
                found[method] = study.make(method, content)
                path.write_text(json.dumps(figures, indent=1))
        if number < options.num_warm and "warm" not in found:
            found |= study.warm_start(content)
            path.write_text(json.dumps(figures, indent=1))
        sys.stderr.write(f"{content.stem}: {found['generator']['total_loss']:.2f}\n")
    named = {content.stem: figures[content.stem] for content in options.contents}
    show_quality(named, options.style.stem)
    show_warm(named, options.out / "warm.svg")
    write_sheet(options.contents, options.out, options.px)


class Study:
    """One generator in one style.

    Args:
        generator: its file.
        style: a painting that it knows.
        px: longest side.
        out: for pictures.
    """

    def __init__(self, generator: Path, style: Path, px: int, out: Path) -> None:
        data = style.read_bytes()
        pixels = decode_image(data, str(style), LIMITS)
        self.painting = StylePainting(pixels, digest=hashlib.sha256(data).hexdigest())
        self.style, self.px, self.out = style, px, out
        self.inputs = StylizerInputs(generator=generator.read_bytes())
        self.judge = StyleJudge([pixels], 1.0, "cpu")

    def make(self, method: str, content: Path) -> Figures:
        """A picture, written and measured."""
        photograph = Content(0, read(content, self.px))
        stylizer = self.stylizer(**fields_of(method))
        started = time.process_time()
        (made,) = stylizer.stylize([photograph])
        seconds = time.process_time() - started
        assert made.pixels is not None, made.error
        (self.out / f"{content.stem}-{method}.png").write_bytes(encode_image(made.pixels, PNG))
        scores = self.stylizer(preset="draft").score(photograph, made.pixels)
        assert scores is not None
        texture = self.judge.judge(made.pixels)
        return {"seconds": seconds, **vars(scores), "swdl": texture.swdl, "fdrl": texture.fdrl}

    def warm_start(self, content: Path) -> Figures:
        """The objective after each evaluation, from the photograph and from the generator."""
        longest = {"optimize": {"num_evaluations": MOST_EVALUATIONS}}
        cold = self.curve(content, **longest)
        warm = self.curve(content, method="generator", generator="g", then=longest)
        script = str(Path(__file__).with_name("optimizer_contestants.py"))
        numbers = ["--px", str(self.px), "--evaluations", "100"]
        command = [
            sys.executable,
            script,
            "tutorial-frozen",
            str(content),
            str(self.style),
            *numbers,
        ]
        tutorial = json.loads(measure(command).stdout)["totals"]
        return {"cold": cold, "warm": warm, "tutorial": tutorial}

    def curve(self, content: Path, **fields: Any) -> list[float]:
        """The best objective so far after each evaluation."""
        totals: list[float] = []
        watch = Watch(on_evaluation=lambda _key, _number, total: totals.append(total))
        list(self.stylizer(watch, **fields).stylize([Content(0, read(content, self.px))]))
        return [min(totals[: number + 1]) for number in range(len(totals))]

    def stylizer(self, watch: Watch | None = None, **fields: Any) -> Any:
        """Of a job with these fields."""
        values = {"manifest_uri": "none", "output_uri": "none", "device": "cpu", **fields}
        job = StylizeJob.model_validate({**values, "max_side_px": self.px})
        return build_stylizer(job, [self.painting], self.inputs, watch or Watch())


def fields_of(method: str) -> Figures:
    """A job's fields for a method by its name here."""
    if method == "generator":
        return {"method": "generator", "generator": "g"}
    return {"preset": method}


def read(path: Path, px: int) -> RgbImage:
    """A photograph at the size of its picture."""
    return resize_content(decode_image(path.read_bytes(), str(path), LIMITS), px)


def show_quality(figures: Figures, style: str) -> None:
    """A row for each photograph, and geometric means below them."""
    header = ["photograph", "objective: generator", "draft", "standard", "generator / draft"]
    header += ["LPIPS: generator", "draft", "standard", "swdL: generator", "draft", "standard"]
    header += ["CPU s: generator", "draft", "draft / generator"]
    rows = [_row(name, found) for name, found in figures.items()]
    mean = {
        method: {
            name: statistics.geometric_mean(found[method][name] for found in figures.values())
            for name in ("total_loss", "lpips_content", "swdl", "seconds")
        }
        for method in METHODS
    }
    show(f"Generator for {style}", header, [*rows, _row("geometric mean", mean)])


def _row(name: str, found: Figures) -> list[str]:
    of = {key: [found[m][key] for m in METHODS] for key in ("total_loss", "lpips_content", "swdl")}
    generator, draft, _ = of["total_loss"]
    fast, slow = found["generator"]["seconds"], found["draft"]["seconds"]
    return [
        name,
        *(f"{value:.1f}" for value in of["total_loss"]),
        f"{generator / draft:.2f}",
        *(f"{value:.3f}" for value in of["lpips_content"]),
        *(f"{value:.3f}" for value in of["swdl"]),
        f"{fast:.2f}",
        f"{slow:.1f}",
        f"{slow / fast:.0f}",
    ]


def show_warm(figures: Figures, path: Path) -> None:
    """Evaluations to the tutorial's objective after 100, and the plot of all curves."""
    known = {name: found for name, found in figures.items() if "warm" in found}
    rows = []
    figure, panel = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for number, (name, found) in enumerate(known.items()):
        target = found["tutorial"][-1]
        cold, warm = (evaluations_to(found[start], target) for start in ("cold", "warm"))
        rows.append([name, f"{target:.2f}", str(cold), str(warm), f"{found['warm'][0]:.1f}"])
        for start, color in (("cold", "C0"), ("warm", "C1")):
            relative = [total / target for total in found[start]]
            label = {"cold": "from the photograph", "warm": "from the generator"}[start]
            label = label if number == 0 else None
            panel.plot(range(1, len(relative) + 1), relative, color=color, alpha=0.7, label=label)
    panel.axhline(1, color="black", linewidth=0.6)
    panel.set(xlabel="evaluations", ylabel="objective / tutorial's after 100", yscale="log")
    panel.legend(frameon=False)
    figure.savefig(path)
    header = ["photograph", "tutorial at 100", "from the photograph", "from the generator"]
    show("Warm start: evaluations to it", [*header, "objective at the start"], rows)


def evaluations_to(totals: list[float], target: float) -> float:
    """How many it took to come down to a target; infinite where it did not."""
    return next((number for number, total in enumerate(totals, 1) if total <= target), math.inf)


def write_sheet(contents: list[Path], out: Path, px: int) -> None:
    """Photograph, generator, draft and standard side by side, a row each."""
    rows = []
    for content in contents:
        made = [(out / f"{content.stem}-{method}.png").read_bytes() for method in METHODS]
        pictures = [read(content, px), *(decode_image(data, "made", LIMITS) for data in made)]
        row = np.concatenate([resize_content(one, 240) for one in pictures], axis=1)
        rows.append(np.pad(row, ((0, 240 - row.shape[0]), (0, 960 - row.shape[1]), (0, 0))))
    (out / "sheet.jpg").write_bytes(encode_image(np.concatenate(rows), SHEET))


if __name__ == "__main__":
    main()
