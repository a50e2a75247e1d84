"""`multipart/form-data`, taken apart piece by piece (RFC 7578).

Bytes go in and events come out, so that no part of a form is ever held as a whole.
"""

from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from octomil.errors import BadRequestError, UnsupportedMediaError
from octomil.wire.texts import is_plain_text

_MAX_HEADER_BYTES = 16 * 1024
_MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins.

    Attributes:
        name: of the form's field.
        filename: without folders, and of characters that can be shown; None for a field that is no
            file.
    """

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is over."""


Event = PartBegin | PartData | PartEnd


class FormReader:
    """Turns the bytes of a form into events.

    Args:
        content_type: of the request.

    Raises:
        UnsupportedMediaError: it is no form of that kind.
        BadRequestError: it names no boundary.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMediaError("send the file as multipart/form-data, in the part `file`")
        boundary = options.get(b"boundary", b"")
        self._events: list[Event] = []
        self._header = (b"", b"")
        self._headers: dict[bytes, bytes] = {}
        self._is_over = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": lambda: self._events.append(PartEnd()),
                    "on_end": self._on_end,
                },
                max_header_size=_MAX_HEADER_BYTES,
            )
        except MultipartParseError as error:
            raise BadRequestError(f"the content type names no good boundary: {error}") from error
        if not boundary:
            raise BadRequestError("the content type names no boundary")

    def feed(self, data: bytes) -> list[Event]:
        """Return what some more bytes mean.

        Raises:
            BadRequestError: they are not what a form looks like.
        """
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise BadRequestError(f"the form is broken: {error}") from error
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Return if the form is over.

        Raises:
            BadRequestError: it was cut off.
        """
        if not self._is_over:
            raise BadRequestError("the form ends before its last boundary; send it again")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = (b"", b"")

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise BadRequestError("a part of the form has no name")
        filename = options.get(b"filename")
        self._events.append(
            PartBegin(
                name.decode(errors="replace"),
                None if filename is None else _plain_name(filename.decode(errors="replace")),
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _on_end(self) -> None:
        self._is_over = True


def _plain_name(filename: str) -> str:
    """Return a file's name as it may be kept and shown: of the sender's folders nothing."""
    name = filename.replace("\\", "/").rpartition("/")[2][:_MAX_NAME_CHARS]
    return "".join(each if is_plain_text(each) else "_" for each in name)
