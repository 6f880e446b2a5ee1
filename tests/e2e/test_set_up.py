"""An administrator connects the clinic: tested, four things copied, an old client revoked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.demo import Demo
from tests.e2e.test_main_job import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]


def test_set_up(page: Any, demo: Demo) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=demo.base)
    sign_in(page, demo, "oak-admin", "/")
    page.locator(".menu summary").click()
    page.get_by_role("link", name="Connection to the laboratory").click()
    page.get_by_role("button", name="Test the connection").click()
    page.get_by_text("Heska gave a token.").wait_for()
    page.get_by_role("button", name="Check it now").click()
    page.get_by_text("this installation answers there").wait_for()
    # The secret that is copied is the one that works, and is gone after that.
    page.get_by_role("button", name="Make a second one").click()
    page.get_by_role("button", name="Copy client secret").click()
    page.get_by_text("Copied").wait_for()
    secret = page.evaluate("navigator.clipboard.readText()")
    client_id = page.locator("#once-id").inner_text()
    form = {"client_id": client_id, "client_secret": secret}
    asked = page.request.post(f"{demo.base}/api/oauth/token", form=form)
    assert asked.status == 200
    page.get_by_role("link", name="I have passed it on").click()
    page.locator("#once-secret").wait_for(state="detached")
    assert secret not in page.content()
    page.get_by_role("link", name=f"Revoke {client_id}").click()
    page.get_by_role("button", name=f"Revoke {client_id}").click()
    page.get_by_text(f"{client_id} was revoked").wait_for()
    assert page.request.post(f"{demo.base}/api/oauth/token", form=form).status == 401


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(page: Any, demo: Demo, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    sign_in(page, demo, "elm-admin", "/heska/clinic-0042/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
