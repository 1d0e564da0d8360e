import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.batch.uris import (
    AllowList,
    absolute,
    bucket_or_folder,
    check_folder,
    check_uri,
    join_uri,
    parent,
    resolve,
    safe_stem,
    split_uri,
)
from stylecore.errors import BadKeyError, BadRequestError, JobError, NotAllowedError

GOOD_KEYS = [
    "photos/a b+c%20é 日本.jpg",
    "emoji😀.jpg",
    "á.jpg",
    "CON.jpg",
    "photos/.hidden.jpg",
    "q?versionId=1#2.jpg",
    "é" * 500 + ".jpg",
]
BAD_KEYS = [
    "a/../../b.jpg",
    "a//b.jpg",
    "a\\..\\b.jpg",
    "a/./b.jpg",
    "ctrl\x01.jpg",
    "nul\0.jpg",
    "line\n.jpg",
    "half\ud800.jpg",
    "é" * 600,
    "dir/",
    ".uploads/x/0001.part",
    "photos/.uploads/0001.part",
    "a.jpg ",
    "",
    "..",
]
REFUSED_URIS = [
    ("local:///etc/passwd", NotAllowedError),
    ("http://127.0.0.1:9/latest/meta-data/", NotAllowedError),
    ("simplecache::file:///etc/passwd", NotAllowedError),
    ("filecache::http://127.0.0.1/x", NotAllowedError),
    ("simplecache::s3://inbox/a.jpg", NotAllowedError),
    ("memory://x", NotAllowedError),
    ("data:image/png;base64,AAAA", NotAllowedError),
    ("github://o:r@main/x", NotAllowedError),
    ("reference://", NotAllowedError),
    ("C:\\photos\\a.jpg", NotAllowedError),
    ("s3://inbox", BadKeyError),
    ("s3://inbox/", BadKeyError),
    ("s3:inbox/a.jpg", BadKeyError),
    ("s3://../a.jpg", BadKeyError),
    ("s3://ab/a.jpg", BadKeyError),
    ("s3://in_box$/a.jpg", BadKeyError),
    ("s3://user:pw@inbox/a.jpg", BadKeyError),
    ("s3://inbox/../other/a.jpg", BadKeyError),
    ("file://host/a.jpg", BadKeyError),
    ("file:/a.jpg", BadKeyError),
    ("/photos/../etc/passwd", BadKeyError),
    ("", BadKeyError),
    (" s3://inbox/a.jpg", BadKeyError),
]


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_a_good_key_is_kept_byte_for_byte(key: str):
    assert check_uri(f"s3://inbox/{key}") == f"s3://inbox/{key}"


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_does_not_survive_every_store_is_refused(key: str):
    with pytest.raises(BadKeyError):
        check_uri(f"s3://inbox/{key}")


@pytest.mark.parametrize(("uri", "error"), REFUSED_URIS)
def test_a_uri_of_another_kind_is_refused(uri: str, error: type[BadRequestError]):
    with pytest.raises(error):
        check_uri(uri)


def test_the_limit_of_1024_bytes_is_exact():
    assert check_uri("s3://inbox/" + "k" * 1024)
    with pytest.raises(BadKeyError, match="1024 bytes"):
        check_uri("s3://inbox/" + "k" * 1025)


def test_aliases_are_normalised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert check_uri("s3a://inbox/a.jpg") == "s3://inbox/a.jpg"
    assert check_uri("S3://inbox/a.jpg") == "s3://inbox/a.jpg"
    assert check_uri("file:///data/a%20b.jpg") == "/data/a%20b.jpg"
    assert check_uri("photos/a.jpg") == f"{tmp_path}/photos/a.jpg"


def test_credentials_in_a_uri_are_not_repeated_in_the_error():
    with pytest.raises(BadKeyError) as caught:
        check_uri("s3://user:hunter2@inbox/a.jpg")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caught.value.uri


def test_an_error_about_broken_unicode_can_itself_be_written():
    with pytest.raises(BadKeyError) as caught:
        check_uri("s3://inbox/half\ud800.jpg")
    assert str(caught.value).encode()
    assert caught.value.uri.encode()


@given(st.text(st.characters(), max_size=80))
def test_whatever_is_accepted_is_safe_and_stable(text: str):
    try:
        uri = check_uri(text)
    except BadRequestError as error:
        str(error).encode()  # can be written to a results file
        return
    assert check_uri(uri) == uri
    bucket, path = split_uri(uri)
    segments = (path if bucket else path[1:]).split("/")
    assert not {"", ".", "..", ".uploads"} & set(segments)
    assert path.encode()


@given(st.text(st.sampled_from("s3:/.a\\\x00 é-_"), max_size=24))
def test_the_fast_and_the_careful_path_agree(text: str):
    def verdict(uri: str) -> str:
        try:
            return check_uri(uri).removeprefix(os.getcwd())
        except BadRequestError as error:
            return type(error).__name__

    padded = "k" * 500  # too long for the fast path, short enough to be accepted
    assert (verdict(f"s3://inbox/{text}") == "BadKeyError") == (
        verdict(f"s3://inbox/{padded}/{text}") == "BadKeyError"
    )


