"""The ASGI entry point that uvicorn serves."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from webapp.problems.bodylimit import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

application = BodyLimit(get_asgi_application(), settings.MAX_UPLOAD_BYTES)
