"""Whatever ``job.yaml`` and ``--set`` say, they make a job or are refused in words."""

from pathlib import Path
from random import Random

import pytest
from fuzzing import fuzz, mutate, refusal
from reliability import See

from deployments.requests import build_job
from stylecore.batch.inbox import StyleUploads, UploadsJob, style_job
from stylecore.batch.objects import ObjectInfo
from stylecore.batch.store import Store
from stylecore.batch.uris import check_uri
from stylecore.errors import JobError

ALLOWED_MB = 200
JOBS = [
    b"manifest_uri: s3://inbox/m.csv\nstyles: [s3://inbox/s.jpg]\noutput_uri: s3://outbox\n",
    b"manifest_uri: in/\nstyles:\n  - {uri: s.jpg, weight: 2}\noutput_uri: out\npreset: draft\n",
    b"manifest_uri: in/\noutput_uri: out\noptimize: {tv_weight: 0.1, encoder: vgg19}\nseed: 7\n",
    b"manifest_uri: in/\noutput_uri: out\nlimits: {max_pixels: 100}\nrefine: per-image\n",
]
TOKENS = [b'!!int ""', b'!!float "_"', b'!!bool "x"', b'!!timestamp "x"', b"!!binary x", b"!!set"]
TOKENS += [b"&a ", b"*a", b"<<: *a\n", b"- ", b"[", b"]", b"{", b"}", b"? ", b": ", b"|\n", b">\n"]
TOKENS += [b"%YAML 1.1\n", b"---\n", b"...\n", b"\t", b"!!python/object:os.system ", b".inf", b"~"]
TOKENS += [b".nan", b"2001-99-99", b"0x", b"1e999", b"9" * 5000, b"\x00", b"\x1b[2J", b"\xff"]
TOKENS += ["\u2028\u202e\ufeff\x85".encode(), b"styles: ", b"optimize: ", b"output: {format: png}"]
ASSIGNMENTS = [b"optimize.tv_weight=0.1", b"limits.max_pixels=5", b"styles=[a.jpg]", b"seed=1"]


def settings_of_a_style(text: bytes) -> None:
    """The settings that whoever may upload can put into the inbox."""
    stamp = Store().head(check_uri(str(Path(__file__).resolve()))).modified
    info = ObjectInfo("s3://inbox/styles/wave.jpg", "1", 1, stamp)
    style = StyleUploads("wave", [info], info)
    job = UploadsJob(inbox_uri="s3://inbox", output_uri="s3://outbox")
    style_job(job, style, text)


@pytest.mark.reliability
def test_any_job_file_is_a_job_or_refused(fuzz_inputs: int, tmp_path: Path, seen: See) -> None:
    path, made = tmp_path / "job.yaml", 0

    def check(example: tuple[bytes, list[bytes]]) -> None:
        nonlocal made
        text, assignments = example
        path.write_bytes(text)
        words = [word.decode("utf-8", "replace") for word in assignments]
        refused = refusal(JobError, lambda: build_job(path, {"max_side_px": 64}, words))
        made += refused is None
        assert all(line.isprintable() for line in (refused or "").split("\n"))
        assert (refused or "").count("\n") < 10

    def make(chance: Random) -> tuple[bytes, list[bytes]]:
        words = [mutate(chance, ASSIGNMENTS, TOKENS, 2) for _ in range(chance.randint(0, 1))]
        return mutate(chance, JOBS, TOKENS), words

    done = fuzz(fuzz_inputs, make, check)
    assert 0 < made < done.inputs
    assert done.megabytes < ALLOWED_MB
    seen("damaged and hostile job files and --set", "a job, or refused in words", str(done))


def test_any_settings_in_the_inbox_are_taken_or_refused(fuzz_inputs: int) -> None:
    def check(text: bytes) -> None:
        assert (refusal(JobError, lambda: settings_of_a_style(text)) or "").isprintable()

    bases = [b"method: identity\n", b"optimize: {tv_weight: 0.1}\nseed: 7\n", b"refine: r/\n"]
    assert (
        fuzz(fuzz_inputs, lambda chance: mutate(chance, bases, TOKENS), check).megabytes
        < ALLOWED_MB
    )


def test_aliases_that_multiply_are_refused_in_words_and_little_memory(tmp_path: Path) -> None:
    levels = "\n".join(
        f"x{n + 1}: &x{n + 1} [{', '.join(f'*x{n}' for _ in range(9))}]" for n in range(9)
    )
    path = tmp_path / "job.yaml"
    path.write_text(f"x0: &x0 lol\n{levels}\nstyles: *x9\nmanifest_uri: in/\noutput_uri: *x9\n")
    with pytest.raises(JobError, match=r"styles\.0: Input should be .*\.\.\.") as caught:
        build_job(path, {}, [])
    assert len(str(caught.value)) < 2000


def test_a_file_without_end_is_no_job_file() -> None:
    with pytest.raises(JobError, match="longer than 4194304 characters: this is no job file"):
        build_job(Path("/dev/zero"), {}, [])


@pytest.mark.parametrize("text", ['!!int ""', '!!float "_"', '!!bool "x"', '!!timestamp "x"'])
def test_a_tag_that_its_value_does_not_fit_is_no_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"seed: {text}\n")
    with pytest.raises(JobError, match="not valid YAML"):
        build_job(path, {}, [])
    with pytest.raises(JobError, match="value is not valid YAML"):
        build_job(None, {}, [f"seed={text}"])
    with pytest.raises(JobError, match=r"styles/wave\.yaml: not YAML"):
        settings_of_a_style(f"seed: {text}".encode())
