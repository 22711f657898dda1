"""What is sent through the benchmarks' slow network arrives, in order, and late enough."""

import socket
import socketserver
import threading
from contextlib import suppress
from time import perf_counter

import pytest

from benchmarks.measuring.delay import Delay


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while piece := self.request.recv(2**16):
            self.request.sendall(piece)


@pytest.fixture(scope="module")
def echo():
    """The port of a server that sends back whatever it hears."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def connect(delay):
    return socket.create_connection(("127.0.0.1", delay.port), timeout=10)


def hear(connection, count):
    heard = bytearray()
    while len(heard) < count:
        piece = connection.recv(2**16)
        assert piece, "the connection was closed"
        heard += piece
    return bytes(heard)


def timed(connection, sent):
    begun = perf_counter()
    connection.sendall(sent)
    heard = hear(connection, len(sent))
    return heard, 1000 * (perf_counter() - begun)


@pytest.mark.parametrize("round_trip", [0, 60])
def test_there_and_back_takes_at_least_what_is_asked(echo, round_trip):
    with Delay(echo, round_trip) as delay, connect(delay) as connection:
        times = []
        for number in range(3):
            heard, time = timed(connection, b"%d" % number)
            assert heard == b"%d" % number
            times.append(time)
    assert min(times) >= round_trip
    assert min(times) < round_trip + 50


def test_a_change_of_the_delay_holds_from_the_next_byte_on(echo):
    with Delay(echo) as delay, connect(delay) as connection:
        _, before = timed(connection, b"before")
        delay.round_trip = 100
        _, after = timed(connection, b"after")
    assert before < 100 <= after


def test_many_bytes_arrive_equal_and_in_order_though_the_delay_shrinks_under_way(echo):
    numbers = b"".join(b"%07d\n" % number for number in range(100_000))
    with Delay(echo, 80) as delay, connect(delay) as connection:
        sending = threading.Thread(target=connection.sendall, args=(numbers,))
        sending.start()
        delay.round_trip = 0
        heard = hear(connection, len(numbers))
        sending.join()
    assert heard == numbers


def test_two_connections_do_not_wait_for_each_other(echo):
    with Delay(echo, 60) as delay, connect(delay) as one, connect(delay) as other:
        begun = perf_counter()
        one.sendall(b"one")
        other.sendall(b"other")
        assert (hear(one, 3), hear(other, 5)) == (b"one", b"other")
        assert 1000 * (perf_counter() - begun) < 2 * 60


def test_the_end_of_one_side_reaches_the_other(echo):
    with Delay(echo, 20) as delay, connect(delay) as connection:
        connection.sendall(b"last")
        connection.shutdown(socket.SHUT_WR)
        assert hear(connection, 4) == b"last"
        assert connection.recv(1) == b""


def test_without_a_server_the_connection_is_closed():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with Delay(unused.getsockname()[1]) as delay, connect(delay) as connection:
            assert connection.recv(1) == b""


def test_the_end_of_the_delay_closes_what_is_connected(echo, capfd):
    with Delay(echo, 20) as delay:
        connection = connect(delay)
        timed(connection, b"heard")
    with connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""
    assert capfd.readouterr() == ("", "")
