"""A folder with a manifest and a painting, and requests of the command line against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from command_line import Answer, run_stylebatch


@dataclass(frozen=True)
class Desk:
    """Files of a person who is about to start a job."""

    folder: Path

    @property
    def manifest(self) -> str:
        """A good manifest of two rows."""
        return str(self.folder / "manifest.jsonl")

    @property
    def style(self) -> str:
        """A good painting."""
        return str(self.folder / "style.jpg")

    @property
    def output(self) -> str:
        """A folder that does not exist yet."""
        return str(self.folder / "out")

    def write(self, name: str, text: str) -> str:
        """Put a text file onto the desk; returns its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def request(self, **options: str) -> list[str]:
        """The words of a good job, with some options replaced."""
        values = {"manifest": self.manifest, "style": self.style, "output": self.output, **options}
        return [word for name, value in values.items() for word in (f"--{name}", value)]

    def say(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Answer:
        """Run one command."""
        return run_stylebatch(*arguments, home=self.folder, environment=environment, timeout_s=60)
