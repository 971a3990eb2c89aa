"""multipart/form-data (RFC 7578), as far as workspace/import needs it: small bodies, held in memory."""

from __future__ import annotations

import re

from localcloud.databricks import errors


def parse(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """(fields, files) by name. Raises MALFORMED_REQUEST."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise errors.malformed("The multipart body has no boundary.")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    # Every delimiter follows a line end; the first one's is the end of the headers.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())
    for part in parts[1:]:
        if part.startswith(b"--"):
            return fields, files
        head, separator, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'content-disposition:[^\r\n]*?\bname="([^"]*)"', head, re.IGNORECASE)
        if not separator or name is None:
            raise errors.malformed("A part of the multipart body has no name.")
        key = name.group(1).decode()
        if re.search(rb'\bfilename="', head) or key == "content":
            files[key] = content
        else:
            fields[key] = content.decode()
    raise errors.malformed("The multipart body is cut off.")
