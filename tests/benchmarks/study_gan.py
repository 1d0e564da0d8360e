"""The refiner by cross-validation, beside controls: the figures of docs/gan.md.

    python tests/benchmarks/study_gan.py RUN --out FOLDER [--styles NAME...]

RUN is the local folder of a finished run (.../runs/ID) whose pictures are PNG. For every style the
photographs are dealt into folds; a refiner is trained without the pictures of a fold and then used
on them. One JSON a study, style and fold lands in FOLDER, and what is there is not done again:
several processes can share the work, each with its own styles. The tables are made of all that is
there.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import torch
from study_gan_controls import ColorMatch, Contrast, optimize_further
from study_gan_figures import FigureMaker, Figures
from study_gan_tables import show_tables

from stylecore.config import StylizeJob
from stylecore.images.codec import OutputSettings, RgbImage, decode_image, encode_image
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content
from stylecore.images.tensors import from_batch, to_batch
from stylecore.metrics.quality import build_lpips
from stylecore.perception.encoder import build_encoder
from stylecore.perception.weights import load_weights
from stylecore.refine.apply import refine_at_strengths, refine_picture
from stylecore.refine.measures import GateMeasures
from stylecore.training.data import PicturePair, TrainingData
from stylecore.training.refiner import Perception, TrainedRefiner, train_refiner
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.validation import RefinerValidation
from stylecore.training.watch import TrainingWatch
from stylecore.types import ImageBatch

LIMITS = DecodeLimits(max_bytes=2**26, max_pixels=50_000_000)
PNG = OutputSettings(format="png")
PLAIN_STEPS = 200
PLAIN_VALIDATIONS = 2
PER_IMAGE_STEPS = 200


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    num_steps: int
    num_folds: int
    num_further: int
    seed: int
    out: Path

    def settings(self, fold: int, **changes: Any) -> TrainRefinerSettings:
        """Defaults, but a seed for each fold, and two pictures to choose the weights on."""
        chosen = {
            "num_steps": self.num_steps,
            "num_validations": 4,
            "validation_share": 0.3,
            "seed": self.seed + fold,
        }
        return TrainRefinerSettings(**chosen | changes)

    def order(self, styles: Sequence["Style"]) -> Iterator[tuple[str, "Style", int]]:
        """What matters most comes first: the refiners, then fold by fold what they are beside."""
        folds = range(self.num_folds)
        yield from (("refined", style, fold) for style in styles for fold in folds)
        for fold in folds:
            yield from ((kind, style, fold) for kind in ("further", "plain") for style in styles)


@dataclass(frozen=True)
class Style:
    """The finished pictures of a run in one style."""

    name: str
    job: StylizeJob
    painting: RgbImage
    pairs: Sequence[PicturePair]

    @cached_property
    def perception(self) -> Perception:
        encoder = build_encoder("vgg16", "max", load_weights("vgg16", None))
        return Perception(encoder, build_lpips(encoder))

    @cached_property
    def figures(self) -> FigureMaker:
        data = TrainingData(self.pairs, [self.painting])
        return FigureMaker(data.scaled_paintings(), self.perception.lpips)

    def split(self, fold: int, plan: Plan) -> tuple[list[PicturePair], list[PicturePair]]:
        """Pictures to train with, and those of the fold; dealt alike in every style."""
        shuffled = sorted(self.pairs, key=lambda pair: pair.name)
        Random(plan.seed).shuffle(shuffled)
        unseen = shuffled[fold :: plan.num_folds]
        return [pair for pair in shuffled if pair not in unseen], unseen


def main() -> None:
    """Do what is missing, then show the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--styles", nargs="*", help="names; all of the run without it")
    parser.add_argument("--per-image", nargs="*", default=[], help="STYLE+PHOTOGRAPH, by name")
    parser.add_argument("--num-steps", type=int, default=300)
    parser.add_argument("--num-folds", type=int, default=3)
    parser.add_argument("--num-further", type=int, default=1, help="pictures a fold")
    parser.add_argument("--seed", type=int, default=11, help="of the folds and the training")
    options = parser.parse_args()
    plan = Plan(
        options.num_steps, options.num_folds, options.num_further, options.seed, options.out
    )
    styles = [*read_styles(options.run, options.styles)]
    for name in options.per_image:
        (style,) = [style for style in styles if style.name == name.partition("+")[0]]
        do_once(plan.out / f"per-image-{name}.json", study_single, style, name, plan)
    for kind, style, fold in plan.order(styles):
        do_once(plan.out / f"{kind}-{style.name}-{fold}.json", STUDIES[kind], style, fold, plan)
    show_tables(plan.out)


def do_once(path: Path, study: Any, style: Style, *arguments: Any) -> None:
    """Write what a study finds, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(study(style, *arguments), indent=1))
    partial.replace(path)


def read_styles(run: Path, names: Sequence[str] | None) -> Iterator[Style]:
    """The run's styles, one after another."""
    job = StylizeJob.model_validate(json.loads((run / "job.json").read_text())["job"])
    tables = [pq.read_table(path).to_pylist() for path in sorted(run.glob("results/*.parquet"))]
    rows = [row for table in tables for row in table if row["status"] == "made"]
    for name in names or sorted({row["style"] for row in rows}):
        own = [row for row in rows if row["style"] == name]
        yield Style(name, job, read(own[0]["style_uri"]), [read_pair(row) for row in own])


def read_pair(row: dict[str, Any]) -> PicturePair:
    """A picture and its photograph at the same size."""
    picture = read(row["output_uri"])
    photograph = resize_content(read(row["content_uri"]), max(picture.shape))
    return PicturePair(Path(row["content_uri"]).stem, picture, photograph)


