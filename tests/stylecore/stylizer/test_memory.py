"""What a stylizer really takes, in a process of its own, against what is said beforehand."""

import subprocess
import sys

import pytest

from stylecore.batch.estimate import PixelWork, stylizer_memory_bytes

STYLIZE = """
import re, sys
from pathlib import Path
import numpy as np
import torch
from stylecore.config import StylizeJob
from stylecore.stylizer import Content, StylePainting, build_stylizer

torch.set_num_threads(1)
height, width = int(sys.argv[1]), int(sys.argv[2])
job = StylizeJob(
    manifest_uri="-", output_uri="-", device="cpu", optimize={"num_evaluations": 3}
)
photo, painting = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
stylizer = build_stylizer(job, [StylePainting(painting)])
(made,) = stylizer.stylize([Content(0, photo)])
stylizer.score(Content(0, photo), made.pixels)
status = Path("/proc/self/status").read_text()
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(("height_px", "width_px"), [(256, 256), (384, 768)])
def test_the_estimate_is_within_a_quarter_of_the_peak(height_px, width_px):
    command = [sys.executable, "-c", STYLIZE, str(height_px), str(width_px)]
    run = subprocess.run(command, check=True, capture_output=True)
    estimate = stylizer_memory_bytes(PixelWork("vgg16", height_px, width_px, 3))
    assert estimate == pytest.approx(float(run.stdout), rel=0.25)
