from dataclasses import dataclass

from convviz_widgets.state import ByteCache


@dataclass(frozen=True)
class Block:
    nbytes: int


def test_the_least_recently_used_entry_goes_first():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("b", Block(40))
    cache.get("a")
    cache.put("c", Block(40))
    assert "a" in cache
    assert "b" not in cache
    assert cache.nbytes == 80


def test_the_entry_in_use_is_never_evicted():
    cache = ByteCache(budget=100)
    cache.put("small", Block(10))
    cache.put("huge", Block(1000))
    assert "huge" in cache
    assert len(cache) == 1


def test_reserved_bytes_count_against_the_budget():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("b", Block(40))
    cache.reserved = 50
    cache.trim()
    assert cache.room == 50
    assert "a" not in cache
    assert "b" in cache


def test_replacing_an_entry_counts_it_once():
    cache = ByteCache(budget=100)
    cache.put("a", Block(40))
    cache.put("a", Block(60))
    assert cache.nbytes == 60
