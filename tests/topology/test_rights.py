"""TLS and ACL users: what the documents say is enough, and what is missing is named."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import redis

from streams.connection import connect, no_retry
from streams.errors import Refused
from streams.keys import Keys
from streams.log import AFTER
from tests.conftest import REPOSITORY, Server, free_port
from tests.topology.market import CONFIG, ticks, write
from tests.topology.servers import HOST, Cluster, binary, killed, wait_for
from tests.workers.fleet import Fleet, Servers, fleet, same_content, wait_until
from workers.connection import full_url
from workers.settings import RedisSettings
from workers.tied import tied

WIRE = (REPOSITORY / "docs" / "wire.md").read_text()
PASSWORD = "p@ss/word:1"  # such as a URL must quote
FAR_MS = 10**15  # behind every entry
OURS = "tests"  # the name of connections that are no fleet's
COUNTER = "def on_bar(bar, state):\n    log(bar.close)\n    signal('n', bar.close)\n"


@dataclass(frozen=True)
class User:
    """A server, or a cluster, as one of its users sees it."""

    server: Servers
    url: str
    nodes: tuple[Any, ...]  # a client of each server, which may do all
    rights: frozenset[str]

    @classmethod
    @contextmanager
    def of(cls, server: Servers, ports: Sequence[int], more: str) -> Iterator["User"]:
        """The user of the documents, with the rights that they name for `fleet selftest`."""
        nodes = tuple(
            redis.Redis(port=port, decode_responses=True, client_name=OURS) for port in ports
        )
        rights = f"{' '.join(documented())} ~selftest-* &selftest-* {more}".split()
        for node in nodes:
            node.execute_command("ACL SETUSER", "worker", "reset", "on", f">{PASSWORD}", *rights)
            node.execute_command("ACL LOG RESET")
        url = server.url.replace("://", "://worker@")
        yield cls(server, url, nodes, frozenset(rights))
        for node in nodes:
            with suppress(redis.ConnectionError):  # of a server that a test has killed
                node.acl_deluser("worker")
            node.close()

    def client(self, *, decode_responses: bool = True) -> Any:
        client = self.server.client(decode_responses=decode_responses)
        pools = [client] if isinstance(client, redis.Redis) else client.get_nodes()
        for pool in pools:
            of_node = pool if isinstance(pool, redis.Redis) else client.get_redis_connection(pool)
            of_node.connection_pool.connection_kwargs["client_name"] = OURS
            of_node.connection_pool.disconnect()
        return client

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            **CONFIG,
            "redis": {"url": self.url, "username": "worker", "password": PASSWORD},
            **more,
        }

    def denied(self) -> list[tuple[str, str]]:
        """What the servers refused: why, and which command or key."""
        logs = [entry for node in self.nodes for entry in node.execute_command("ACL LOG")]
        return [(entry["reason"], entry["object"]) for entry in logs]


@contextmanager
def unused(user: User) -> Iterator[set[str]]:
    """The rights that nobody has made use of, at the end of this."""
    left = set(user.rights)
    with ExitStack() as stack:
        for node in user.nodes:
            stack.enter_context(watched(node, left))
        yield left


@contextmanager
def watched(node: Any, left: set[str]) -> Iterator[None]:
    """Take those rights away that a command of a fleet needs, or one within its functions."""
    ours: set[str] = set()

    def watch() -> None:
        for asked in monitor.listen():
            words = asked["command"].split()
            if [word.lower() for word in words] == ["client", "setname", OURS]:
                ours.add(asked["client_port"])
            elif asked["client_port"] in ours:
                if words[-1] == "watched":
                    return
            else:
                # A copy: the other servers' threads take from it too.
                left.difference_update([one for one in tuple(left) if needs(words, one, groups)])

    groups = {
        right: {name.partition("|")[0] for name in node.execute_command("ACL CAT", right[2:])}
        for right in left
        if right.startswith("+@")
    }
    with node.monitor() as monitor:
        thread = Thread(target=watch)
        thread.start()
        yield
        node.connection_pool.disconnect(False)  # its name is seen where it is given
        node.echo("watched")
        thread.join()


def needs(words: Sequence[str], right: str, groups: dict[str, Collection[str]]) -> bool:
    """Whether a command needs a right as `ACL SETUSER` takes it, in Redis' own reading of it."""
    lower = [word.lower() for word in words]
    if right in groups:
        return lower[0] in groups[right]
    if right.startswith("+"):
        name = right[1:].split("|")
        return lower[: len(name)] == name
    if right.startswith("&") != (lower[0] in {"publish", "subscribe"}):
        return False
    return any(word.startswith(right[1:].rstrip("*")) for word in words[1:])


