from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pims.settings")
django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402 - readable only now

from pims.buffering import buffered  # noqa: E402
from pims.gate import gated  # noqa: E402

application = buffered(gated(django_application), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
