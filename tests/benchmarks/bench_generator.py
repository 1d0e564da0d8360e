"""Pictures per second of a generator: the bare network, and the whole pipeline beside it.

The network alone makes pictures from memory; the pipeline reads photographs from a folder, decodes,
resizes, generates, encodes, writes, reads again what it wrote, and keeps the ledger, in the process
that a shard is made in. Both have the same threads, in turns; each figure is the median of them.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from tables import show

from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.generate.files import load_generator
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard

SAMPLES = Path(__file__).parent.parent.parent / "deployments" / "samples"
TURNS = 3
SECONDS = 10.0  # that the network alone is to take, to choose how many pictures


def main() -> None:
    """A row for each size and batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, help="its file; else a shipped one")
    parser.add_argument("--px", type=int, nargs="+", default=[256, 512, 1024], help="sides")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="pictures at once")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    path = options.generator or min((SAMPLES / "generators").glob("*.safetensors"))
    rows = [
        measure(path, px, batch, options.device) for px in options.px for batch in options.batch
    ]
    header = [
        "px",
        "batch",
        "pictures",
        "network alone, pictures/s",
        "pipeline, pictures/s",
        "share",
    ]
    threads = torch.get_num_threads()
    show(f"Generator on {options.device}, {threads} threads, median of {TURNS}", header, rows)


def measure(path: Path, px: int, batch: int, device: str) -> list[str]:
    """One size and batch: the network and the pipeline in turns."""
    network = Network(path, px, batch, device)
    count = max(2 * batch, round(SECONDS / network.seconds(2) / batch) * batch)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photographs(folder / "in", count, px)
        pairs = []
        for turn in range(TURNS):
            alone = network.seconds(count // batch) * count
            pairs.append((alone, pipeline_seconds(folder, path, (px, batch, turn), device)))
    alone = statistics.median(one for one, _ in pairs)
    whole = statistics.median(other for _, other in pairs)
    share = statistics.median(one / other for one, other in pairs)
    sys.stderr.write(f"{px} px, batch {batch}: {share:.2f}\n")
    return [
        str(px),
        str(batch),
        str(count),
        f"{count / alone:.2f}",
        f"{count / whole:.2f}",
        f"{share:.0%}",
    ]


class Network:
    """The bare network, with its photographs in memory."""

    def __init__(self, path: Path, px: int, batch: int, device: str) -> None:
        network, card = load_generator(path.read_bytes(), str(path))
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.shares = torch.zeros(batch, len(card.styles), device=device)
        self.shares[:, 0] = 1
        self.photographs = torch.rand(batch, 3, px, px, device=device)

    @torch.inference_mode()
    def seconds(self, passes: int) -> float:
        """Of one picture, over so many passes."""
        started = time.perf_counter()
        for _ in range(passes):
            self.network(self.photographs, self.shares).sum().item()
        return (time.perf_counter() - started) / passes / len(self.photographs)


def write_photographs(folder: Path, count: int, px: int) -> None:
    """Different photographs, as JPEG files of that size."""
    folder.mkdir()
    sources = [Image.open(path).convert("RGB") for path in sorted((SAMPLES / "content").iterdir())]
    for number in range(count):
        image = sources[number % len(sources)].rotate(number % 360).resize((px, px))
        image.save(folder / f"{number:05d}.jpg", quality=92)


def pipeline_seconds(folder: Path, path: Path, size: tuple[int, int, int], device: str) -> float:
    """Of all photographs, from the folder to pictures and results in another."""
    px, batch, turn = size
    _, card = load_generator(path.read_bytes(), str(path))
    style = SAMPLES / "style" / f"{card.styles[0].name}.jpg"
    job = StylizeJob.model_validate(
        {
            "manifest_uri": f"{folder}/in/",
            "styles": [str(style)],
            "output_uri": f"{folder}/out{turn}",
            "method": "generator",
            "generator": str(path),
            "max_side_px": px,
            "batch_size": batch,
            "device": device,
            "limits": {"rows_per_shard": 2000},
        }
    )
    run = prepare_run(Store(), job)
    started = time.perf_counter()
    for number in run.pending_shards():
        tally = work_through_shard(run, ShardRequest(run.run_uri, number, "bench", device=device))
        assert tally is not None
        assert tally.failed == 0
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
