"""Jobs on a local folder, and a look at what came of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sample_images import GREAT_WAVE, make_photographs

from stylecore.config import StylizeJob

Row = dict[str, Any]


@dataclass(frozen=True)
class LocalBucket:
    """A folder with photographs, a painting, and room for pictures."""

    folder: Path

    @property
    def photographs(self) -> Path:
        """Where the photographs are."""
        return self.folder / "in"

    @property
    def output(self) -> Path:
        """Where pictures and runs go."""
        return self.folder / "out"

    def fill(self, count: int) -> None:
        """Put a painting and some photographs there."""
        self.photographs.mkdir(exist_ok=True)
        (self.folder / "wave.jpg").write_bytes(GREAT_WAVE.read_bytes())
        for name, data in make_photographs(count).items():
            (self.photographs / name).write_bytes(data)

    def manifest(self, *rows: Row) -> Path:
        """Write a manifest beside the photographs."""
        path = self.photographs / "manifest.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def job(self, **fields: Any) -> StylizeJob:
        """The prefix as a job in one style, small, on the CPU."""
        values = {
            "manifest_uri": f"{self.photographs}/",
            "styles": [str(self.folder / "wave.jpg")],
            "output_uri": str(self.output),
            "max_side_px": 32,
            "device": "cpu",
            **fields,
        }
        return StylizeJob.model_validate(values)

    def pictures(self) -> list[Path]:
        """All pictures, by name."""
        return sorted(self.output.glob("images/*/*"))

    def results(self) -> list[Row]:
        """The lines of the only run's results, first attempts before retries."""
        files = sorted(self.output.glob("runs/*/results/*"), key=lambda p: (len(p.name), p.name))
        return [row for path in files for row in pq.read_table(path).to_pylist()]

    def summary(self) -> dict[str, Any]:
        """The only run's totals."""
        (path,) = self.output.glob("runs/*/summary.json")
        summary: dict[str, Any] = json.loads(path.read_text())
        return summary
