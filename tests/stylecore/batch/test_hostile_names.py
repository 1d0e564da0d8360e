"""Names from strangers: what they may open, where outputs go, and what gets into messages."""

import os
import posixpath
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.batch.faults import job_errors
from stylecore.batch.fingerprint import name_styles, output_name, style_folder
from stylecore.batch.ledger import open_ledger
from stylecore.batch.store import Store
from stylecore.batch.uris import AllowList, check_folder, check_uri, join_uri, without_secrets
from stylecore.errors import BadKeyError, JobError, NotAllowedError, RowError

SECRET = "hunter2"
PIECES = ["s3://", "s3a://", "S3:", "file:", "file:///", "http://", "simplecache::", "//", "/", "@"]
PIECES += ["..", ".", "%2e%2e", "%2F", "\\", "inbox", "inbox-private", "outbox", "photos", "a.jpg"]
PIECES += [" ", "\n", "\r", "\x1b[2J", "\x00", "\u202e", "\u2028", ":", "?", "#", "~", "$HOME"]
NAMES = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
ANY_TEXT = st.text(st.characters(), max_size=60)
often = settings(max_examples=400, deadline=None)


def opened(name: str, allowed: AllowList) -> str | None:
    """The URI that would be opened, or None where the name is refused."""
    try:
        uri = check_uri(name)
        allowed.check(uri)
    except RowError:
        return None
    return uri


@often
@given(NAMES)
def test_nothing_outside_the_allowed_prefixes_is_ever_opened(name: str) -> None:
    uri = opened(name, AllowList(["s3://inbox/photos", "/srv/photos"]))
    if uri is not None:
        assert uri.startswith(("s3://inbox/photos/", "/srv/photos/"))
        path = uri.removeprefix("s3:/")
        assert posixpath.normpath(path) == path
        assert not any(unicodedata.category(char) == "Cc" for char in uri)


@often
@given(uri=NAMES | ANY_TEXT, other=NAMES | ANY_TEXT)
def test_whatever_rows_and_paintings_are_called_pictures_stay_in_their_folder(
    uri: str, other: str
) -> None:
    style, *_ = name_styles([((uri,), (1.0,)), ((other, uri), (0.5, 0.5))])
    picture = join_uri(style_folder("/srv/out", style.name), output_name(uri, "ab" * 32, "jpeg"))
    assert posixpath.normpath(picture) == picture
    assert posixpath.dirname(posixpath.dirname(picture)) == "/srv/out/images"
    assert picture.isascii()
    assert picture.isprintable()
    assert " " not in picture


@often
@given(
    scheme=st.sampled_from(["s3", "s3a", "S3", "http", "https", "gs", "simplecache::s3", "github"]),
    user=st.sampled_from(["user", "AKIA+X", "", "a b"]),
    junk=st.sampled_from(["", "/", "+", "x/y=", "@"]),
    place=st.sampled_from(["inbox/a.jpg", "host:9000/inbox/a.jpg", "in_box$/a@2x.jpg", ""]),
)
def test_no_password_in_a_refused_uri_is_repeated(
    scheme: str, user: str, junk: str, place: str
) -> None:
    uri = f"{scheme}://{user}:{junk}{SECRET}{junk}@{place}"
    with pytest.raises(RowError) as caught:
        check_uri(uri)
    assert SECRET not in f"{caught.value} {caught.value.uri} {caught.value.reason}"
    assert SECRET not in without_secrets(uri)
    with pytest.raises(RowError) as caught:
        check_folder(uri)
    assert SECRET not in str(caught.value)


def test_the_signature_of_a_web_address_is_not_repeated() -> None:
    with pytest.raises(NotAllowedError) as caught:
        check_uri(f"https://inbox.s3.amazonaws.com/a.jpg?X-Amz-Signature={SECRET}")
    assert str(caught.value).startswith("https://inbox.s3.amazonaws.com/a.jpg?***: ")


@pytest.mark.parametrize("uri", ["s3://inbox/a@2x.jpg", "/home/me@host/a?b.jpg", "a@b?c.jpg"])
def test_what_is_no_secret_is_shown(uri: str) -> None:
    assert without_secrets(uri) == uri


@given(ANY_TEXT, ANY_TEXT)
def test_errors_hold_nothing_that_a_terminal_or_a_log_obeys(uri: str, reason: str) -> None:
    error = BadKeyError(uri, reason)
    assert f"{error}{error.uri}{error.reason}".isprintable()
    assert all(line.isprintable() for line in str(JobError(f"{uri}\n{reason}")).split("\n"))
    with pytest.raises(JobError) as caught, job_errors("manifest"):
        raise error
    assert str(caught.value).isprintable()


def test_a_link_out_of_an_allowed_folder_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.jpg").write_bytes(b"x")
    (inside / "file.jpg").symlink_to(outside / "secret.jpg")
    (inside / "folder").symlink_to(outside)
    os.link(outside / "secret.jpg", inside / "own.jpg")
    allowed = AllowList([str(inside)])
    allowed.check(f"{inside}/own.jpg")
    for name in ("file.jpg", "folder/secret.jpg", "folder/absent.jpg"):
        with pytest.raises(NotAllowedError):
            allowed.check(f"{inside}/{name}")


@pytest.mark.parametrize(
    "run_uri",
    [
        f"https://user:{SECRET}@host/out/runs/0123",
        f"s3://user:{SECRET}@outbox/runs/0123",
        "s3://outbox/runs/0123\x1b[2J",
        "simplecache::s3://outbox/runs/0123",
        "/srv/out/runs/..\n/0123",
        "s3://outbox/\x1b[2J",
    ],
)
def test_a_hostile_uri_of_a_run_is_refused_in_one_line_without_its_secret(run_uri: str) -> None:
    with pytest.raises(JobError) as caught:
        open_ledger(Store(), run_uri)
    assert str(caught.value).isprintable()
    assert SECRET not in str(caught.value)
