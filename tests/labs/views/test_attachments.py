from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from labs.models import Attachment, Clinic
from labs.report import File
from tests import factories

SignIn = Callable[[User], Client]
PICTURE = factories.make_picture()
PDF = factories.make_picture(
    content=b"%PDF-1.7 x", content_type="application/pdf", file_name="r.pdf"
)
HTML = factories.make_picture(
    content=b"<script>alert(1)</script>", content_type="image/png", file_name='a"\r\nb.png'
)


@pytest.mark.parametrize(
    ("file", "kind", "disposition", "sandboxed"),
    [
        (PICTURE, "image/png", 'inline; filename="scatter.png"', True),
        (PDF, "application/pdf", 'inline; filename="r.pdf"', False),
        (HTML, "application/octet-stream", 'attachment; filename="a___b.png"', True),
    ],
)
def test_bytes_of_a_stranger_can_do_nothing_here(
    file: File,
    kind: str,
    disposition: str,
    sandboxed: bool,
    clinic: Clinic,
    bob: User,
    signed_in: SignIn,
) -> None:
    request = factories.make_request(factories.make_patient(clinic), accepted=True)
    run = factories.make_run(files=(file,))
    factories.make_result(request, factories.make_report([run]))
    address = reverse("labs:attachment", args=[Attachment.objects.get().uuid])
    client = signed_in(bob)
    response = client.get(address)
    assert response.content == file.content
    assert response["Content-Type"] == kind
    assert response["Content-Disposition"] == disposition
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    assert ("sandbox" in response["Content-Security-Policy"]) is sandboxed
    page = client.get(reverse("labs:request", args=[request.lab_report_id])).content.decode()
    assert address in page
    assert (f'<img src="{address}"' in page) is (kind == "image/png")
