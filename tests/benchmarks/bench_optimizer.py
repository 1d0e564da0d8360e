"""The optimizer against the loop of PyTorch's tutorial: evaluations, CPU seconds, memory, a plot.

Every contestant makes every pair, in turns, in a process of its own with one thread, on the same
objective. Targets are what the tutorial has reached after 80 and 100 evaluations. Seconds are CPU
seconds of the whole process, start-up included, so that other work on the machine matters less.
"""

import argparse
import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from tables import Measured, measure, show

from stylecore.presets import PRESETS

mpl.use("svg")
import matplotlib.pyplot as plt  # noqa: E402 - needs the line above

ROOT = Path(__file__).parent.parent.parent
PAIRS = (
    "astronaut+village_street_auvers",
    "chelsea+great_wave",
    "coffee+poppies",
    "rocket+summertime",
    "astronaut+great_wave",
    "coffee+moulin_de_la_galette",
)
CONTESTANTS = ("tutorial", "tutorial-frozen", "standard", "recipe")
MARKS = (80, 100)
MOST_EVALUATIONS = 150
FLOOR_TURNS = 5
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Run:
    """One contestant on one pair."""

    totals: list[float]
    cpu_seconds: list[float]
    measured: Measured

    def evaluations_to(self, target: float) -> float:
        reached = (i for i, total in enumerate(self.totals, 1) if total <= target)
        return next(reached, math.inf)

    def seconds_to(self, target: float) -> float:
        reached = (s for s, t in zip(self.cpu_seconds, self.totals, strict=True) if t <= target)
        return next(reached, math.inf)

    def seconds_each(self) -> float:
        """CPU seconds of an evaluation, without the first, which pays for starting."""
        steps = len(self.totals) - 1
        return (self.cpu_seconds[-1] - self.cpu_seconds[0]) / steps if steps else math.nan


