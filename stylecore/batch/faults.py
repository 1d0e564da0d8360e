"""A store's exceptions as errors of rows, which of them pass, and how a job reports them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from stylecore.errors import (
    BadKeyError,
    ForbiddenError,
    JobError,
    MissingError,
    PassingError,
    RowError,
    StorageFaultError,
    StorageFullError,
    StorageTimeoutError,
)

Answer = TypeVar("Answer")

# What s3fs makes of InternalError and unknown codes, SlowDown and ServiceUnavailable.
_PASSING_ERRNOS: Final = (errno.EIO, errno.EBUSY, errno.EREMOTEIO)
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
# Bytes that were changed or lost on their way to the store, which it refused.
_PASSING_CODES: Final = ("BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody")
_MAX_REASON_CHARS: Final = 600
_WORDLESS: Final = "it does not say why, which mostly means an expired token"
_NO_CREDENTIALS: Final = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class TornReadError(StorageFaultError):
    """The bytes that came are not those of one version of the object."""


class TornWriteError(StorageFaultError):
    """The bytes that the store has are not those that were sent."""


class ChangedObjectError(TornReadError):
    """Somebody wrote to the object while it was read."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, "it changed while it was read")


class WrongClockError(ForbiddenError):
    """The store refuses what is signed with another time than its own."""

    def __init__(self, uri: str) -> None:
        reason = "the store refuses access: this machine's clock differs too much from the store's"
        super().__init__(uri, reason)


_ADVICE: Final[tuple[tuple[type[RowError], str], ...]] = (
    (ChangedObjectError, "Start again when nobody writes to it."),
    (WrongClockError, "Set the clock: `timedatectl set-ntp true`, where systemd has it."),
    (MissingError, "Check the name."),
    (ForbiddenError, "Check the credentials (the AWS_ variables or the profile) and the policy."),
    (StorageFullError, "Free some, and start the job again."),
    (PassingError, "Check that the store is up and that AWS_ENDPOINT_URL is its address."),
)


def ask(uri: str, call: Callable[[], Answer], attempts: int) -> Answer:
    """Make a request of an S3 store, again after faults that pass, with jitter between.

    Raises:
        RowError: what the last answer means for a row that needs ``uri``.
    """
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.3, max=5),
        retry=retry_if_exception(is_transient),
        reraise=True,
    )
    with row_errors(uri):
        return retrying(call)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    import aiohttp
    from botocore import exceptions as boto

    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    passing = (
        TornReadError,
        TornWriteError,
        TimeoutError,
        ConnectionError,
        aiohttp.ClientError,
        boto.HTTPClientError,
        boto.ConnectionError,
        boto.FlexibleChecksumError,
        boto.IncompleteReadError,
    )
    if isinstance(error, passing) or getattr(error, "errno", None) in _PASSING_ERRNOS:
        return True
    return error_code(error) in _PASSING_CODES


@contextmanager
def row_errors(uri: str) -> Iterator[None]:
    """Turn what a store raises inside into the row error that it means for ``uri``."""
    try:
        yield
    except RowError:
        raise
    except Exception as error:
        translated = _translate(uri, error)
        if translated is None:
            raise
        raise translated from error


def _translate(uri: str, error: Exception) -> RowError | None:
    """The meaning of an exception; None for what is a fault of ours."""
    # Some of botocore's are OSErrors too, by way of the HTTP library.
    if isinstance(error, OSError) and "botocore" not in type(error).__module__:
        return _from_os_error(uri, error)
    return _from_client_error(uri, error)


def _from_os_error(uri: str, error: OSError) -> RowError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        missing = "bucket" if error_code(error) == "NoSuchBucket" else "object"
        return MissingError(uri, f"there is no such {missing}")
    if isinstance(error, IsADirectoryError):
        return MissingError(uri, "this is a folder, not an object")
    code = error_code(error)
    if code == "RequestTimeTooSkewed":
        return WrongClockError(uri)
    if code == "400" or isinstance(error, PermissionError):
        why = _WORDLESS if code == "400" else reason  # the answer to a HEAD has no room for words
        return ForbiddenError(uri, f"the store refuses access: {why}")
    if isinstance(error, TimeoutError):
        return StorageTimeoutError(uri, "the store did not answer in time")
    return _from_errno(uri, error, reason)


def _from_errno(uri: str, error: OSError, reason: str) -> RowError:
    if error.errno in NO_ROOM:
        return StorageFullError(uri, "no room is left there")
    if error.errno == errno.ENAMETOOLONG:
        return BadKeyError(uri, "the name is too long for this store")
    return StorageFaultError(uri, f"the store failed: {reason}")


def _from_client_error(uri: str, error: Exception) -> RowError | None:
    import aiohttp
    from botocore import exceptions as boto

    reason = " ".join(str(error).split())
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return ForbiddenError(uri, _NO_CREDENTIALS)
    if isinstance(error, boto.CredentialRetrievalError | boto.ProfileNotFound | boto.SSOError):
        return ForbiddenError(uri, reason)
    if isinstance(error, boto.ParamValidationError):
        return BadKeyError(uri, reason)
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectTimeoutError):
        return StorageTimeoutError(uri, reason)
    if isinstance(error, boto.BotoCoreError | boto.ClientError | aiohttp.ClientError):
        return StorageFaultError(uri, f"the store failed: {reason}")
    return None


def error_code(error: BaseException) -> str:
    """The S3 store's own code of an exception that s3fs translated, or an empty string."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def job_errors(what: str, uri: str | None = None) -> Iterator[None]:
    """Turn the row errors inside into a refusal of the whole job.

    Args:
        what: what the object is for the job, such as ``"manifest"``; starts the message.
        uri: what the person named, where the object at fault is another below it.
    """
    try:
        yield
    except RowError as error:
        advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "")
        reason = f"{what}: {uri or error.uri}: {error.reason}"[:_MAX_REASON_CHARS].rstrip(". ")
        raise JobError(f"{reason}. {advice}".strip()) from error
