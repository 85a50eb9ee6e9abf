"""Settings: one file, read from the environment; the defaults are the embedded installation that `make run` starts.

Every variable is listed in the README's table of settings; a test compares the two.
Left out: per-environment settings modules. What differs between machines is a variable.
"""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from webapp.keys import read_or_create_secret

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- one folder holds all state ----------------------------------------------------------------------------------------
DATA_DIR = Path(env.str("SLUICE_DATA", default=str(BASE_DIR / "var"))).resolve()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    _SECRET = read_or_create_secret(DATA_DIR / "secret_key")
except OSError as error:
    raise ImproperlyConfigured(
        f"Sluice cannot use {DATA_DIR} ({error.strerror}: {error.filename}). Make it yours, or set SLUICE_DATA to a folder of yours."
    ) from error
STORE_URL = env.str("SLUICE_STORE_URL", default=f"file://{DATA_DIR / 'store'}")  # token shards, dataset rows, exports
STARTER_DIR = BASE_DIR / "webapp" / "starter"

# -- security ----------------------------------------------------------------------------------------------------------
SECRET_KEY = env.str("SLUICE_SECRET_KEY", default="") or _SECRET
DEBUG = env.bool("SLUICE_DEBUG", default=False)
ALLOWED_HOSTS = env.list("SLUICE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("SLUICE_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("SLUICE_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env.int("SLUICE_HSTS_SECONDS", default=0)
SILENCED_SYSTEM_CHECKS = [
    "security.W005",
    "security.W021",
]  # the other hosts of a domain, and preloading, are not ours to decide
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# style-src-attr: KaTeX positions glyphs with inline style attributes; nothing else needs it and no script is inline.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}

# -- application -------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_filters",
    "csp",
    "webapp.accounts",
    "webapp.jobs",
    "webapp.problems",
    "webapp.engines",
    "webapp.traces",
    "webapp.curation",
    "workers",  # for its management commands; holds no models and is never imported by webapp
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webapp.navigation.navigation",
            ]
        },
    }
]

# -- database ----------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("SLUICE_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'sluice.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # WAL lets the page read while a worker writes; IMMEDIATE makes a second writer wait instead of failing at commit.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- broker and cache --------------------------------------------------------------------------------------------------
_SOCKET = DATA_DIR / "redis.sock"
CELERY_BROKER_URL = env.str("SLUICE_BROKER_URL", default=f"redis+socket://{_SOCKET}?virtual_host=0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("SLUICE_CACHE_URL", default=f"unix://{_SOCKET}?db=1"),
    }
}
CELERY_IMPORTS = ["workers.tasks"]
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # our own attempt cap in the Job row ends a poison task
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900, "unacked_restore_throttle": 1, "socket_timeout": 10}
CELERY_TASK_TIME_LIMIT = 600  # seconds, below the visibility timeout: a stage works in slices far shorter than this
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {"reap": {"task": "jobs.reap", "schedule": 20.0, "options": {"expires": 20.0}}}

JOB_LEASE_SECONDS = env.int("SLUICE_JOB_LEASE_SECONDS", default=120)
JOB_SLICE_SECONDS = env.int("SLUICE_JOB_SLICE_SECONDS", default=30)  # a task hands over after this, so jobs take turns
# where the engine compiles its kernels; it knows no Django, so the environment tells it
os.environ.setdefault("SLUICE_NATIVE_DIR", str(DATA_DIR / "native"))
# Half the cores: torch threads that must share a core stall one another at every barrier, and the other processes need room too.
TORCH_THREADS = env.int("SLUICE_TORCH_THREADS", default=max(1, (os.cpu_count() or 2) // 2))
GENERATE_BATCH = env.int("SLUICE_GENERATE_BATCH", default=64)  # samples a local engine gets at once, saved together
MAX_UPLOAD_BYTES = env.int("SLUICE_MAX_UPLOAD_BYTES", default=512 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
FILE_UPLOAD_TEMP_DIR = env.str("SLUICE_UPLOAD_TEMP_DIR", default=None)

# -- language, time, static files --------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "webapp" / "locale"]
TIME_ZONE = env.str("SLUICE_TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "webapp" / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "uploads"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # a refusal (403, 404) is an answer, not a fault of ours; 500 comes as an error
    "loggers": {"django.request": {"level": "ERROR"}},
    "root": {"handlers": ["console"], "level": env.str("SLUICE_LOG_LEVEL", default="INFO")},
}
