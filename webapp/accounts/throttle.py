"""Slows the guessing of passwords: failed attempts are counted in the cache by name and address.

Left out: locking accounts for good. A count that expires cannot be used to keep somebody out for ever, and a login link
always works. Why three counts: one address tries one name, one address tries many names, many addresses try one name.
"""

import hashlib

from django.core.cache import cache

WINDOW_SECONDS = 15 * 60
PER_NAME_AND_ADDRESS = 5
PER_ADDRESS = 30
PER_NAME = 50


def is_blocked(name: str, address: str) -> bool:
    """Whether there were too many failures lately. Raises what the cache raises when it cannot be reached."""
    limits = _limits(name, address)
    counts = cache.get_many(limits)
    return any(counts.get(key, 0) >= limit for key, limit in limits.items())


def count_failure(name: str, address: str) -> None:
    """Count one failed attempt; a count ends `WINDOW_SECONDS` after its first failure."""
    for key in _limits(name, address):
        if not cache.add(key, 1, WINDOW_SECONDS):
            try:
                cache.incr(key)
            except ValueError:  # it expired between the two
                cache.add(key, 1, WINDOW_SECONDS)


def forget(name: str, address: str) -> None:
    """A right password ends the count of its own name from its own address, and no other."""
    cache.delete(next(iter(_limits(name, address))))


def _limits(name: str, address: str) -> dict[str, int]:
    name = name.casefold()
    asked = {
        f"both:{name}:{address}": PER_NAME_AND_ADDRESS,
        f"address:{address}": PER_ADDRESS,
        f"name:{name}": PER_NAME,
    }
    return {f"login:{hashlib.sha256(key.encode()).hexdigest()}": limit for key, limit in asked.items()}