@dataclass(frozen=True)
class Pair:
    """What all contestants did on one pair, and the floor of an evaluation in seconds."""

    name: str
    runs: dict[str, Run]
    floor: float

    def target(self, mark: int) -> float:
        """What the tutorial has after that many evaluations, or that share of a quick run."""
        totals = self.runs["tutorial"].totals
        return totals[len(totals) * mark // MARKS[-1] - 1]


def main() -> None:
    """Run everybody on every pair, show the tables and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", default=PAIRS, help="CONTENT+STYLE, by file name")
    parser.add_argument("--images", type=Path, default=ROOT / "deployments" / "samples",
                        help="folder with content/ and style/")  # fmt: skip
    parser.add_argument("--px", type=int, default=256, help="longest side")
    parser.add_argument("--quick", action="store_true", help="one pair, a tenth of the evaluations")
    parser.add_argument("--plot", type=Path, help="where to write the plot (.svg)")
    options = parser.parse_args()
    names = options.pairs[:1] if options.quick else options.pairs
    share = 10 if options.quick else 1
    pairs = [run_pair(options.images, name, options.px, share) for name in names]
    show(f"Objective, {options.px} px, one thread", *by_pair(pairs))
    show("Medians over the pairs", *by_contestant(pairs))
    if options.plot:
        draw(pairs, options.plot)


def run_pair(images: Path, name: str, px: int, share: int) -> Pair:
    """Everybody on one pair; the recipe last, since the tutorial sets its target."""
    counts = dict.fromkeys(CONTESTANTS, MARKS[-1] // share)
    standard = PRESETS["standard"]["optimize"]["num_evaluations"]
    counts |= {"standard": standard // share, "recipe": MOST_EVALUATIONS // share}
    pictures = [
        str(images / kind / f"{part}.jpg")
        for kind, part in zip(("content", "style"), name.split("+"), strict=True)
    ]
    runs: dict[str, Run] = {}
    for contestant, count in counts.items():
        target = runs["tutorial"].totals[-1] if contestant == "recipe" else 0.0
        runs[contestant] = run(contestant, pictures, px, count, target)
        sys.stderr.write(f"{name} {contestant}: {runs[contestant].totals[-1]:.2f}\n")
    return Pair(name, runs, run("floor", pictures, px, FLOOR_TURNS).totals[0])


def run(contestant: str, pictures: list[str], px: int, count: int, target: float = 0.0) -> Run:
    """One contestant in its own process."""
    script = str(Path(__file__).with_name("optimizer_contestants.py"))
    numbers = ["--px", str(px), "--evaluations", str(count), "--target", str(target)]
    measured = measure([sys.executable, script, contestant, *pictures, *numbers], ENVIRONMENT)
    return Run(**json.loads(measured.stdout), measured=measured)


def by_pair(pairs: list[Pair]) -> tuple[list[str], list[list[str]]]:
    """Evaluations to the targets, pair by pair."""
    ours = ("standard", "recipe")
    header = ["pair", *(f"tutorial at {mark}" for mark in MARKS)]
    header += [f"{name}, to {mark}" for name in ours for mark in MARKS]
    rows = [
        [pair.name, *(f"{pair.target(mark):.2f}" for mark in MARKS)]
        + [whole(pair.runs[n].evaluations_to(pair.target(m))) for n in ours for m in MARKS]
        for pair in pairs
    ]
    return header, rows


def by_contestant(pairs: list[Pair]) -> tuple[list[str], list[list[str]]]:
    """What each contestant takes."""
    header = ["contestant", *(f"evaluations to {mark}" for mark in MARKS)]
    header += [f"CPU s to {mark}" for mark in MARKS]
    header += ["CPU s in all", "evaluation / floor", "peak MB"]
    return header, [contestant_row(name, pairs) for name in CONTESTANTS]


def contestant_row(name: str, pairs: list[Pair]) -> list[str]:
    """Medians over the pairs, and the largest memory."""
    runs = [(pair, pair.runs[name]) for pair in pairs]
    medians = [
        statistics.median(run.evaluations_to(pair.target(mark)) for pair, run in runs)
        for mark in MARKS
    ]
    medians += [
        statistics.median(run.seconds_to(pair.target(mark)) for pair, run in runs) for mark in MARKS
    ]
    medians.append(statistics.median(run.measured.cpu_seconds for _, run in runs))
    over = statistics.median(run.seconds_each() / pair.floor for pair, run in runs)
    peak = max(run.measured.peak_mb for _, run in runs)
    return [name, *map(whole, medians), f"{over:.2f}", f"{peak:.0f}"]


def whole(value: float) -> str:
    """A whole number, where it was reached."""
    return f"{value:.0f}" if math.isfinite(value) else "not reached"


def draw(pairs: list[Pair], path: Path) -> None:
    """The objective over evaluations and over CPU seconds, relative to the tutorial's at the end.

    One line a pair: faint lines of one colour belong to one contestant.
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for index, name in enumerate(CONTESTANTS):
        for pair in pairs:
            run_of_pair, final = pair.runs[name], pair.target(MARKS[-1])
            relative = [total / final for total in run_of_pair.totals]
            label = name if pair is pairs[0] else None
            style = {"color": f"C{index}", "linewidth": 1, "alpha": 0.7, "label": label}
            panels[0].plot(range(1, len(relative) + 1), relative, **style)
            panels[1].plot(run_of_pair.cpu_seconds, relative, **style)
    for panel, label in zip(panels, ("evaluations", "CPU seconds, start-up included"), strict=True):
        panel.axhline(1, color="black", linewidth=0.6)
        panel.set(xlabel=label, yscale="log", ylim=(0.8, 5), yticks=(1, 2, 5))
        panel.set_yticklabels(("1", "2", "5"))
        panel.minorticks_off()
        panel.set_xlim(left=0)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"objective / tutorial's after {MARKS[-1]}")
    panels[1].legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
