"""A NUL in what a browser sends: PostgreSQL takes it in no text, and refuses the statement, also
one that only looks for it. Nobody types one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

NUL, INSTEAD = "\0", "\N{REPLACEMENT CHARACTER}"


class NoNul:
    """Puts U+FFFD in its place, as the contract has it for what Heska sends: in the address (which
    then names nothing that is there), its query and posted fields. So no view or form has to
    know. Bodies that are no form are left as they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.path, request.path_info = _clean(request.path), _clean(request.path_info)
        if _has_nul(request.GET):
            request.GET = _without(request.GET)  # type: ignore[assignment]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]
    ) -> None:
        # A view that is exempt from the check against forged forms reads its body itself, whole.
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return
        for file in request.FILES.values():
            file.name = _clean(file.name or "")  # type: ignore[union-attr]
        if _has_nul(request.POST):
            request.POST = _without(request.POST)  # type: ignore[assignment]


def _clean(text: str) -> str:
    return text.replace(NUL, INSTEAD)


def _has_nul(fields: QueryDict) -> bool:
    return any(NUL in name or any(NUL in t for t in texts) for name, texts in fields.lists())


def _without(fields: QueryDict) -> QueryDict:
    found = QueryDict(mutable=True)
    for name, texts in fields.lists():
        found.setlist(_clean(name), [_clean(text) for text in texts])
    found._mutable = False
    return found
