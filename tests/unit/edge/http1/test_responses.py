"""The framing of responses."""

from jotgate.edge.http1.responses import HeadWriter, chunk
from jotgate.testing.ports import ManualClock


def test_a_head_has_status_date_fields_and_framing() -> None:
    head = HeadWriter(ManualClock()).head(404, b"A: b\r\n", b"Content-Length: 3\r\n", keep_alive=True)
    assert head == (
        b"HTTP/1.1 404 Not Found\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
        b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nA: b\r\nContent-Length: 3\r\n\r\n"
    )


def test_browsers_are_told_to_stay_with_tls_only_where_that_is_spoken() -> None:
    field = b"\r\nStrict-Transport-Security: max-age=31536000\r\n"
    assert field in HeadWriter(ManualClock(), hsts=True).head(200, b"", b"", keep_alive=True)
    assert field not in HeadWriter(ManualClock()).head(200, b"", b"", keep_alive=True)


def test_a_connection_that_ends_says_so() -> None:
    assert HeadWriter(ManualClock()).head(200, b"", b"", keep_alive=False).endswith(b"\r\nConnection: close\r\n\r\n")


def test_a_status_without_a_known_phrase_is_written_all_the_same() -> None:
    assert HeadWriter(ManualClock()).head(599, b"", b"", keep_alive=True).startswith(b"HTTP/1.1 599 \r\nDate")


def test_the_date_is_that_of_the_second() -> None:
    clock = ManualClock()
    writer = HeadWriter(clock)

    def date() -> bytes:
        return writer.head(200, b"", b"", keep_alive=True).split(b"\r\n")[1]

    first = date()
    clock.advance(0.9)
    assert date() == first
    clock.advance(0.1)
    assert date() == first.replace(b":00 GMT", b":01 GMT")


def test_a_chunk_has_its_length_in_hexadecimal_and_is_never_empty() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert chunk(b"") == b""
