"""The settings of a job that change pixels."""

from __future__ import annotations

from typing import Any, Final

from stylecore.config import StylizeJob
from stylecore.settings import RefineSettings

_PLACES: Final = {"encoder_weights_uri", "init_uri"}


def pixel_settings(job: StylizeJob) -> dict[str, Any]:
    """The settings that change pixels: what a fingerprint is taken over, besides the inputs.

    Where an input lies is not among them; its bytes are, through the digest of the inputs.
    """
    settings: dict[str, Any] = {
        "method": job.method,
        "max_side_px": job.max_side_px,
        "output": job.output.model_dump(mode="json", exclude={"save_every"}),
    }
    if job.method == "optimize":
        settings["seed"] = job.seed
        settings["cascade"] = job.cascade
        settings["optimize"] = job.optimize.model_dump(mode="json", exclude=_PLACES)
    if job.generator is not None and job.generator.strength < 1:
        settings["strength"] = job.generator.strength  # all of it goes without saying, as before
    if job.then is not None:
        settings["seed"] = job.seed
        settings["then"] = job.then.model_dump(mode="json", exclude={"optimize": _PLACES})
    if job.refine is not None:
        settings["refine"] = _refine_settings(job.refine)
    return settings


def _refine_settings(refine: RefineSettings) -> dict[str, Any]:
    unused = {"uri"} if refine.is_per_image else {"uri", "num_steps"}
    values = refine.model_dump(mode="json", exclude=unused)
    return {**values, "is_per_image": refine.is_per_image}
