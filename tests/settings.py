"""The product's settings with a throw-away data folder, a fast password hasher and plain static files."""

import os
import tempfile
from pathlib import Path

_FOLDER = tempfile.mkdtemp(prefix="sluice-tests-")
os.environ["SLUICE_DATA"] = os.environ.get("SLUICE_TEST_DATA", _FOLDER)
# compiled once for all rounds of tests, not for each throw-away folder
os.environ.setdefault("SLUICE_NATIVE_DIR", str(Path(__file__).resolve().parents[1] / "var" / "native"))

from webapp.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}  # noqa: F405
if "SLUICE_CACHE_URL" not in os.environ:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
(DATA_DIR / "static").mkdir(exist_ok=True)  # noqa: F405  # whitenoise warns of a missing folder, and a warning is an error
