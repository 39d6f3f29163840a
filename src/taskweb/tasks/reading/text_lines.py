"""Lines of text from bytes, with their numbers; no line may be endless."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from taskweb.errors import InputError

MOST_BYTES_A_LINE = 16 * 1024 * 1024
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def text_lines(stream: IO[bytes], origin: str) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text with their ends, numbered from 1; a byte order mark is left out. Raises InputError."""
    number = 0
    while line := stream.readline(MOST_BYTES_A_LINE + 1):
        number += 1
        if len(line) > MOST_BYTES_A_LINE:
            raise InputError(
                f"{origin}, line {number} is longer than {MOST_BYTES_A_LINE // 2**20} MiB. Each example is one line; is this "
                "the right file?"
            )
        if number == 1 and line.startswith(_UTF_16):
            raise InputError(f"{origin} is UTF-16 text. Save it as UTF-8.")
        if b"\0" in line:
            raise InputError(
                f"{origin}, line {number} contains a zero byte, so this is not a text file. Give JSON, CSV or Parquet."
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as fault:
            raise InputError(
                f"{origin}, line {number} is not UTF-8 text (byte {fault.start + 1} is 0x{line[fault.start]:02x}). Save it as "
                "UTF-8."
            ) from None
        yield number, text
