"""A network that takes its time, between the browser and a server on this machine."""

from __future__ import annotations

import asyncio
import threading
from asyncio import Queue, StreamReader, StreamWriter
from contextlib import suppress

PIECE = 2**16
"""Bytes that are read at once, at most."""


class Delay:
    """Passes on what it hears on a port of its own, each piece half of a round trip later.

    It works in a thread of its own. What is on its way keeps its time and its order when the
    round trip is changed.

    Parameters
    ----------
    port
        Where the server listens, on this machine.

    Attributes
    ----------
    port : where this listens.
    round_trip : milliseconds there and back that are added; may be changed at any time.
    """

    def __init__(self, port: int, round_trip: float = 0.0) -> None:
        self.round_trip = round_trip
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Delay:
        self._thread.start()
        begun = asyncio.start_server(self._connect, "127.0.0.1", 0, limit=PIECE)
        self._listening = asyncio.run_coroutine_threadsafe(begun, self._loop).result()
        self.port: int = self._listening.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._listening.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):  # no server: the connection is closed
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers.add(far_writer)
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
            self._close(far_writer)
        self._close(writer)

    def _close(self, writer: StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Write what is read when it is due; an empty piece is the end of all."""
        under_way: Queue[tuple[float, bytes]] = Queue()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._collect(reader, under_way))
            both.create_task(self._deliver(under_way, writer))

    async def _collect(self, reader: StreamReader, under_way: Queue[tuple[float, bytes]]) -> None:
        piece = b"-"
        while piece:
            try:
                piece = await reader.read(PIECE)
            except ConnectionError:
                piece = b""
            under_way.put_nowait((self._loop.time() + self.round_trip / 2000, piece))

    async def _deliver(self, under_way: Queue[tuple[float, bytes]], writer: StreamWriter) -> None:
        with suppress(ConnectionError):  # who has gone hears no more
            while True:
                due, piece = await under_way.get()
                if due > self._loop.time():
                    await asyncio.sleep(due - self._loop.time())
                if not piece:
                    writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()
