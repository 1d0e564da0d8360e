"""What every method takes and gives."""

import subprocess
import sys

import numpy as np
import pytest

from stylecore.config import StylizeJob
from stylecore.errors import JobError, RunStoppedError
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content, StylePainting, build_stylizer

RED = np.full((20, 30, 3), (255, 0, 0), dtype=np.uint8)
BLUE = np.full((10, 17, 3), (0, 0, 255), dtype=np.uint8)


def job(**fields) -> StylizeJob:
    return StylizeJob(manifest_uri="memory", output_uri="memory", **fields)


def test_identity_gives_every_photograph_back():
    stylizer = build_stylizer(job(method="identity"), [])
    made = list(stylizer.stylize([Content(7, RED), Content(3, BLUE)]))
    assert [stylized.key for stylized in made] == [7, 3]
    np.testing.assert_array_equal(made[1].pixels, BLUE)
    assert made[0].evaluations is None


def test_identity_has_no_quality():
    assert build_stylizer(job(method="identity"), []).score(Content(0, RED), RED) is None


def test_identity_stops_when_asked():
    stylizer = build_stylizer(job(method="identity"), [], watch=Watch(should_stop=lambda: True))
    with pytest.raises(RunStoppedError):
        next(stylizer.stylize([Content(0, RED)]))


def test_identity_takes_photographs_only_when_it_needs_them():
    def contents():
        yield Content(0, RED)
        raise AssertionError("asked for the second before the first was taken")

    stylizer = build_stylizer(job(method="identity"), [])
    assert next(stylizer.stylize(contents())).key == 0


def test_identity_needs_no_torch():
    code = """
import sys, numpy
from stylecore.config import StylizeJob
from stylecore.stylizer import Content, StylePainting, build_stylizer
job = StylizeJob(manifest_uri="memory", output_uri="memory", method="identity")
stylizer = build_stylizer(job, [])
pixels = numpy.zeros((4, 4, 3), numpy.uint8)
(made,) = stylizer.stylize([Content(0, pixels)])
assert stylizer.score(Content(0, pixels), made.pixels) is None
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_optimizing_needs_a_style():
    with pytest.raises(JobError, match="name at least one painting"):
        build_stylizer(job(), [])


def test_the_steps_of_a_cascade_are_counted_through() -> None:
    seen = []
    watch = Watch(save_every=1, on_picture=lambda key, number, _: seen.append((key, number)))
    grain = np.random.default_rng(0).integers(0, 256, RED.shape, dtype=np.uint8)
    paintings = [StylePainting(RED), StylePainting(BLUE)]
    request = job(cascade=True, styles=["a", "b"], optimize={"num_evaluations": 2}, device="cpu")
    stylizer = build_stylizer(request, paintings, watch=watch)
    list(stylizer.stylize([Content(3, grain)]))
    assert seen == [(3, 1), (3, 2), (3, 3), (3, 4)]
