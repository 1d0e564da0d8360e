import subprocess
import sys
from dataclasses import replace

import pytest

from stylecore.batch.estimate import PixelWork, stylizer_memory_bytes
from stylecore.errors import OutOfMemoryError
from stylecore.stylizer.tiles import choose_core_px

WORK = PixelWork("vgg16", 1500, 2048, num_evaluations=60)
HALO_PX = 64


def tiled_bytes(core_px: int) -> float:
    return stylizer_memory_bytes(replace(WORK, tile_px=core_px + 2 * HALO_PX))


def test_pictures_that_fit_are_not_cut():
    assert choose_core_px(WORK, HALO_PX, stylizer_memory_bytes(WORK)) is None


@pytest.mark.parametrize("core_px", [128, 512, 1024])
def test_tiles_are_as_large_as_memory_allows(core_px):
    assert choose_core_px(WORK, HALO_PX, tiled_bytes(core_px)) == core_px
    assert choose_core_px(WORK, HALO_PX, tiled_bytes(core_px + 16) - 1) == core_px


def test_a_picture_that_nearly_fits_is_cut_nevertheless():
    core_px = choose_core_px(WORK, HALO_PX, stylizer_memory_bytes(WORK) - 1)
    assert core_px is not None
    assert core_px < WORK.width_px
    assert tiled_bytes(core_px) < stylizer_memory_bytes(WORK)


def test_pictures_that_do_not_even_fit_by_tiles_are_refused():
    with pytest.raises(OutOfMemoryError, match=r"2048 x 1500 px need \d+\.\d GB even by tiles"):
        choose_core_px(WORK, HALO_PX, tiled_bytes(128) - 1)


MINIMIZE = """
import re, sys
from pathlib import Path
import torch
from stylecore.settings import OptimizeSettings
from stylecore.optimize.loop import minimize
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import build_encoder
from stylecore.perception.targets import Painting, Region
from stylecore.perception.tiled import (
    TiledObjective, make_tiled_content_target, make_tiled_region_target
)
from stylecore.perception.weights import load_weights

torch.set_num_threads(1)
settings = OptimizeSettings(num_evaluations=3)
encoder = build_encoder("vgg16", "max", load_weights("vgg16", None))
photograph, painting = torch.rand(2, 1, 3, 768, 768)
regions = [Region([Painting(painting)])]
content = make_tiled_content_target(encoder, photograph, settings.content_layers, 256)
style = make_tiled_region_target(encoder, regions, settings.style_layers, 256)
objective = TiledObjective(encoder, content, style, core_px=256)
minimize(lambda images: objective(images).total, photograph, settings, Watch())
status = Path("/proc/self/status").read_text()
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_the_estimate_by_tiles_is_within_a_quarter_of_the_peak():
    run = subprocess.run([sys.executable, "-c", MINIMIZE], check=True, capture_output=True)
    estimate = stylizer_memory_bytes(PixelWork("vgg16", 768, 768, 3, tile_px=256 + 2 * HALO_PX))
    assert estimate == pytest.approx(float(run.stdout), rel=0.25)
