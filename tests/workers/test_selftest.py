"""The self-test of a set-up: it passes where values are right, and leaves nothing behind."""

import pytest

from streams.connection import connect
from tests.conftest import Server
from workers import selftest
from workers.settings import Settings


def test_a_good_server_passes_and_nothing_is_left_behind(server: Server) -> None:
    link = connect(server.url)
    try:
        assert selftest.run(link, Settings(), seconds=60.0) == 2 * selftest.BARS
    finally:
        link.close()
    with server.client() as client:
        assert client.keys("*") == []


def test_a_value_that_is_off_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "BOUND", selftest.BOUND + 0.5)  # another truth than the plan's
    link = connect(server.url)
    try:
        with pytest.raises(selftest.SelfTestError, match=r"SELF-A, bar \d+ of 24: signal `above`"):
            selftest.run(link, Settings(), seconds=60.0)
    finally:
        link.close()