def test_a_million_uris_are_checked_in_a_few_seconds():
    uris = [f"s3://inbox/photos/2024/{number:08d}.jpg" for number in range(100_000)]
    allowed = AllowList(["s3://inbox"])
    start = time.process_time()
    for uri in uris:
        allowed.check(check_uri(uri))
    assert time.process_time() - start < 0.4


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ("s3://inbox", "s3://inbox"),
        ("s3a://inbox/", "s3://inbox"),
        ("s3://inbox/photos/", "s3://inbox/photos"),
        ("/data/", "/data"),
        ("/", "/"),
        ("file:///data/x/", "/data/x"),
    ],
)
def test_a_folder_is_named_with_or_without_a_trailing_slash(typed: str, folder: str):
    assert check_folder(typed) == folder


def test_a_person_may_go_up_in_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert absolute("../photos/a.jpg") == f"{tmp_path}/photos/a.jpg"
    assert absolute("../photos/") == f"{tmp_path}/photos/"
    assert absolute("s3://inbox/../a.jpg") == "s3://inbox/../a.jpg"
    assert check_folder("..") == str(tmp_path)


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ("s3://a-bucket", "s3://a-bucket-private/x.jpg"),
        ("s3://a-bucket/photos", "s3://a-bucket/photos-private/x.jpg"),
        ("s3://a-bucket/photos/", "s3://a-bucket/photos"),
        ("/data/photos", "/data/photos-private/x.jpg"),
        ("s3://a-bucket", "/etc/passwd"),
        ("/", "s3://a-bucket/x.jpg"),
    ],
)
def test_prefixes_match_at_a_slash_only(allowed: str, refused: str):
    with pytest.raises(NotAllowedError):
        AllowList([allowed]).check(refused)


@pytest.mark.parametrize(
    ("allowed", "uri"),
    [
        ("s3://a-bucket", "s3://a-bucket/x.jpg"),
        ("s3a://a-bucket/photos/", "s3://a-bucket/photos/deep/x.jpg"),
        ("file:///data", "/data/x.jpg"),
        ("/", "/etc/passwd"),
    ],
)
def test_what_lies_below_a_prefix_is_allowed(allowed: str, uri: str):
    AllowList(["s3://other", allowed]).check(uri)


def test_a_refusal_names_the_prefix_to_allow():
    with pytest.raises(NotAllowedError, match="--allow s3://other-bucket$"):
        AllowList(["s3://inbox"]).check("s3://other-bucket/deep/a.jpg")
    with pytest.raises(NotAllowedError, match="--allow /etc$"):
        AllowList(["s3://inbox"]).check("/etc/passwd")


def test_a_link_does_not_lead_out_of_an_allowed_folder(tmp_path: Path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"x")
    (inside / "file.jpg").symlink_to(outside / "secret.jpg")
    (inside / "folder").symlink_to(outside)
    allowed = AllowList([str(inside)])
    for name in ("file.jpg", "folder/secret.jpg"):
        with pytest.raises(NotAllowedError):
            allowed.check(str(inside / name))
    allowed.check(str(inside / "missing.jpg"))


def test_an_allowed_folder_may_itself_be_a_link(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    allowed = AllowList([str(tmp_path / "link")])
    allowed.check(str(tmp_path / "link" / "a.jpg"))
    allowed.check(str(tmp_path / "real" / "a.jpg"))


@pytest.mark.parametrize("prefix", ["", "http://x/", "s3://", "s3://a-bucket//x"])
def test_a_malformed_prefix_refuses_the_job(prefix: str):
    with pytest.raises(JobError, match="--allow"):
        AllowList([prefix])


def test_relative_names_start_at_the_manifest_folder():
    assert resolve("a.jpg", "s3://inbox") == "s3://inbox/a.jpg"
    assert resolve("deep/a.jpg", "s3://inbox/sets") == "s3://inbox/sets/deep/a.jpg"
    assert resolve("a.jpg", "/") == "/a.jpg"
    assert resolve("/data/a.jpg", "s3://inbox") == "/data/a.jpg"
    assert resolve("s3://other/a.jpg", "/data") == "s3://other/a.jpg"
    assert resolve("data:image/png;base64,AA", "/data") == "data:image/png;base64,AA"
    assert resolve("12:30.jpg", "/data") == "/data/12:30.jpg"
    assert resolve("", "/data") == ""


def test_parent_and_join_are_inverse():
    for uri in ("s3://inbox/a.jpg", "s3://inbox/deep/a.jpg", "/a.jpg", "/data/a.jpg"):
        assert join_uri(parent(uri), uri.rpartition("/")[2]) == uri
    assert parent("s3://inbox/a.jpg") == "s3://inbox"


def test_naming_an_object_allows_its_bucket_or_folder():
    assert bucket_or_folder("s3://inbox/deep/a.jpg") == "s3://inbox"
    assert bucket_or_folder("/data/deep/a.jpg") == "/data/deep"
    assert bucket_or_folder("/data/deep/") == "/data/deep"


@pytest.mark.parametrize(
    ("uri", "stem"),
    [
        ("s3://inbox/photos/a b+c%20é.jpg", "a-b-c-20e"),
        ("/data/.hidden", "hidden"),
        ("/data/日本.jpg", "unnamed"),
        ("/data/...", "unnamed"),
        ("/data/-rf.jpg", "rf"),
        ("/data/archive.tar.gz", "archive.tar"),
        ("/data/folder/", "folder"),
        ("/data/" + "x" * 300 + ".jpg", "x" * 64),
    ],
)
def test_a_stem_is_readable(uri: str, stem: str):
    assert safe_stem(uri) == stem


@given(st.text())
def test_a_stem_is_safe_whatever_the_uri(uri: str):
    stem = safe_stem(uri)
    assert 1 <= len(stem) <= 64
    assert stem[0] not in ".-"
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in stem)
