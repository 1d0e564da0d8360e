"""An inbox on a local folder, and a look at what came of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sample_images import GREAT_WAVE, make_photographs

from stylecore.batch.inbox import UploadsJob


@dataclass(frozen=True)
class LocalInbox:
    """A folder that people put photographs and paintings into, and one for pictures."""

    folder: Path

    @property
    def inbox(self) -> Path:
        """Where uploads are."""
        return self.folder / "inbox"

    @property
    def output(self) -> Path:
        """Where pictures and runs go."""
        return self.folder / "out"

    def put(self, name: str, data: bytes | str) -> Path:
        """Upload one file."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def put_style(self, name: str, settings: str | None = None) -> None:
        """Upload a painting, and settings."""
        self.put(f"styles/{name}.jpg", GREAT_WAVE.read_bytes())
        if settings is not None:
            self.put(f"styles/{name}.yaml", settings)

    def put_photographs(self, style: str, count: int) -> None:
        """Upload some photographs of a style."""
        for name, data in make_photographs(count).items():
            self.put(f"{style}/{name}", data)

    def job(self, **fields: Any) -> UploadsJob:
        """What is done with it: small pictures, on the CPU."""
        values = {
            "inbox_uri": str(self.inbox),
            "output_uri": str(self.output),
            "max_side_px": 32,
            "device": "cpu",
            **fields,
        }
        return UploadsJob.model_validate(values)

    def pictures(self, style: str = "*") -> list[Path]:
        """All pictures, by name."""
        return sorted(self.output.glob(f"images/{style}/*"))

    def failures(self) -> dict[str, Any]:
        """Notes on failures, by name without fingerprint."""
        found = sorted(self.output.glob("failures/*/*"))
        return {
            f"{path.name.rpartition('-')[0]}.{path.name.partition('.')[2]}": json.loads(
                path.read_text()
            )
            for path in found
        }

    def runs(self) -> list[Path]:
        """All runs, finished or not, oldest first."""
        return sorted(self.output.glob("runs/*"), key=lambda path: path.stat().st_ctime_ns)

    def open_runs(self) -> list[str]:
        """Ids of the runs that are not settled."""
        return sorted(path.name for path in self.output.glob("uploads/open/*"))
