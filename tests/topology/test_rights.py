"""TLS and ACL users: what the documents say is enough, and what is missing is named."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from streams.connection import connect, no_retry
from streams.errors import Refused
from tests.conftest import REPOSITORY, Server, free_port
from tests.topology.market import CONFIG, ticks, write
from tests.topology.servers import HOST, binary, wait_for
from tests.workers.fleet import Fleet, fleet, same_content, wait_until
from workers.tied import tied

PASSWORD = "p@ss/word:1"  # such as a URL must quote
COUNTER = "def on_bar(bar, state):\n    log(bar.close)\n    signal('n', bar.close)\n"


@dataclass(frozen=True)
class User:
    """A server as one of its users sees it."""

    server: Server
    url: str

    def client(self, *, decode_responses: bool = True) -> redis.Redis:
        return self.server.client(decode_responses=decode_responses)


def documented() -> tuple[str, str]:
    """Commands and keys of the line that the documents give."""
    text = (REPOSITORY / "docs" / "wire.md").read_text()
    rights = re.search(r"ACL user needs `(.*?)` and its keys \(`(.*?)`\)", text)
    assert rights
    return rights[1], rights[2]


@pytest.fixture
def user(server: Server) -> Iterator[User]:
    """The user of the documents, and the rights that they name for `fleet selftest`."""
    with server.client() as client:
        more = "~selftest-* &selftest-*"
        words = f"worker reset on >{PASSWORD} {' '.join(documented())} {more}".split()
        client.execute_command("ACL SETUSER", *words)
        client.execute_command("ACL LOG RESET")
        yield User(server, f"redis://worker@{HOST}:{server.port}/0")
        client.acl_deluser("worker")


@pytest.mark.soak
def test_the_documented_rights_suffice_for_all_that_a_fleet_does(
    user: User, tmp_path: Path
) -> None:
    secret = {"redis": {"url": user.url, "username": "worker", "password": PASSWORD}}
    with fleet(user, tmp_path, {**CONFIG, **secret, "shards": 2}) as running:
        running.start("one")
        wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
        file = write(tmp_path / "ticks.csv", ticks(0, 20))
        done(running, "feed", file)
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
        wait_until(lambda: "entry" in snapshot(user), "a snapshot is there")
        running.await_caught_up()
        assert running.stop("one") == 0
    with user.client() as client:
        denied = client.execute_command("ACL LOG")
        assert [(entry["reason"], entry["object"]) for entry in denied] == []


def done(running: Fleet, *arguments: str) -> None:
    ended = running.run(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def snapshot(user: User) -> dict[str, str]:
    with redis.Redis(port=user.server.port) as client:  # its chunks are no text
        return {name.decode(): "" for name in client.hkeys("snapshot:{0}")}


@pytest.mark.parametrize("missing", ["function|load", "xinfo"])
def test_a_right_that_is_missing_is_named(user: User, tmp_path: Path, missing: str) -> None:
    with user.client() as client:
        client.execute_command("ACL SETUSER worker", f"-{missing}")
    secret = {"redis": {"url": user.url, "username": "worker", "password": PASSWORD}}
    with fleet(user, tmp_path, {**CONFIG, **secret, "shards": 2}) as running:
        running.start("one")
        said = f"no permissions to run the '{missing}"
        wait_until(lambda: said in running.log("one"), "the log names it", 30)


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


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path, folder = binary("redis7"), tmp_path / "tls"
    folder.mkdir()
    ca, other = authority(folder, "ours"), authority(folder, "theirs")
    cert, key = certificate(folder, ca)
    port = free_port()
    command = [path, "--port", "0", "--tls-port", str(port), "--bind", HOST, "--dir", str(folder)]
    command += ["--tls-cert-file", str(cert), "--tls-key-file", str(key), "--save", ""]
    command += ["--tls-ca-cert-file", str(ca), "--tls-auth-clients", "no"]
    process = subprocess.Popen(tied(command), stdout=subprocess.DEVNULL)
    served = Secure(port, ca, other)

    def answers() -> bool:
        with redis.Redis.from_url(served.url, ssl_ca_certs=str(ca), retry=no_retry()) as client:
            return bool(client.ping())

    wait_for(answers, "the server speaks TLS")
    yield served
    process.kill()
    process.wait()


@pytest.mark.soak
def test_a_fleet_over_tls_publishes_what_replay_gives(secure: Secure, tmp_path: Path) -> None:
    settings = {"redis": {"url": secure.url, "ca_file": str(secure.ca)}, "shards": 2}
    with fleet(secure, tmp_path, {**CONFIG, **settings}) as running:
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
