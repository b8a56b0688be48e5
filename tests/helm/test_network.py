"""Network policies deny everything but what each pod needs, in both directions."""

from typing import Any

import pytest

from tests.helm.chart import VALUE_SETS, Json, of_kind, pods, render, selects, with_value

GUARDED = [values for values in VALUE_SETS if values != "bare"]


def rules(documents: tuple[Json, ...], component: str, direction: str) -> list[Json]:
    """Everything that some policy allows a pod; the policies add up."""
    labels = pods(documents)[component]["metadata"]["labels"]
    return [
        rule
        for policy in of_kind(documents, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get(direction, [])
    ]


def ports(found: list[Json]) -> set[Any]:
    return {port["port"] for rule in found for port in rule["ports"]}


@pytest.mark.parametrize("values", GUARDED)
def test_every_pod_is_denied_both_ways_by_default(values: str) -> None:
    documents = render(values)
    for pod in pods(documents).values():
        denied = [
            set(policy["spec"]["policyTypes"])
            for policy in of_kind(documents, "NetworkPolicy")
            if selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])
            and not {"ingress", "egress"} & policy["spec"].keys()
        ]
        assert {"Ingress", "Egress"} in denied


@pytest.mark.parametrize("values", GUARDED)
def test_no_rule_is_open_on_all_ports(values: str) -> None:
    documents = render(values)
    for component in pods(documents):
        for direction in ("ingress", "egress"):
            assert all(rule["ports"] for rule in rules(documents, component, direction))


@pytest.mark.parametrize(
    ("values", "expected"),
    [("tryout", ["monitoring"]), ("keda", ["monitoring", "keda"]), ("hpa", ["monitoring"])],
)
def test_only_monitoring_and_a_keda_that_asks_may_reach_a_worker(
    values: str, expected: list[str]
) -> None:
    [rule] = rules(render(values), "worker", "ingress")
    namespaces = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in rule["from"]
    ]
    assert namespaces == expected
    assert ports([rule]) == {"http"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("tryout", {53, 6379}),
        ("tls-acl", {53, 6380}),
        ("secret-url", {53, 6380, 6381}),
        ("sentinel", {53, 26379, 26380, 6379}),  # the sentinels, and the server that they name
        ("cluster", {53, 7000, 7001, 7002}),
        ("openshift", {5353, 6379}),
        ("everything", {53, 6379, 4317}),
        ("traces", {53, 6379, 4318}),
    ],
)
def test_a_worker_reaches_names_and_redis_and_what_was_asked_for(
    values: str, expected: set[int]
) -> None:
    assert ports(rules(render(values), "worker", "egress")) == expected
    assert ports(rules(render(values), "selftest", "egress")) == expected - {4317, 4318}


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://a", 80), ("https://a/otlp", 443), ("http://a.b:4318", 4318), ("http://[::1]:1", 1)],
)
def test_a_worker_reaches_its_collector_and_nothing_else_on_that_port(
    endpoint: str, port: int
) -> None:
    documents = render("traces", with_value("telemetry.endpoint", endpoint))
    [rule] = [r for r in rules(documents, "worker", "egress") if port in ports([r])]
    assert ports([rule]) == {port}
    [peer] = rule["to"]
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert namespace == "monitoring"


def test_redis_can_be_narrowed_to_its_addresses() -> None:
    found = rules(render("tls-acl"), "worker", "egress")
    assert {"ipBlock": {"cidr": "10.1.0.0/16"}} in [peer for rule in found for peer in rule["to"]]


@pytest.mark.parametrize("values", ["tryout", "valkey-streams"])
def test_the_charts_own_server_hears_only_its_clients_and_calls_nobody(values: str) -> None:
    documents = render(values)
    assert not rules(documents, "valkey", "egress")
    [rule] = rules(documents, "valkey", "ingress")
    within = [peer["podSelector"] for peer in rule["from"] if "podSelector" in peer]
    for component, pod in pods(documents).items():
        heard = any(selects(selector, pod["metadata"]["labels"]) for selector in within)
        assert heard == (component != "valkey")
    asked_by_keda = any("namespaceSelector" in peer for peer in rule["from"])
    assert asked_by_keda == (values == "valkey-streams")


def test_policies_can_be_left_to_someone_else() -> None:
    off = with_value("networkPolicy.enabled", False)
    assert not of_kind(render("tryout", off), "NetworkPolicy")
