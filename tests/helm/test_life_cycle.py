"""A release from install to uninstall; every pod is a process of this checkout, or of Valkey."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from streams.keys import Keys, shard_of
from streams.signals import Signal
from tests.conftest import Server
from tests.helm.chart import HELM, Json
from tests.helm.cluster import node
from tests.helm.cluster.cluster import Cluster
from tests.helm.cluster.kinds import MONITORING
from tests.workers.fleet import wait_until

NOON_NS = 1_763_812_800_000_000_000
BAR_S, SPAN = 60, 3
SYMBOLS = ("BTC-USD", "ETH-USD")
SHARDS = 2
FLEET: Json = {
    "config": {
        "shards": SHARDS,
        "worker": {"snapshot_s": 1, "drain_s": 3},
        "plans": {
            "core": {
                "timeframe": f"{BAR_S}s",
                "signals": {
                    "bar": {"when": "close > 0", "value": f"ema(close, {SPAN})", "every": "bar"}
                },
            }
        },
    },
    "selftest": {"timeoutSeconds": 100},
}
WAIT = ("--wait", "--timeout", "120s")

pytestmark = pytest.mark.timeout(400)


@contextmanager
def running(folder: Path, **options: object) -> Iterator[Cluster]:
    with Cluster(folder, custom=MONITORING, runs=True, **options) as cluster:  # type: ignore[arg-type]
        yield cluster


def done(cluster: Cluster, version: str, *arguments: str, **options: object) -> str:
    """What helm prints, once it has succeeded."""
    run = cluster.helm(version, *arguments, **options)  # type: ignore[arg-type]
    assert run.returncode == 0, f"{arguments}\n{run.stdout}\n{run.stderr}\n{cluster.logs()}"
    return run.stdout


class Feed:
    """A producer with one tick a bar of each symbol, and what must come of it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client, self.bars = client, 0

    def push(self, bars: int) -> None:
        for at in range(self.bars, self.bars + bars):
            for symbol in SYMBOLS:
                key = Keys().ticks(str(shard_of(symbol.encode(), SHARDS)))
                ts = NOON_NS + at * BAR_S * 10**9
                tick = {"symbol": symbol, "price": str(_price(at)), "ts": str(ts), "size": "1"}
                self.client.xadd(key, tick)
        self.bars += bars

    def await_signals(self) -> dict[str, list[Signal]]:
        """The signals of each shard, when every bar but the last, which is open, has its own."""
        wanted = len(SYMBOLS) * (self.bars - 1)
        wait_until(lambda: sum(map(len, self.signals().values())) >= wanted, "all is signalled")
        return self.signals()

    def signals(self) -> dict[str, list[Signal]]:
        return {
            str(shard): [
                Signal.decode(entry) for _, entry in self.client.xrange(Keys().signals(str(shard)))
            ]
            for shard in range(SHARDS)
        }

    def sources(self) -> set[str]:
        """Names of the plans and scripts that have spoken."""
        every = [signal for found in self.signals().values() for signal in found]
        return {signal.source.partition("@")[0] for signal in every}


def _price(at: int) -> float:
    return 100.0 + at * 7 % 11


def _averages(bars: int) -> list[float | None]:
    """The moving average at each bar's close, by its definition."""
    closes = [_price(at) for at in range(bars)]
    average = sum(closes[:SPAN]) / SPAN
    result: list[float | None] = [None] * (SPAN - 1) + [average]
    for close in closes[SPAN:]:
        average += 2 / (SPAN + 1) * (close - average)
        result.append(average)
    return result