def documented() -> tuple[str, str]:
    """Commands and keys of the line that the documents give."""
    rights = re.search(r"ACL user needs `(.*?)` and its keys \(`(.*?)`\)", WIRE)
    assert rights
    return rights[1], rights[2]


def documented_of_a_cluster() -> str:
    rights = re.search(r"in a cluster `(.*?)` too", WIRE)
    assert rights
    return rights[1]


@pytest.fixture
def user(server: Server) -> Iterator[User]:
    with User.of(server, [server.port], "") as found:
        yield found


@pytest.mark.soak
def test_the_documented_rights_suffice_for_all_that_a_fleet_does_and_it_needs_them_all(
    user: User, tmp_path: Path
) -> None:
    with unused(user) as left:
        do_all(user, tmp_path)
    assert not left


@pytest.mark.soak
def test_the_documented_rights_suffice_and_are_needed_on_a_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    ports = [node.port for node in cluster.primaries]
    with User.of(cluster, ports, documented_of_a_cluster()) as user:
        with unused(user) as left:
            do_all(user, tmp_path)
        assert not left


def do_all(user: User, tmp_path: Path) -> None:
    """Everything that a fleet does, and no server has refused any of it."""
    with fleet(user, tmp_path, user.settings(shards=2)) as running:
        running.start("one")
        wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
        done(running, "backfill", write(tmp_path / "past.csv", ticks(0, 10)))
        done(running, "feed", write(tmp_path / "ticks.csv", ticks(10, 10)))
        running.await_caught_up()
        path = tmp_path / "counter.py"
        path.write_text(COUNTER)
        done(running, "script", "put", "counter", str(path), "--tenant", "desk")
        running.push(ticks(20, 2))
        done(running, "script", "list")
        done(running, "script", "log", "counter")
        done(running, "script", "rm", "counter")
        done(running, "tail", "signals", "--from", "start", "--count", "3")
        for command in ("status", "doctor", "selftest"):
            done(running, command)
        done(running, "top", "--count", "1")
        with user.client(decode_responses=False) as client:  # the chunks of a snapshot are no text
            wait_until(lambda: client.hexists(Keys().snapshot(0), "entry"), "a snapshot is there")
        running.await_caught_up()
        running.start("two")
        wait_until(lambda: set(running.owners()) == {"one", "two"}, "each has a share")
        assert running.stop("one") == 0
        wait_until(lambda: set(running.owners()) == {"two"}, "what is left is taken over")
        assert running.stop("two") == 0
        with user.client() as client:  # what a worker decided that died before its commit
            client.xadd(Keys().shed(0), {AFTER: f"{FAR_MS}-0", "payload": "{}"})
        running.start("three")
        wait_until(lambda: set(running.owners()) == {"three"}, "it is taken back by the next")
        assert running.stop("three") == 0
    assert user.denied() == []


