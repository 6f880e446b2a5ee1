"""idle.js in a real browser, with the browser's clock in the test's hand: it warns, hides what
stands on the screen, and gives it back to the same person alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from labs.models import Clinic, Role
from pims.idle import USED
from tests import factories

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
MINUTE = 60


class Desk:
    """A workstation where somebody has signed in. `away` lets time pass there without a hand on it,
    on the server too: what the session says of its last use goes back by as much."""

    def __init__(self, page: Any, base: str, database: ThreadPoolExecutor, key: str) -> None:
        self.page, self.base, self.database, self.key = page, base, database, key

    def used(self) -> float:
        """Seconds since the server last heard of a person."""
        return float(time.time() - self.database.submit(self._session).result()[USED])

    def away(self, seconds: int) -> None:
        self.database.submit(self._back, seconds).result()
        self.page.clock.run_for(seconds * 1000)

    def _session(self) -> Any:
        return Session.objects.get(pk=self.key).get_decoded()

    def _back(self, seconds: int) -> None:
        row = Session.objects.get(pk=self.key)
        data = row.get_decoded()
        data[USED] -= seconds
        row.session_data = Session.objects.encode(data)
        row.save()


def keys(*usernames: str) -> dict[str, str]:
    made = {}
    for username in usernames:
        client = Client()
        assert client.post("/login/", {"username": username, "password": "correct horse battery"})
        made[username] = client.cookies["session"].value
    return made


@contextmanager
def desk(chromium: str, base: str, kept: dict[str, str], who: str) -> Iterator[Desk]:
    from playwright.sync_api import sync_playwright

    with ThreadPoolExecutor(1) as database, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        context.set_default_timeout(15_000)
        context.add_cookies([{"name": "session", "value": kept[who], "url": base}])
        page = context.new_page()
        page.clock.install()
        yield Desk(page, base, database, kept[who])
        browser.close()


@pytest.fixture
def play(live_server: Any, chromium: str) -> Callable[[Callable[[Desk, Any], None]], None]:
    clinic = factories.make_clinic()
    Clinic.objects.filter(pk=clinic.pk).update(idle_minutes=10)
    for username in ("toni", "vera"):
        factories.make_staff(
            Role.TECHNICIAN, clinic=clinic, username=username, password="correct horse battery"
        )
    kept = keys("toni", "vera")

    def run(story: Callable[[Desk, Any], None]) -> None:
        def told() -> None:
            with desk(chromium, live_server.url, kept, "toni") as at:
                story(at, kept)

        # Playwright's loop forbids Django the database in the thread where it runs.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(told).result()

    return run


def sign_in_elsewhere(at: Desk, key: str) -> None:
    """In another tab of the same browser."""
    at.page.context.add_cookies([{"name": "session", "value": key, "url": at.base}])


def test_it_warns_and_whoever_is_there_stays(play: Any) -> None:
    def story(at: Desk, _: Any) -> None:
        at.page.goto(f"{at.base}/")
        box = at.page.locator("#idle")
        at.away(7 * MINUTE)
        assert not box.is_visible()
        at.away(70)
        assert "You will be signed out" in box.inner_text()
        with at.page.expect_response("**/login/still/**") as said:
            box.get_by_role("button", name="I am still here").click()
        assert said.value.status == 204 and not box.is_visible()
        assert at.used() < MINUTE
        at.away(5 * MINUTE)
        assert not box.is_visible()

    play(story)


def test_a_page_that_refreshes_itself_is_signed_out(play: Any) -> None:
    """Polling all the while keeps nobody in."""

    def story(at: Desk, _: Any) -> None:
        polls: list[str] = []
        at.page.goto(f"{at.base}/")
        at.page.on("request", lambda asked: polls.append(asked.url))
        for _minute in range(9):
            at.away(MINUTE)
            at.page.wait_for_timeout(50)
        assert len(polls) > 5 and at.used() > 8 * MINUTE
        at.away(90)
        at.page.wait_for_url("**/login/?next=**")

    play(story)


def test_what_was_typed_is_hidden_and_comes_back_to_the_same_person(play: Any) -> None:
    def story(at: Desk, kept: dict[str, str]) -> None:
        fields = "main form[method=post] input:not([type=hidden])"
        at.page.goto(f"{at.base}/patients/new/")
        at.page.locator(fields).first.fill("Secret Pet")
        at.away(10 * MINUTE + 30)
        again = at.page.locator("[data-again]")
        again.wait_for()
        assert not at.page.locator("main").is_visible(), "nothing of the page is to be read"
        at.page.evaluate("window.dispatchEvent(new Event('focus'))")
        at.page.wait_for_timeout(300)
        assert again.is_visible() and not at.page.locator("main").is_visible()
        fresh = at.database.submit(keys, "toni").result()["toni"]
        sign_in_elsewhere(at, fresh)
        at.page.evaluate("window.dispatchEvent(new Event('focus'))")
        at.page.locator("main").wait_for()
        assert at.page.locator(fields).first.input_value() == "Secret Pet"

    play(story)


def test_somebody_else_does_not_get_it(play: Any) -> None:
    def story(at: Desk, kept: dict[str, str]) -> None:
        fields = "main form[method=post] input:not([type=hidden])"
        # Its refresh may be told first that the session has ended, and then nothing is asked.
        at.page.route("**/nav/**", lambda route: route.abort())
        at.page.goto(f"{at.base}/patients/new/")
        at.page.locator(fields).first.fill("Secret Pet")
        asked: list[Any] = []
        answered: list[Any] = []
        at.page.on("request", lambda each: asked.append(each))
        for ended in ("requestfinished", "requestfailed"):
            at.page.on(ended, lambda each: answered.append(each))
        at.away(10 * MINUTE + 30)
        at.page.locator("[data-again]").wait_for()
        assert sum("/still/" in each.url for each in asked) == 1
        while len(answered) < len(asked):  # its answer would take Vera's cookie away
            at.page.wait_for_timeout(20)
        sign_in_elsewhere(at, kept["vera"])
        with at.page.expect_navigation():
            at.page.evaluate("window.dispatchEvent(new Event('focus'))")
        at.page.locator("main").wait_for()
        assert "Secret Pet" not in at.page.content()
        assert at.page.locator(fields).first.input_value() == ""

    play(story)