def check(signals: dict[str, list[Signal]], bars: int) -> None:
    """Every signal once, counted without a hole, with the value that state of its own gives."""
    for found in signals.values():
        assert [signal.seq for signal in found] == list(range(1, len(found) + 1))
    for symbol in SYMBOLS:
        mine = [one for found in signals.values() for one in found if one.symbol == symbol]
        assert [(one.ts - NOON_NS) // 10**9 // BAR_S for one in mine] == list(range(1, bars + 1))
        assert [one.value for one in mine] == pytest.approx(_averages(bars), nan_ok=True)


def test_a_release_is_installed_tested_upgraded_rolled_back_and_removed(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        given = {**FLEET, "valkey": {"enabled": True}, "worker": {"replicas": 2}}
        notes = done(cluster, HELM, "install", "demo", *WAIT, given=given)
        assert "2 workers for 2 shards" in notes
        address = cluster.node.address("demo-signalfleet-valkey")  # type: ignore[union-attr]
        with redis.Redis(address) as client:
            feed = Feed(client)
            feed.push(8)
            check(feed.await_signals(), 7)
            before = {name for kind, name in cluster.objects() if kind == "Pod"}

            said = done(cluster, HELM, "test", "demo", "--logs", "--timeout", "120s")
            assert "demo-signalfleet-selftest" in said
            assert "Phase:          Succeeded" in said
            assert "48 bars and their signals are right" in said

            # In the config map alone: only its checksum makes the pods new ones.
            later = {**given, "extraConfig": {"worker": {"grace_ms": 250}}}
            feed.push(1)
            done(cluster, HELM, "upgrade", "demo", *WAIT, given=later)
            cluster.await_ended()
            pods = {name for kind, name in cluster.objects() if kind == "Pod"}
            assert before & pods == {"demo-signalfleet-valkey-0"}
            feed.push(8)
            check(feed.await_signals(), 16)

            done(cluster, HELM, "rollback", "demo", *WAIT)
            feed.push(8)
            check(feed.await_signals(), 24)
        done(cluster, HELM, "uninstall", "demo", *WAIT)
        cluster.await_ended()
        # A test that has run is kept for its log; helm leaves it, and the documentation says so.
        assert cluster.objects() == {("Pod", "demo-signalfleet-selftest")}
        assert {code for name, code in cluster.node.exits if "valkey" not in name} == {0}  # type: ignore[union-attr]


# One of each major version; the rest of them is for the soak.
@pytest.mark.parametrize("version", ["3.18", pytest.param("4.1", marks=pytest.mark.soak)])
def test_every_helm_waits_for_real_workers_and_runs_the_test(
    version: str, server: Server, tmp_path: Path
) -> None:
    with running(tmp_path) as cluster, server.client() as client:
        given = {**FLEET, "redis": {"url": server.url}, "worker": {"replicas": 1}}
        done(cluster, version, "install", "demo", *WAIT, given=given)
        said = done(cluster, version, "test", "demo", "--logs", "--timeout", "120s")
        assert "48 bars and their signals are right" in said
        feed = Feed(redis.Redis.from_url(server.url))
        feed.push(4)
        feed.await_signals()
        done(cluster, version, "upgrade", "demo", *WAIT, given={**given, "logLevel": "debug"})
        done(cluster, version, "rollback", "demo", *WAIT)
        feed.push(4)
        check(feed.await_signals(), 7)
        done(cluster, version, "uninstall", "demo", *WAIT)
        assert client.xlen(Keys().signals("0")) + client.xlen(Keys().signals("1")) == 14


TAMPERED = (
    sys.executable,
    "-c",
    "import workers.selftest, workers.cli; workers.selftest.SPAN = 4; workers.cli.main()",
)


@pytest.mark.parametrize("version", ["3.18", HELM])
def test_helm_test_fails_when_a_value_is_off(version: str, server: Server, tmp_path: Path) -> None:
    with running(tmp_path, fleet=TAMPERED) as cluster:
        given = {**FLEET, "redis": {"url": server.url}, "worker": {"replicas": 0}}
        done(cluster, version, "install", "demo", given=given)
        run = cluster.helm(version, "test", "demo", "--logs", "--timeout", "100s")
        assert run.returncode != 0
        assert "SELF-A, bar 3 of 24: ema is" in run.stdout + run.stderr


def test_a_configuration_that_no_worker_takes_fails_install_and_test_and_is_named(
    server: Server, tmp_path: Path
) -> None:
    with running(tmp_path) as cluster:
        broken = {**FLEET, "extraConfig": {"worker": {"leese_ms": 1}}, "worker": {"replicas": 1}}
        given = {**broken, "redis": {"url": server.url}}
        run = cluster.helm(HELM, "install", "demo", "--wait", "--timeout", "5s", given=given)
        assert run.returncode != 0
        assert "demo-signalfleet not ready" in run.stderr
        said = "worker.leese_ms: unknown key"
        wait_until(lambda: said in cluster.logs(), "the worker has said why")
        run = cluster.helm(HELM, "test", "demo", "--logs", "--timeout", "60s")
        assert run.returncode != 0
        assert said in run.stdout + run.stderr


def test_a_rollout_is_not_held_up_by_a_worker_that_no_shard_is_left_for(
    server: Server, tmp_path: Path
) -> None:
    with running(tmp_path) as cluster:
        config = {**FLEET["config"], "shards": 1}
        given = {"config": config, "redis": {"url": server.url}, "worker": {"replicas": 1}}
        done(cluster, HELM, "install", "demo", *WAIT, given=given)
        # Until the old worker goes, its successor has nothing to own, and is ready all the same.
        done(cluster, HELM, "upgrade", "demo", *WAIT, given={**given, "logLevel": "debug"})


def test_the_volume_of_the_charts_own_server_outlives_the_release(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        cluster.put("Secret", "valkey-login", {"data": {"password": "aGlkZGVu"}})
        valkey = {"enabled": True, "existingSecret": {"name": "valkey-login"}}
        valkey["persistence"] = {"enabled": True}
        given = {"valkey": valkey, "worker": {"replicas": 0}}
        assert cluster.node is not None
        address = cluster.node.address("demo-signalfleet-valkey")
        done(cluster, HELM, "install", "demo", *WAIT, given=given)
        with redis.Redis(address, password="hidden") as client:
            client.set("kept", "here")
        done(cluster, HELM, "uninstall", "demo", *WAIT)
        cluster.await_ended()
        volume = ("PersistentVolumeClaim", "data-demo-signalfleet-valkey-0")
        assert cluster.objects() == {volume, ("Secret", "valkey-login")}
        labels = cluster.get(*volume)["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "demo"  # by which the docs delete it
        done(cluster, HELM, "install", "demo", *WAIT, given=given)
        with redis.Redis(address, password="hidden") as client:
            assert client.get("kept") == b"here"


def test_a_script_that_the_secrets_key_signed_speaks_in_the_release(
    server: Server, tmp_path: Path
) -> None:
    key, script = tmp_path / "scripts.key", tmp_path / "cheap.py"
    key.write_text("0123456789abcdef\n")
    script.write_text("def on_bar(bar, state):\n    return bar.close > 0\n")
    desk = {"plans": ["core"], "symbols": ["*"], "signals": ["*"]}
    scripts = {"tenants": {"desk": desk}, "poll_s": 0.2, "landlock_required": False}
    given = {
        "config": {**FLEET["config"], "scripts": scripts},
        "scripts": {"existingSecret": {"name": "fleet-scripts"}},
        "redis": {"url": server.url},
        "worker": {"replicas": 1},
    }
    with running(tmp_path) as cluster, server.client() as client:
        encoded = base64.b64encode(key.read_bytes()).decode()
        cluster.put("Secret", "fleet-scripts", {"data": {"scripts.key": encoded}})
        done(cluster, HELM, "install", "demo", *WAIT, given=given)
        config = tmp_path / "fleet.yaml"
        config.write_text(cluster.get("ConfigMap", "demo-signalfleet")["data"]["fleet.yaml"])
        put = (
            *("script", "put", "cheap", str(script)),
            "--tenant",
            "desk",
            "--config",
            str(config),
        )
        settings = {"FLEET_SCRIPTS__KEY_FILE": str(key), "FLEET_REDIS__URL": server.url}
        subprocess.run([*node.FLEET, *put], env={**os.environ, **settings}, check=True)
        wait_until(lambda: client.hlen(Keys().script_status) == SHARDS, "it is on every shard")
        feed = Feed(redis.Redis.from_url(server.url))
        feed.push(3)
        wait_until(lambda: feed.sources() == {"core", "cheap"}, "the script has spoken")
