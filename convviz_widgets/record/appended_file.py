"""A file that records are appended to: each as a whole or, on an error or interrupt, not at all."""

from __future__ import annotations

from typing import IO


class AppendedFile:
    """Writes at the end of a file as a whole or not at all.

    Parameters
    ----------
    file : open for writing without a buffer, at its end.
    size : its bytes so far.
    """

    def __init__(self, file: IO[bytes], size: int = 0) -> None:
        self._file, self._size = file, size

    def write(self, data: bytes) -> None:
        """Append bytes; after an error the file ends as it did before."""
        rest = memoryview(data)
        try:
            while rest:  # a disk that is almost full takes a part, and complains the next time
                rest = rest[self._file.write(rest) :]
        except BaseException:  # an interrupted write too
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
