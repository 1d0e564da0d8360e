"""What the machinery costs an image: `stylebatch run --method identity` against a bare loop.

Both read, decode, resize, encode and write the same files. The run adds Prefect, the ledger,
fingerprints, digests and the report, and reads ahead with threads, which the loop does not. The
server is started before, since a run of any length pays for that once.
"""

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from tables import STYLEBATCH, measure, show

# The servers of the tests serve benchmarks too.
sys.path.insert(0, str(Path(__file__).parent.parent))
from prefect_servers import run_prefect  # noqa: E402 - needs the line above

IMAGES = 500
TURNS = 3
SIDE_PX = 256
SAMPLES = Path(__file__).parent.parent.parent / "deployments" / "samples"


def main() -> None:
    """Time the bare loop, a run of no images and a run of all of them, in turns."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", count)
        (folder / "none").mkdir()
        (folder / "prefect").mkdir()
        with run_prefect(folder / "prefect") as url:
            turns = [measure_turn(folder, turn, url, count) for turn in range(TURNS)]
    bare, empty, full = (statistics.median(times) for times in zip(*turns, strict=True))
    each = (full - empty) / count
    rows = [
        ["bare loop", f"{bare:.2f}", f"{1000 * bare / count:.1f}"],
        ["run of no images", f"{empty:.2f}", "-"],
        [f"run of {count} images", f"{full:.2f}", f"{1000 * full / count:.1f}"],
        ["run, without its start", f"{full - empty:.2f}", f"{1000 * each:.1f}"],
        ["the flow's overhead", "-", f"{1000 * (each - bare / count):.1f}"],
    ]
    title = f"identity over {count} images of {SIDE_PX} px, median of {TURNS} turns"
    show(title, ["what", "s", "ms an image"], rows)


def measure_turn(folder: Path, turn: int, url: str, count: int) -> tuple[float, float, float]:
    """Seconds of the bare loop, of a run of nothing and of a run of everything."""
    started = time.perf_counter()
    bare_loop(folder / "images", folder / f"bare{turn}")
    bare = time.perf_counter() - started
    target = folder / f"out{turn}"
    empty = run_identity(folder / "none", target, url, 0)
    return bare, empty, run_identity(folder / "images", target, url, count)


def write_images(folder: Path, count: int) -> None:
    """Different small photographs."""
    folder.mkdir()
    paths = sorted((SAMPLES / "content").glob("*.jpg"))
    sources = [Image.open(path).convert("RGB").resize((SIDE_PX, SIDE_PX)) for path in paths]
    for number in range(count):
        image = sources[number % len(sources)].rotate(number % 360)
        image.save(folder / f"{number:05d}.jpg", quality=92)


def bare_loop(source: Path, target: Path) -> None:
    """What has to be done anyway, in one thread."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            small = image.convert("RGB").resize((SIDE_PX // 2,) * 2, Image.Resampling.LANCZOS)
        sink = io.BytesIO()
        small.save(sink, "JPEG", quality=95, subsampling=0)
        (target / path.name).write_bytes(sink.getvalue())


def run_identity(source: Path, target: Path, url: str, count: int) -> float:
    """Wall seconds of one run in its own process, which makes ``count`` pictures."""
    command = [STYLEBATCH, "run", "--manifest", f"{source}/", "--method", "identity"]
    command += ["--style", str(SAMPLES / "style" / "great_wave.jpg")]
    command += ["--output", str(target), "--max-side-px", str(SIDE_PX // 2)]
    environment = {"PREFECT_API_URL": url, "PREFECT_HOME": str(target.parent / "prefect")}
    took = measure(command, environment)
    if not took.stdout.startswith(f"made {count}, skipped 0, failed 0"):
        raise SystemExit(took.stdout)
    return took.seconds


if __name__ == "__main__":
    main()
