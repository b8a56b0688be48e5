"""How an API server changes an object: merge patch, strategic merge patch, server-side apply.

Which key tells the items of a list apart is read off Kubernetes' own definitions. A place in an
object is a tuple of field names and, within such a list, of an item's keys as (name, value) pairs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Json
from tests.helm.schemas import definition_of, definitions

type Place = tuple[Any, ...]

DIRECTIVE, ORDER, RETAIN = "$patch", "$setElementOrder/", "$retainKeys"


@dataclass(frozen=True)
class Shape:
    """What is known of a value by its definition; of a custom kind, nothing."""

    definition: Mapping[str, Any]

    @classmethod
    def of(cls, document: Json) -> "Shape":
        return cls(definition_of(document["apiVersion"], document["kind"]))

    def field(self, name: str) -> "Shape":
        return Shape(_resolved(self.definition.get("properties", {}).get(name, {})))

    @property
    def item(self) -> "Shape":
        return Shape(_resolved(self.definition.get("items", {})))

    @property
    def merge_key(self) -> str | None:
        """Of a list that a strategic merge patch merges."""
        merges = "merge" in self.definition.get("x-kubernetes-patch-strategy", "")
        return self.definition.get("x-kubernetes-patch-merge-key") if merges else None

    def identity(self, item: Json) -> Place | None:
        """What tells an item of this list apart for server-side apply; None where lists are one."""
        if self.definition.get("x-kubernetes-list-type") != "map":
            return None
        defaults = {"protocol": "TCP"}  # the only key of a list that may be left out
        keys = self.definition["x-kubernetes-list-map-keys"]
        return tuple((key, item.get(key, defaults.get(key))) for key in keys)


def _resolved(definition: Json) -> Json:
    reference = definition.get("$ref")
    if reference is None:
        return definition
    return {**definitions()[reference.removeprefix("#/$defs/")], **definition}


def merged(live: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386) applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def strategically_merged(shape: Shape, live: Any, patch: Json) -> Json:
    """A strategic merge patch applied: lists that have a key are merged by it."""
    kept = patch.get(RETAIN)
    result = {k: v for k, v in (live or {}).items() if kept is None or k in kept}
    if patch.get(DIRECTIVE) == "replace":
        result = {}
    orders = {k.removeprefix(ORDER): v for k, v in patch.items() if k.startswith(ORDER)}
    for name, value in patch.items():
        field = shape.field(name)
        if name.startswith("$"):
            assert name in {DIRECTIVE, RETAIN} or name.startswith(ORDER), name
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = strategically_merged(field, result.get(name), value)
        elif isinstance(value, list) and field.merge_key:
            result[name] = _merged_list(field, result.get(name) or [], value)
        else:
            result[name] = value
    for name, order in orders.items():
        key = shape.field(name).merge_key
        if key and name in result:
            places = {item[key]: at for at, item in enumerate(order)}
            result[name] = sorted(result[name], key=lambda i: places.get(i[key], len(places)))
    return result


def _merged_list(shape: Shape, live: list[Json], patch: list[Json]) -> list[Json]:
    key = shape.merge_key
    assert key is not None
    items = {item[key]: item for item in live}
    for change in patch:
        if change.get(DIRECTIVE) == "delete":
            items.pop(change[key], None)
        else:
            items[change[key]] = strategically_merged(shape.item, items.get(change[key]), change)
    return list(items.values())


def places(shape: Shape, value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place that a document says something about: what its writer owns by applying it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from places(shape.field(name), inner, (*at, name))
    elif isinstance(value, list) and value and shape.identity(value[0]) is not None:
        for item in value:
            yield from places(shape.item, item, (*at, shape.identity(item)))
    else:
        yield at


def value_at(value: Any, place: Place) -> Any:
    """What stands at a place; None for nothing."""
    for step in place:
        if isinstance(value, list):
            value = next((item for item in value if _is(item, step)), None)
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def applied(shape: Shape, live: Any, wanted: Any) -> Any:
    """`wanted` laid over `live`, list items matched by what tells them apart."""
    if isinstance(wanted, dict):
        over = live if isinstance(live, dict) else {}
        return {
            **over,
            **{k: applied(shape.field(k), over.get(k), v) for k, v in wanted.items()},
        }
    if isinstance(wanted, list) and wanted and shape.identity(wanted[0]) is not None:
        over = {shape.identity(item): item for item in live or []}
        for item in wanted:
            identity = shape.identity(item)
            over[identity] = applied(shape.item, over.get(identity), item)
        return list(over.values())
    return wanted


def without(value: Any, place: Place) -> Any:
    """The value with one place taken out, and with it what that leaves empty."""
    step, rest = place[0], place[1:]
    if isinstance(value, list):
        changed = [without(item, rest) if _is(item, step) else item for item in value]
        return [item for item in changed if not isinstance(item, dict) or _is_whole(item, step)]
    if not isinstance(value, dict) or step not in value:
        return value
    inner = without(value[step], rest) if rest else None
    others = {name: other for name, other in value.items() if name != step}
    return {**others, step: inner} if inner else others


def _is(item: Json, identity: Place) -> bool:
    return all(item.get(key) in {value, None} for key, value in identity)


def _is_whole(item: Json, identity: Place) -> bool:
    """An item that lost what tells it apart is gone."""
    return identity[0][0] in item
