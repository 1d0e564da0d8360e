"""Anything that turns photographs into stylized pictures, and how a job gets its own.

Nothing here imports torch until a method needs it: ``identity`` rehearses a whole job without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.optimize.watch import Watch
from stylecore.stylizer.cascade import CascadeStylizer
from stylecore.stylizer.identity import IdentityStylizer
from stylecore.stylizer.polished import PolishedStylizer
from stylecore.stylizer.protocol import (
    Content,
    StylePainting,
    Stylized,
    Stylizer,
    StylizerInputs,
)

__all__ = ["Content", "StylePainting", "Stylized", "Stylizer", "StylizerInputs", "build_stylizer"]

_NO_INPUTS = StylizerInputs()
_UNWATCHED = Watch()


def build_stylizer(
    job: StylizeJob,
    styles: Sequence[StylePainting],
    inputs: StylizerInputs = _NO_INPUTS,
    watch: Watch = _UNWATCHED,
) -> Stylizer:
    """The stylizer of a job's method, ready for any number of photographs.

    Args:
        job: its method, settings, seed, device and limits.
        styles: paintings; more than one are blended, or go where a photograph's masks say, or
            with ``cascade`` are applied one after another.
        inputs: files that the settings name.
        watch: progress and stop flag; a deadline comes on top of ``limits.picture_seconds``.

    Raises:
        JobError: the weights, layers, device or missing inputs make it impossible.
    """
    if job.method == "identity":
        return IdentityStylizer(watch)
    build = _build_generating if job.method == "generator" else _build_optimizing
    stylizer = build(job, styles, inputs, watch)
    if job.refine is None:
        return stylizer
    if not styles:
        raise JobError("refine: measures against the painting: name it with --style")
    from stylecore.stylizer.refined import RefinedStylizer, open_refining

    # Of a cascade, the last style is what the picture shall look like.
    paintings = styles[-1:] if job.cascade else styles
    refining = open_refining(job, paintings, inputs.refiner, watch)
    return RefinedStylizer(stylizer, paintings, refining)


def _build_optimizing(
    job: StylizeJob, styles: Sequence[StylePainting], inputs: StylizerInputs, watch: Watch
) -> Stylizer:
    if not styles:
        raise JobError("there is no style: name at least one painting")
    # Imported here because it brings torch.
    from stylecore.stylizer.optimize import OptimizeStylizer

    stages = [[style] for style in styles] if job.cascade else [styles]
    optimizers = [
        OptimizeStylizer(job, stage, inputs, _later(watch, number * _evaluations_at_most(job)))
        for number, stage in enumerate(stages)
    ]
    return optimizers[0] if len(optimizers) == 1 else CascadeStylizer(optimizers)


def _build_generating(
    job: StylizeJob, styles: Sequence[StylePainting], inputs: StylizerInputs, watch: Watch
) -> Stylizer:
    if inputs.generator is None:
        raise JobError("generator: its file was not given")
    from stylecore.stylizer.generate import GeneratorStylizer

    generator = GeneratorStylizer(job, styles, inputs.generator, watch)
    if job.then is None:
        return generator
    settings = {"method": "optimize", "optimize": job.then.optimize}
    polish = job.model_copy(update={**settings, "generator": None, "then": None})
    return PolishedStylizer(generator, _build_optimizing(polish, styles, inputs, watch))


def _evaluations_at_most(job: StylizeJob) -> int:
    return (job.optimize.num_evaluations or 0) * job.optimize.num_scales


def _later(watch: Watch, evaluations: int) -> Watch:
    """The watch of a stage that so many evaluations came before: steps go on counting."""
    show = watch.on_picture
    if show is None or evaluations == 0:
        return watch
    return replace(
        watch, on_picture=lambda key, number, pixels: show(key, evaluations + number, pixels)
    )
