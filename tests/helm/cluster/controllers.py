"""What makes pods of Deployments and StatefulSets, and tells how far they are."""

import copy
import hashlib
import json
import math
import os
from threading import Event, Thread
from typing import Any

from tests.helm.chart import Json, selects
from tests.helm.cluster.api import delete
from tests.helm.cluster.kinds import NATIVE, Kind
from tests.helm.cluster.store import Name, Store

LOOK_S = 0.2
KINDS = {kind.name: kind for kind in NATIVE}


class Controllers:
    """A thread that brings the pods to what the objects say, after every event."""

    def __init__(self, store: Store) -> None:
        self.store, self.stopping = store, Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join()

    def _run(self) -> None:
        at = -1
        while not self.stopping.is_set():
            with self.store.changed:
                if self.store.version == at:
                    self.store.changed.wait(LOOK_S)
                at = self.store.version
                for deployment in self.store.every("Deployment"):
                    self._roll_out(deployment)
                for replica_set in self.store.every("ReplicaSet"):
                    self._replicate(replica_set)
                for stateful_set in self.store.every("StatefulSet"):
                    self._keep_one(stateful_set)

    def _roll_out(self, deployment: Json) -> None:
        spec, name = deployment["spec"], deployment["metadata"]["name"]
        hashed = _hash(spec["template"])
        sets = [s for s in self.store.every("ReplicaSet") if _belongs(s, deployment)]
        new = next((s for s in sets if s["metadata"]["name"] == f"{name}-{hashed}"), None)
        if new is None:
            new = self._replica_set(deployment, hashed)
            sets.append(new)
        old = [s for s in sets if s is not new]
        strategy = spec["strategy"]["rollingUpdate"]
        assert strategy["maxUnavailable"] == 0
        most = spec["replicas"] + _surge(strategy["maxSurge"], spec["replicas"])
        kept = sum(s["spec"]["replicas"] for s in old)
        room = max(new["spec"]["replicas"], most - kept)
        self._scale(new, min(spec["replicas"], room))
        ready = sum(len(self._pods(s, ready=True)) for s in sets)
        spare = ready - spec["replicas"]
        for replica_set in old:
            going = sum(1 for pod in self._pods(replica_set) if not _ready(pod))
            going += max(0, min(spare, replica_set["spec"]["replicas"] - going))
            spare -= going
            self._scale(replica_set, max(0, replica_set["spec"]["replicas"] - going))
        self._tell_deployment(deployment, new, sets)

    def _replica_set(self, deployment: Json, hashed: str) -> Json:
        metadata, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = hashed
        selector = copy.deepcopy(deployment["spec"]["selector"])
        selector["matchLabels"]["pod-template-hash"] = hashed
        return self._create(
            deployment,
            "ReplicaSet",
            f"{metadata['name']}-{hashed}",
            {
                "apiVersion": "apps/v1",
                "metadata": {"labels": template["metadata"]["labels"]},
                "spec": {"replicas": 0, "selector": selector, "template": template},
            },
        )

    def _scale(self, replica_set: Json, replicas: int) -> None:
        if replica_set["spec"]["replicas"] != replicas:
            replica_set["spec"]["replicas"] = replicas
            self.store.replace(_name(replica_set), copy.deepcopy(replica_set))

    def _tell_deployment(self, deployment: Json, new: Json, sets: list[Json]) -> None:
        pods = [pod for s in sets for pod in self._pods(s)]
        ready, updated = sum(map(_ready, pods)), len(self._pods(new))
        wanted = deployment["spec"]["replicas"]
        done = len(self._pods(new, ready=True)) >= wanted and len(pods) == updated
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        conditions = [
            {"type": "Available", "status": str(ready >= wanted), "reason": "Minimum"},
            {"type": "Progressing", "status": "True", "reason": reason},
        ]
        counts = {"replicas": len(pods), "updatedReplicas": updated, "conditions": conditions}
        self._tell(deployment, counts | {"readyReplicas": ready, "availableReplicas": ready})

    def _replicate(self, replica_set: Json) -> None:
        if self.store.find(_name(replica_set)) is None:
            return
        replica_set = self.store.get(_name(replica_set))
        pods, replicas = self._pods(replica_set), replica_set["spec"]["replicas"]
        for _ in range(replicas - len(pods)):
            name = f"{replica_set['metadata']['name']}-{os.urandom(3).hex()[:5]}"
            self._pod(replica_set, name)
        for pod in sorted(pods, key=_ready)[: max(0, len(pods) - replicas)]:
            delete(self.store, _name(pod))
        pods = self._pods(replica_set)
        ready = sum(map(_ready, pods))
        counts = {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
        self._tell(replica_set, counts)

    def _keep_one(self, stateful_set: Json) -> None:
        spec, name = stateful_set["spec"], stateful_set["metadata"]["name"]
        assert spec["replicas"] == 1
        hashed = _hash(spec["template"])
        for claim in spec.get("volumeClaimTemplates", []):
            self._claim(stateful_set, f"{claim['metadata']['name']}-{name}-0", claim)
        mine = [pod for pod in self.store.every("Pod") if _belongs(pod, stateful_set)]
        for pod in mine:
            if pod["metadata"]["labels"]["controller-revision-hash"] != hashed:
                delete(self.store, _name(pod))
        if not mine:
            self._pod(stateful_set, f"{name}-0", {"controller-revision-hash": hashed})
        ready = sum(map(_ready, mine))
        counts = dict.fromkeys(("replicas", "currentReplicas", "updatedReplicas"), len(mine))
        revisions = {"currentRevision": hashed, "updateRevision": hashed}
        self._tell(
            stateful_set,
            {**counts, **revisions, "readyReplicas": ready, "availableReplicas": ready},
        )

    def _claim(self, owner: Json, name: str, claim: Json) -> None:
        namespace = owner["metadata"]["namespace"]
        found = Name(KINDS["PersistentVolumeClaim"], namespace, name)
        if self.store.find(found) is None:
            labels = owner["spec"]["selector"]["matchLabels"]
            document = {**claim, "metadata": {"name": name, "labels": labels}}
            self.store.create(found, document)
            self.store.write_status(found, {"phase": "Bound"})

    def _pod(self, owner: Json, name: str, labels: Json | None = None) -> None:
        template = copy.deepcopy(owner["spec"]["template"])
        template["metadata"].setdefault("labels", {}).update(labels or {})
        self._create(owner, "Pod", name, {"apiVersion": "v1", **template})

    def _create(self, owner: Json, kind: str, name: str, document: Json) -> Json:
        metadata = owner["metadata"]
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
        reference |= {"name": metadata["name"], "uid": metadata["uid"]}
        document["kind"] = kind
        document["metadata"] |= {"name": name, "ownerReferences": [reference]}
        return self.store.create(Name(KINDS[kind], metadata["namespace"], name), document)

    def _pods(self, replica_set: Json, *, ready: bool = False) -> list[Json]:
        """Pods of a set that are not on their way out."""
        return [
            pod
            for pod in self.store.every("Pod")
            if _belongs(pod, replica_set)
            and "deletionTimestamp" not in pod["metadata"]
            and selects(replica_set["spec"]["selector"], pod["metadata"]["labels"])
            and (_ready(pod) or not ready)
        ]

    def _tell(self, document: Json, status: Json) -> None:
        generation = {"observedGeneration": document["metadata"]["generation"]}
        self.store.write_status(_name(document), {**generation, **status})


def _name(document: Json) -> Name:
    kind: Kind = KINDS[document["kind"]]
    return Name(kind, document["metadata"]["namespace"], document["metadata"]["name"])


def _belongs(document: Json, owner: Json) -> bool:
    references = document["metadata"].get("ownerReferences", [])
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in references)


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return {"type": "Ready", "status": "True"} in conditions


def _surge(most: Any, replicas: int) -> int:
    if isinstance(most, int):
        return most
    return math.ceil(int(most.removesuffix("%")) * replicas / 100)


def _hash(template: Json) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
