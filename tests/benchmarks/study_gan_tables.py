"""The tables of ``study_gan.py``, of all the JSON that is there.

Changes are relative to the unrefined picture, and below 0 is better, but for SSIM. Intervals are
the bootstrap's, of 95 %, over pictures.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tables import show

from stylecore.metrics.bootstrap import Statistic, bootstrap_estimate, wilson_share
from stylecore.refine.gate import GateFigures, is_allowed

TITLES = {
    "swdl": "swdL",
    "blind": "swdL of detail",
    "fdrl": "fdRL, the gate's seed",
    "fdrl_others": "fdRL, other seeds",
    "lpips": "LPIPS",
    "ssim": "SSIM",
}
GATED = ("refined", "no adversary", "color match", "contrast")
FURTHER = "more evaluations"
CHECKED = ("swdl", "blind", "fdrl_others")


@dataclass(frozen=True)
class Case:
    """What a method did to a picture."""

    style: str
    name: str
    method: str
    before: dict[str, float]
    found: dict[str, Any]

    @property
    def is_accepted(self) -> bool:
        return self.found.get("alpha", 0) > 0

    def change(self, figure: str, kind: str) -> float:
        """Relative change, ``gated`` or at ``full`` strength; over other seeds, their mean."""
        after: dict[str, float] = self.found[kind]
        seeds = [key for key in after if key.startswith("fdrl_")]
        keys = seeds if figure == "fdrl_others" else [figure]
        return fmean(after[key] / self.before[key] - 1 for key in keys)


def show_tables(out: Path) -> None:
    """Print everything."""
    cases = [*read_cases(out.glob("*.json"))]
    refined = of_method(cases, "refined")
    show("Refined behind the gate, medians of accepted pictures", *by_style(refined))
    contrast = of_method(cases, "contrast")
    show("Contrast control behind the gate, medians of accepted pictures", *by_style(contrast))
    show("Methods behind the gate, medians of accepted pictures", *by_method(cases))
    show("Methods behind the gate, means of all pictures", *over_all(cases, "gated"))
    show("Methods at full strength without a gate, means of all pictures", *over_all(cases, "full"))
    show("Refined against the controls behind the gate", *against(cases))
    show("Accepted pictures that are worse", *worse(cases))
    show("Trained on the single picture", *one_by_one(cases, "per-image"))
    show("CPU seconds", *times(out))


def read_cases(paths: Iterable[Path]) -> Iterable[Case]:
    """All cases of all files."""
    for path in sorted(paths):
        study = json.loads(path.read_text())
        for picture in study["pictures"]:
            for method, found in picture["methods"].items():
                yield Case(study["style"], picture["name"], method, picture["unrefined"], found)


def by_style(cases: Sequence[Case]) -> tuple[list[str], list[list[str]]]:
    """A row a style, and one for all."""
    styles = sorted({case.style for case in cases})
    parts = {style: [case for case in cases if case.style == style] for style in styles}
    rows = [medians(name, part) for name, part in {**parts, "all": cases}.items()]
    return ["style", "accepted", *TITLES.values()], rows


def by_method(cases: Sequence[Case]) -> tuple[list[str], list[list[str]]]:
    """A row a method that goes through the gate."""
    rows = [medians(method, of_method(cases, method)) for method in GATED]
    return ["method", "accepted", *TITLES.values()], rows


def medians(name: str, cases: Sequence[Case]) -> list[str]:
    """Share accepted, and of these the median change of every figure."""
    accepted = [case for case in cases if case.is_accepted]
    if not cases:
        return [name, "not done", *[""] * len(TITLES)]
    share = wilson_share(len(accepted), len(cases))
    count = f"{len(accepted)} of {len(cases)} ({share.low:.0%} to {share.high:.0%})"
    return [name, count, *changes(accepted, "gated", "median")]


def over_all(cases: Sequence[Case], kind: str) -> tuple[list[str], list[list[str]]]:
    """Means over all pictures; gated, one that was rejected did not change."""
    methods = sorted({case.method for case in cases if kind in case.found} - {"per-image"})
    rows = []
    for method in methods:
        own = of_method(cases, method)
        rows.append([method, str(len(own)), *changes(own, kind, "mean")])
    return ["method", "pictures", *TITLES.values()], rows


def changes(cases: Sequence[Case], kind: str, statistic: Statistic) -> list[str]:
    """Every figure's change in percent, with its interval."""
    return [interval([case.change(key, kind) for case in cases], statistic) for key in TITLES]


