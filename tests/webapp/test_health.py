"""/healthz says which part is reachable, to anyone, and nothing else."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from webapp import health

pytestmark = pytest.mark.django_db


def test_all_is_well(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"database": True, "broker": True})


def test_an_absent_broker_is_told_without_its_address(client, monkeypatch):
    def absent(key):
        raise RedisConnectionError("redis://user:secret@host")

    monkeypatch.setattr(health.cache, "get", absent)
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"database": True, "broker": False})


def test_it_takes_no_post(client):
    assert client.post("/healthz").status_code == 405