def done(running: Fleet, *arguments: str) -> None:
    ended = running.run(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_refusal_is_told_as_the_documents_quote_it(user: User, tmp_path: Path) -> None:
    quoted = re.search(r"What is missing is named: `(.* run the '(.*?)' command)`", WIRE)
    assert quoted
    user.nodes[0].execute_command("ACL SETUSER worker", f"-{quoted[2]}")
    with fleet(user, tmp_path, user.settings(shards=2)) as running:
        ended = running.run("doctor")
    assert ended.returncode == 1
    assert ended.stderr == f"fleet: {quoted[1]}\n"


@pytest.mark.parametrize("missing", ["function|load", "xinfo"])
def test_a_right_that_is_missing_is_named(user: User, tmp_path: Path, missing: str) -> None:
    user.nodes[0].execute_command("ACL SETUSER worker", f"-{missing}")
    with fleet(user, tmp_path, user.settings(shards=2)) as running:
        running.start("one")
        said = f"no permissions to run the '{missing}"
        wait_until(lambda: said in running.log("one"), "the log names it")


@pytest.mark.parametrize(
    ("login", "given"),
    [
        ("", {"username": "worker"}),
        (":secret@", {"username": "worker"}),
        ("worker@", {"password": "secret"}),
        ("other:wrong@", {"username": "worker", "password": "secret"}),
    ],
)
def test_user_and_password_may_come_from_url_and_settings(
    server: Server, login: str, given: dict[str, Any]
) -> None:
    with server.client() as client:
        secret = ">secret" if "secret" in (login + str(given)) else "nopass"
        client.execute_command("ACL SETUSER", "worker", "reset", "on", secret, "~*", "+@all")
        url = server.url.replace("://", f"://{login}")
        with connect(full_url(RedisSettings(url=url, **given))) as link:
            assert link.client.acl_whoami() == "worker"
        client.acl_deluser("worker")


@dataclass(frozen=True)
class Secure:
    """A server that speaks TLS alone, and the authorities that have and have not signed it."""

    port: int
    ca: Path
    other_ca: Path

    @property
    def url(self) -> str:
        return f"rediss://{HOST}:{self.port}/0"

    def client(self, *, decode_responses: bool = True) -> redis.Redis:
        return redis.Redis.from_url(
            self.url, decode_responses=decode_responses, ssl_ca_certs=str(self.ca)
        )


def openssl(*words: Any) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    """A new authority: its certificate; the key stands beside it."""
    key, found = folder / f"{name}.key", folder / f"{name}.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key)
    openssl("req", "-x509", *made, "-out", found, "-days", "2", "-subj", f"/CN={name}")
    return found


def certificate(folder: Path, ca: Path) -> tuple[Path, Path]:
    """Certificate and key of a server on the loopback address."""
    key, request, found = folder / "server.key", folder / "server.csr", folder / "server.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key)
    openssl("req", *made, "-out", request, "-subj", "/CN=server")
    names = folder / "names"
    names.write_text(f"subjectAltName=IP:{HOST},DNS:localhost\n")
    signer = ("-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial")
    openssl("x509", "-req", "-in", request, *signer, "-out", found, "-days", 2, "-extfile", names)
    return found, key


def certified(folder: Path) -> tuple[Path, list[str]]:
    """An authority, and the options of a server whose certificate it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder.mkdir()
    ca = authority(folder, "ours")
    cert, key = certificate(folder, ca)
    options = ["--tls-cert-file", str(cert), "--tls-key-file", str(key)]
    return ca, [*options, "--tls-ca-cert-file", str(ca), "--tls-auth-clients", "no"]


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    path, folder = binary("redis7"), tmp_path / "tls"
    ca, options = certified(folder)
    port = free_port()
    command = [path, "--port", "0", "--tls-port", str(port), "--bind", HOST, "--dir", str(folder)]
    process = subprocess.Popen(tied([*command, "--save", "", *options]), stdout=subprocess.DEVNULL)
    served = Secure(port, ca, authority(folder, "theirs"))

    def answers() -> bool:
        with redis.Redis.from_url(served.url, ssl_ca_certs=str(ca), retry=no_retry()) as client:
            return bool(client.ping())

    wait_for(answers, "the server speaks TLS")
    yield served
    process.kill()
    process.wait()


@pytest.mark.soak
def test_a_fleet_over_tls_publishes_what_replay_gives(secure: Secure, tmp_path: Path) -> None:
    publishes_what_replay_gives(secure, secure.ca, tmp_path)


@pytest.mark.soak
def test_a_fleet_on_a_cluster_over_tls_publishes_what_replay_gives(tmp_path: Path) -> None:
    ca, options = certified(tmp_path / "tls")
    with killed(Cluster("redis7", tmp_path / "servers", tls=options)) as cluster:
        publishes_what_replay_gives(cluster, ca, tmp_path)


def publishes_what_replay_gives(servers: Servers, ca: Path, tmp_path: Path) -> None:
    settings = {**CONFIG, "redis": {"url": servers.url, "ca_file": str(ca)}}
    with fleet(servers, tmp_path, settings) as running:
        running.start("one")
        wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
        file = write(tmp_path / "ticks.csv", ticks(0, 20))
        done(running, "feed", file)
        running.await_caught_up()
        running.assert_no_holes()
        expected = running.replayed([file])
        assert same_content(running.published("values")) == same_content(expected["values"])
        done(running, "tail", "values", "--from", "start", "--count", "3")


def test_a_certificate_of_an_unknown_authority_is_refused_and_said(secure: Secure) -> None:
    for url in (f"{secure.url}?ssl_ca_certs={secure.other_ca}", secure.url):
        with pytest.raises(Refused, match=r"certificate verify failed.*redis\.ca_file"):
            connect(url)
