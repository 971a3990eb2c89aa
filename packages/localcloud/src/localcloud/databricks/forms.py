"""Bodies of multipart/form-data (RFC 7578) by python-multipart: small ones, held in memory."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from localcloud.databricks import errors

_FILES = frozenset({"content"})


def parse_form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the fields and the files of a form, by name. Raises MALFORMED_REQUEST.

    A form that is cut off is refused: the parser returns the parts before the cut.
    """
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    ends: list[bool] = []

    def on_field(field: Field) -> None:
        if (name := _name(field.field_name)) in _FILES:  # without a file name
            files[name] = field.value or b""
        else:
            fields[name] = (field.value or b"").decode()

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        files[_name(file.field_name)] = file.file_object.read()
        file.close()

    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise errors.malformed("The multipart body has no boundary.")
    try:
        parser = FormParser(
            "multipart/form-data", on_field, on_file, on_end=lambda: ends.append(True), boundary=options[b"boundary"],
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        )  # fmt: skip
        parser.write(body)
        parser.finalize()
    except (FormParserError, UnicodeDecodeError) as error:
        raise errors.malformed(f"The multipart body cannot be parsed: {error}") from None
    if not ends:
        raise errors.malformed("The multipart body is cut off.")
    return fields, files


def _name(name: bytes | None) -> str:
    if not name:
        raise errors.malformed("A part of the multipart body has no name.")
    return name.decode()
