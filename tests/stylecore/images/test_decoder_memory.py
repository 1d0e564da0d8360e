"""No picture takes more than 400 MB while it is decoded, and large ones wait for each other."""

import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from large_pictures import LARGE, deep_tiff
from PIL import Image
from reliability import See

from stylecore.errors import OutOfMemoryError, TooManyPixelsError
from stylecore.images import codec
from stylecore.images.codec import LARGE_PIXELS, decode_image, decoded
from stylecore.images.limits import DecodeLimits

LIMITS = DecodeLimits(64 * 1024**2, 50_000_000)
ALLOWED_MB = 400
HOSTILE = Path(__file__).parents[2] / "hostile"
LARGE_JPEG = (4000, 3001)
assert LARGE_JPEG[0] * LARGE_JPEG[1] > LARGE_PIXELS

# Decodes files one after the other, and prints for each the outcome, by how many MB the peak of
# resident memory rose over the idle process, and seconds.
MEASURE = """
import json, re, sys, time
from pathlib import Path
from stylecore.errors import RowError
from stylecore.images.codec import decoded
from stylecore.images.limits import DecodeLimits
from stylecore.images.resize import resize_content

def memory(what):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(what + r":\\s+(\\d+)", status)[1])

def outcome(path):
    data = path.read_bytes()
    try:
        with decoded(data, path.name, DecodeLimits(64 * 1024**2, 50_000_000)) as image:
            resize_content(image, 512)
    except RowError as error:
        return error.code
    return "made"

for name in sys.argv[1:]:
    idle = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started = time.perf_counter()
    result = outcome(Path(name))
    seconds = time.perf_counter() - started
    print(json.dumps([Path(name).name, result, (memory("VmHWM") - idle) / 1e6, seconds]))
"""


def measure(*files: Path) -> dict[str, tuple[str, float, float]]:
    """Outcome, MB and seconds of each file, decoded by a process of their own."""
    command = [sys.executable, "-c", MEASURE, *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = map(json.loads, done.stdout.splitlines())
    return {name: (outcome, megabytes, seconds) for name, outcome, megabytes, seconds in found}


def jpeg(size: tuple[int, int], **options: object) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", size).save(sink, "JPEG", **options)
    return sink.getvalue()


@pytest.mark.reliability
def test_no_file_of_the_hostile_corpus_takes_much_memory_or_time(seen: See) -> None:
    cases = json.loads((HOSTILE / "index.json").read_text(encoding="utf-8"))["cases"]
    expected = {case["file"]: case.get("reason", "made") for case in cases}
    found = measure(*(HOSTILE / name for name in expected))
    assert {name: outcome for name, (outcome, _, _) in found.items()} == expected
    most_mb, longest_s = (max(row[at] for row in found.values()) for at in (1, 2))
    assert most_mb < 100
    assert longest_s < 10
    seen(
        f"{len(found)} awkward and malicious picture files",
        "each is made, or refused with its own code",
        f"at most {most_mb:.0f} MB and {longest_s:.2f} s for a file",
    )


@pytest.mark.slow
@pytest.mark.reliability
@pytest.mark.parametrize("name", LARGE)
def test_a_picture_as_large_as_the_limits_takes_400_mb_at_most(
    name: str, tmp_path: Path, seen: See
) -> None:
    path = tmp_path / name
    path.write_bytes(LARGE[name]())
    outcome, megabytes, seconds = measure(path)[name]
    assert outcome == "made"
    assert 100 < megabytes < ALLOWED_MB
    with Image.open(path) as image:
        size = f"{image.width} x {image.height}"
    seen(f"{name} of {size} px", "made", f"{megabytes:.0f} MB, {seconds:.1f} s")


@pytest.mark.parametrize(
    ("file_format", "options", "bytes_per_pixel"),
    [
        ("JPEG", {}, 7),
        ("JPEG", {"subsampling": 0}, 7),
        ("JPEG", {"progressive": True, "subsampling": 0}, 10),
        ("JPEG", {"progressive": True}, 7),
        ("PNG", {}, 7),
        ("GIF", {}, 7),
        ("BMP", {}, 7),
        ("TIFF", {}, 7),
        ("WEBP", {}, 16),
        ("AVIF", {}, 13),
    ],
)
def test_a_decoder_that_needs_more_memory_gets_fewer_pixels(
    file_format: str, options: dict[str, object], bytes_per_pixel: int
) -> None:
    sink = io.BytesIO()
    Image.new("P" if file_format == "GIF" else "RGB", (640, 480)).save(sink, file_format, **options)
    data, num_pixels = sink.getvalue(), 640 * 480
    assert decode_image(data, "", DecodeLimits(10**6, num_pixels, bytes_per_pixel + 1)).size
    with pytest.raises(TooManyPixelsError, match="MB of memory, more than"):
        decode_image(data, "", DecodeLimits(10**6, num_pixels, bytes_per_pixel - 1))


def test_a_deep_tiff_in_one_strip_counts_with_its_strip() -> None:
    data = deep_tiff(64)
    assert decode_image(data, "", DecodeLimits(10**6, 64 * 64, 11)).size
    with pytest.raises(TooManyPixelsError, match="save it as a baseline JPEG or as PNG, or raise"):
        decode_image(data, "", DecodeLimits(10**6, 64 * 64, 9))


def test_a_baseline_jpeg_whose_scans_bring_one_component_each_counts_as_progressive() -> None:
    data = jpeg((64, 48), subsampling=0)
    scan = data.index(b"\xff\xda")
    one_component = data[:scan] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + data[scan + 14 :]
    with pytest.raises(TooManyPixelsError, match="MB of memory"):
        decode_image(one_component, "", DecodeLimits(10**6, 64 * 48, 9))


def test_pictures_over_12_megapixels_are_decoded_one_at_a_time() -> None:
    large, second_is_in = jpeg(LARGE_JPEG), threading.Event()

    def decode_second() -> None:
        with decoded(large, "second", LIMITS):
            second_is_in.set()

    thread = threading.Thread(target=decode_second)
    with decoded(large, "first", LIMITS):
        thread.start()
        assert not second_is_in.wait(1.0)
        assert decode_image(jpeg((64, 48)), "small", LIMITS).size  # small ones do not wait
    assert second_is_in.wait(60)
    thread.join()


def test_a_large_picture_that_is_broken_leaves_its_turn_to_the_next() -> None:
    large = jpeg(LARGE_JPEG)
    for _ in range(2):
        with pytest.raises(codec.ImageDecodeError), decoded(large[:5000], "broken", LIMITS):
            pass
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(decode_image(large, "", LIMITS).shape))
    thread.start()
    thread.join(60)
    assert outcomes == [(LARGE_JPEG[1], LARGE_JPEG[0], 3)]


def test_a_picture_for_which_memory_is_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(codec, "_to_rgb", fail)
    with pytest.raises(OutOfMemoryError, match="no memory to decode it"):
        decode_image(jpeg((64, 48)), "photo.jpg", LIMITS)
