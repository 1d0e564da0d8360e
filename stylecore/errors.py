"""What can go wrong, as a tree. The message of each says what, where, and what to do.

* StylebatchError
  x JobError              the request is wrong; nothing was started (exit code 2)
  x RowError              one picture cannot be made; becomes a failed outcome with its ``code``
    + BadRequestError     trying again will not help
      - MissingError, ForbiddenError, NotAllowedError, BadKeyError
      - EmptyFileError, TooManyBytesError, TooManyPixelsError, ImageDecodeError, MaskSizeError
      - StyleUnknownError, NonFiniteError, CrashedError
    + PassingError        trying again may help
      - StorageTimeoutError, StorageFaultError (StorageFullError), OutOfMemoryError
      - DeadlineError, InternalError
  x StoreAwayError        the whole store fails or refuses us; nothing is wrong with the row
  x RunStoppedError       somebody asked the work to stop; nothing is wrong with the row

One ``except RowError`` around a row turns everything that is the row's own fault, or its
storage's, into an outcome; anything else propagates and the shard is tried again.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from stylecore.printable import printable

ImageReason = Literal[
    "not_an_image", "unsupported_format", "unsupported_mode", "truncated", "corrupt"
]


class StylebatchError(Exception):
    """Everything that this project raises on purpose."""


class JobError(StylebatchError):
    """The request is wrong: what, where and what to do, in at most ten lines."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, keeps_lines=True))


class RunStoppedError(StylebatchError):
    """The stop flag was set while a picture was being made."""


class StoreAwayError(StylebatchError):
    """The store of the run itself is away or refuses us; its rows stay to be done."""


class RowError(StylebatchError):
    """One row cannot be made. ``code`` is stable and is what reports count by."""

    code: str
    is_passing: ClassVar[bool]

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = printable(uri)
        self.reason = printable(reason)
        super().__init__(f"{self.uri}: {self.reason}" if uri else self.reason)

    def __reduce__(self) -> tuple[object, ...]:
        """Cross to another process, whatever arguments the subclass takes."""
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(
    kind: type[RowError], arguments: tuple[object, ...], values: dict[str, object]
) -> RowError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(values)
    return error


class BadRequestError(RowError):
    """Trying again will not help."""

    is_passing = False


class PassingError(RowError):
    """Trying again may help."""

    is_passing = True


class MissingError(BadRequestError):
    """There is no object of that name."""

    code = "missing"


class ForbiddenError(BadRequestError):
    """The store refuses us the object."""

    code = "forbidden"


class NotAllowedError(BadRequestError):
    """The URI names a scheme, bucket or folder that the job does not allow."""

    code = "not_allowed"


class BadKeyError(BadRequestError):
    """The URI is malformed, or its key does not survive every store."""

    code = "bad_key"


class EmptyFileError(BadRequestError):
    """The object has no bytes."""

    code = "empty"


class TooManyBytesError(BadRequestError):
    """The object is larger than the job's limit."""

    code = "too_many_bytes"


class TooManyPixelsError(BadRequestError):
    """The header announces more pixels than the job's limit."""

    code = "too_many_pixels"


class ImageDecodeError(BadRequestError):
    """The bytes are not a picture that we can read; the instance's ``code`` says in which way."""

    def __init__(self, uri: str, code: ImageReason, reason: str) -> None:
        super().__init__(uri, f"cannot decode image: {reason}")
        self.code = code


class MaskSizeError(BadRequestError):
    """A mask and its picture differ in size."""

    code = "mask_size"


class StyleUnknownError(BadRequestError):
    """The generator was not trained for the painting."""

    code = "style_unknown"


class NonFiniteError(BadRequestError):
    """The objective became NaN or infinite."""

    code = "non_finite"


class CrashedError(BadRequestError):
    """Making the picture ends the process that does it, by a fault outside of Python."""

    code = "crashed"


class StorageTimeoutError(PassingError):
    """The store did not answer in time, several times over."""

    code = "storage_timeout"


class StorageFaultError(PassingError):
    """The store answered with a fault, or with bytes that are not the object's."""

    code = "storage_error"


class StorageFullError(StorageFaultError):
    """There is no room left to write in: nothing is wrong with the row, and others will not fit."""


class OutOfMemoryError(PassingError):
    """The picture does not fit in memory, even alone."""

    code = "out_of_memory"


class DeadlineError(PassingError):
    """The time allowed for the picture ran out."""

    code = "deadline"


class InternalError(PassingError):
    """A fault of ours; the message names the exception, the log has the traceback."""

    code = "internal"


PASSING_CODES: Final = frozenset(kind.code for kind in PassingError.__subclasses__())