def interval(values: Sequence[float], statistic: Statistic) -> str:
    """A change in percent and where it may lie."""
    if not values:
        return "none"
    found = bootstrap_estimate(values, statistic)
    text = percent(found.value)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def against(cases: Sequence[Case]) -> tuple[list[str], list[list[str]]]:
    """Picture by picture: the change by the refiner less that by a control."""
    styles = sorted({case.style for case in cases})
    controls = {method: of_method(cases, method) for method in GATED[1:]}
    controls |= {FURTHER: of_method(cases, FURTHER)}
    for method in ("contrast", FURTHER):
        for style in styles:
            own = [case for case in controls[method] if case.style == style]
            controls[f"{method}, {style}"] = own
    refined = of_method(cases, "refined")
    rows = [[name, str(len(own)), *differences(refined, own)] for name, own in controls.items()]
    return ["less", "pictures", *TITLES.values()], rows


def differences(refined: Sequence[Case], controls: Sequence[Case]) -> list[str]:
    """Of every figure, the mean difference over the pictures that both have."""
    found = {(case.style, case.name): case for case in refined}
    pairs = [(found[case.style, case.name], case) for case in controls]
    return [
        interval([a.change(key, "gated") - b.change(key, kept_of(b)) for a, b in pairs], "mean")
        for key in TITLES
    ]


def kept_of(case: Case) -> str:
    """What becomes of a picture; no gate applies to more evaluations."""
    return "full" if case.method == FURTHER else "gated"


def worse(cases: Sequence[Case]) -> tuple[list[str], list[list[str]]]:
    """How many of the accepted are worse, by the gate's rule and by what it does not see."""
    header = ["method", "accepted", "refused by the gate's rule", "higher LPIPS", "lower SSIM"]
    header += [f"higher {TITLES[key]}" for key in CHECKED]
    rows = []
    for method in GATED:
        own = [case for case in of_method(cases, method) if case.is_accepted]
        counts: list[Callable[[Case], bool]] = [
            lambda case: (
                not is_allowed(gate_figures(case.before), gate_figures(case.found["gated"]))
            ),
            lambda case: case.change("lpips", "gated") > 0,
            lambda case: case.change("ssim", "gated") < 0,
        ]
        counts += [lambda case, key=key: case.change(key, "gated") > 0 for key in CHECKED]
        rows.append([method, str(len(own)), *(str(sum(map(is_so, own))) for is_so in counts)])
    return header, rows


def gate_figures(figures: dict[str, float]) -> GateFigures:
    return GateFigures(figures["fdrl"], figures["lpips"], figures["ssim"])


def one_by_one(cases: Sequence[Case], method: str) -> tuple[list[str], list[list[str]]]:
    """A row a picture, behind the gate."""
    rows = [
        [f"{case.style}, {case.name}", str(case.found["alpha"])]
        + [percent(case.change(key, "gated")) for key in TITLES]
        for case in of_method(cases, method)
    ]
    return ["picture", "alpha", *TITLES.values()], rows


def times(out: Path) -> tuple[list[str], list[list[str]]]:
    """Mean seconds of what takes time."""
    spent: dict[str, list[float]] = {}
    for path in sorted(out.glob("*.json")):
        study = json.loads(path.read_text())
        if "training_seconds" in study:
            kind = path.name.removesuffix(".json").split("-" + study["style"])[0]
            name = f"training, {kind}, {study['num_steps']} steps"
            spent.setdefault(name, []).append(study["training_seconds"])
    for case in read_cases(out.glob("*.json")):
        name = f"{case.method}, a picture, gate included"
        spent.setdefault(name, []).append(case.found["seconds"])
    rows = [[name, str(len(s)), f"{fmean(s):.1f}"] for name, s in spent.items()]
    return ["what", "times", "mean"], rows


def of_method(cases: Sequence[Case], method: str) -> list[Case]:
    return [case for case in cases if case.method == method]


def percent(value: float) -> str:
    return f"{100 * value:+.1f} %"