def read(uri: str) -> RgbImage:
    return decode_image(Path(uri).read_bytes(), uri, LIMITS)


def study_refined(style: Style, fold: int, plan: Plan) -> dict[str, Any]:
    """Train without the pictures of a fold, then refine each of them; and without training."""
    rest, unseen = style.split(fold, plan)
    trained, seconds = train(style, rest, plan.settings(fold))
    changes = {
        "refined": trained.refiner,
        "color match": ColorMatch(style.figures.paintings[0]),
        "contrast": Contrast(),
    }
    found = [study_picture(style, pair, changes, plan.out) for pair in unseen]
    return describe(trained, seconds) | {"style": style.name, "fold": fold, "pictures": found}


def study_plain(style: Style, fold: int, plan: Plan) -> dict[str, Any]:
    """The same network without an adversary."""
    rest, unseen = style.split(fold, plan)
    settings = plan.settings(
        fold, adversary_weight=0, num_steps=PLAIN_STEPS, num_validations=PLAIN_VALIDATIONS
    )
    trained, seconds = train(style, rest, settings)
    changes = {"no adversary": trained.refiner}
    found = [study_picture(style, pair, changes, plan.out) for pair in unseen]
    return describe(trained, seconds) | {"style": style.name, "fold": fold, "pictures": found}


def study_further(style: Style, fold: int, plan: Plan) -> dict[str, Any]:
    """What the optimizer makes of the first pictures of a fold with as many evaluations again."""
    _, unseen = style.split(fold, plan)
    found = [further(style, pair, plan.out) for pair in unseen[: plan.num_further]]
    return {"style": style.name, "fold": fold, "pictures": found}


def describe(trained: TrainedRefiner, seconds: float) -> dict[str, Any]:
    """What a training took and came to."""
    return {
        "training_seconds": seconds,
        "num_steps": trained.card.settings["num_steps"],
        "validation": trained.card.metrics,
        "style_alpha": trained.card.alpha,
    }


def study_single(style: Style, name: str, plan: Plan) -> dict[str, Any]:
    """A refiner that is trained on the single picture it is for."""
    (pair,) = [pair for pair in style.pairs if pair.name == name.partition("+")[2]]
    refiner, seconds = train(style, [pair], plan.settings(0, num_steps=PER_IMAGE_STEPS))
    found = study_picture(style, pair, {"per-image": refiner.refiner}, plan.out)
    return describe(refiner, seconds) | {"style": style.name, "pictures": [found]}


def train(
    style: Style, pairs: Sequence[PicturePair], settings: TrainRefinerSettings
) -> tuple[TrainedRefiner, float]:
    """A refiner and the CPU seconds that it took."""

    def tell(validation: RefinerValidation) -> None:
        spent = time.process_time() - started
        say(f"{style.name}: step {validation.step}, {spent:.0f} s, {validation.figures()}")

    started = time.process_time()
    data = TrainingData(pairs, [style.painting])
    trained = train_refiner(data, style.perception, settings, TrainingWatch(on_validation=tell))
    return trained, time.process_time() - started


def study_picture(
    style: Style, pair: PicturePair, changes: dict[str, Any], out: Path
) -> dict[str, Any]:
    """Figures of the picture as it was, and after every change, with the gate and without."""
    stylized, content = to_batch([pair.stylized]), to_batch([pair.content])
    found: dict[str, Any] = {"name": pair.name, "methods": {}}
    found["unrefined"] = style.figures.measure(stylized, content)
    gate = GateMeasures(style.figures.texture, style.perception.lpips)
    for method, change in changes.items():
        started = time.process_time()
        gated = refine_picture(change, stylized, content, gate)
        seconds = time.process_time() - started
        full = refine_at_strengths(change, stylized, content, (1.0,))[1.0]
        found["methods"][method] = {
            "alpha": gated.choice.alpha,
            "seconds": seconds,
            "gated": style.figures.measure(gated.picture, content),
            "full": style.figures.measure(full, content),
        }
        keep(out, style.name, f"{pair.name}-{method}-gated", gated.picture)
        keep(out, style.name, f"{pair.name}-{method}-full", full)
    say(f"{style.name}+{pair.name}: {summary(found)}")
    return found


def further(style: Style, pair: PicturePair, out: Path) -> dict[str, Any]:
    """Figures of the picture as it was, and after more evaluations."""
    started = time.process_time()
    picture = optimize_further(style.job, style.painting, pair, style.perception.encoder)
    seconds = time.process_time() - started
    batch, content = to_batch([picture]), to_batch([pair.content])
    full = style.figures.measure(batch, content)
    keep(out, style.name, f"{pair.name}-more-evaluations-full", batch)
    before = style.figures.measure(to_batch([pair.stylized]), content)
    say(f"{style.name}+{pair.name}: {full['swdl'] / before['swdl'] - 1:+.2f}, {seconds:.0f} s")
    methods = {"more evaluations": {"seconds": seconds, "full": full}}
    return {"name": pair.name, "unrefined": before, "methods": methods}


def summary(found: dict[str, Any]) -> str:
    """The gain in swdL and the strength that the gate chose, method by method."""
    before: Figures = found["unrefined"]
    return ", ".join(
        f"{method} {1 - one['gated']['swdl'] / before['swdl']:+.2f} at {one['alpha']}"
        for method, one in found["methods"].items()
    )


def keep(out: Path, style: str, name: str, picture: ImageBatch) -> None:
    path = out / "images" / style / f"{name.replace(' ', '-')}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(from_batch(picture)[0], PNG))


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


STUDIES = {"refined": study_refined, "plain": study_plain, "further": study_further}

if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
