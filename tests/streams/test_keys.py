from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from streams.keys import Keys, shard_name, shard_of
from streams.records import EntryId


def test_the_default_fleet_writes_plain_keys() -> None:
    keys = Keys()
    assert (keys.ticks(7), keys.signals(7), keys.values("7")) == (
        "ticks:{7}",
        "signals:{7}",
        "values:{7}",
    )
    assert (keys.deadletter(7), keys.shard(7), keys.snapshot(7)) == (
        "deadletter:{7}",
        "shard:{7}",
        "snapshot:{7}",
    )
    assert (keys.workers, keys.topology, keys.wake("w1"), keys.group) == (
        "fleet:workers",
        "fleet:topology",
        "fleet:wake:w1",
        "fleet",
    )


def test_another_fleet_prefixes_all_that_it_writes_but_reads_the_same_ticks() -> None:
    keys = Keys("staging")
    assert keys.ticks(7) == "ticks:{7}"
    assert keys.signals(7) == "staging:signals:{7}"
    assert (keys.workers, keys.group) == ("staging:workers", "staging")


@given(st.text(min_size=1).filter(lambda text: not text.isdigit()))
def test_all_keys_of_a_foreign_source_are_in_its_hash_slot_or_it_is_refused(source: str) -> None:
    keys = Keys()
    try:
        outputs = [keys.signals(source), keys.shard(source), keys.snapshot(source)]
    except ValueError:
        assert "{" in source or "}" in source
        return
    slot = key_slot(source.encode("utf-8", "surrogatepass"))
    assert {key_slot(key.encode("utf-8", "surrogatepass")) for key in outputs} == {slot}
    assert len(set(outputs)) == 3


def test_a_source_with_a_tag_of_its_own_keeps_it() -> None:
    assert Keys().signals("md:{btc}:trades") == "signals:md:{btc}:trades"


@pytest.mark.parametrize("source", ["", "{7}", "a}b", "a{}b"])
def test_a_source_from_which_no_key_can_be_built_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="source key"):
        Keys().signals(source)


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "x" * 65, "a:b"])
def test_a_bad_fleet_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="fleet name"):
        Keys(name)


def test_a_symbol_lives_in_the_shard_that_any_language_can_compute() -> None:
    assert shard_of("BTC-USD", 16) == crc32(b"BTC-USD") % 16 == shard_of(b"BTC-USD", 16)


def test_a_shard_is_named_by_its_number_or_its_source() -> None:
    assert shard_name("ticks:{12}") == "12"
    assert shard_name("trades-X") == "trades-X"
    assert Keys().ticks(shard_name("ticks:{12}")) == "ticks:{12}"


def test_ids_order_as_the_server_orders_them() -> None:
    assert EntryId.parse("9-10") < EntryId.parse(b"10-2") < EntryId.parse("10-10")
    assert str(EntryId.parse("10")) == "10-0"
    with pytest.raises(ValueError, match="invalid literal"):
        EntryId.parse("x-1")
