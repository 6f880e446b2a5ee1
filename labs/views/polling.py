"""Pages that stay fresh: they ask with the version they show, and get 204 while it stands.

Not 304: the browser would answer from its cache, and htmx would swap that in.
"""

from __future__ import annotations

from labs.views.access import StaffRequest


def unchanged(request: StaffRequest, version: str) -> bool:
    return bool(request.htmx) and request.GET.get("v") == version
