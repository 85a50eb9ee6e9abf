"""`/healthz`: whether this process can reach its database and its broker; for load balancers and process managers."""

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError


@login_not_required
@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 when all is reachable, else 503; says only which part, never an address or an error text."""
    parts = {"database": _database(), "broker": _broker()}
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


def _database() -> bool:
    try:
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def _broker() -> bool:
    try:
        cache.get("health")
    except (RedisError, OSError):
        return False
    return True
