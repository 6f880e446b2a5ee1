"""axe on every page, in a real browser: nothing serious, nothing critical.

The pages are the GET lines of the permission table, so that a new address is looked at or the test
fails. By default each in one of its roles, in turns of width and colours; FULL=1 in every role,
width and both colours.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import reverse

from tests import factories
from tests.http.cells import Line, lines
from tests.http.world import Place, World, make_world

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
FULL = os.environ.get("FULL") == "1"
ONLY = os.environ.get("AXE_ONLY", "")  # a part of an address or role, to look at it alone
# Who sees the most comes first: that is who looks by default, where the turn is not another's.
ROLES = ("vet", "admin", "technician", "desk", "anonymous", "entered", "root")
VIEWS = tuple(itertools.product((1280, 390), ("light", "dark")))
BAD = {"serious", "critical"}
# What answers 200 and is nothing to look at: said here, so that a page does not fall out unseen.
NO_PAGE = {
    *("healthz", "readyz", "admin:jsi18n"),
    *(
        "labs:tube_labels",
        "labs:attachment",
        "labs:audit_export",
        "labs:charges_export",
        "labs:message_body",
        "labs:owner_export",
        "labs:still",
    ),
    "heska_pages:missing",
}
# Parts of pages, looked at where a browser puts them: the page, and the element that they replace.
PARTS = {
    "labs:nav": ("labs:patients", "#nav"),
    "labs:typeahead": ("labs:new_request", "#hits"),
    "labs:emergency_hits": ("labs:emergency", "#hits"),
    "labs:match_search": ("labs:match", "#found"),
    "labs:match_changed": ("labs:match", "#changed"),
    "admin:labs_unmatchedresult_match_search": ("admin:labs_unmatchedresult_match", "#found"),
    "admin:labs_unmatchedresult_match_changed": ("admin:labs_unmatchedresult_match", "#changed"),
}
# What has other things to show than the bare address.
STATES = {
    "labs:worklist": ("?show=review", "?species=dog&mine=1", "?q=nobody"),
    "labs:patients": ("?q=Marigold", "?q=nobody-is-called-so"),
    "labs:unmatched": ("?state=matched", "?state=dismissed"),
    "labs:typeahead": ("?q=Marigold",),
    "labs:emergency_hits": ("?q=Marigold",),
    "labs:match_search": ("?q=Marigold",),
    "labs:messages": ("?state=quarantined",),
    "labs:audit": ("?patient=P-Marigold",),
    "labs:trends": ("?code=WBC",),
}


@dataclass(frozen=True, kw_only=True)
class Visit:
    name: str
    role: str
    path: str
    width: int
    colours: str
    inside: str = ""  # of a part: its page

    def __str__(self) -> str:
        return f"{self.name} {self.path} as {self.role}, {self.width} px, {self.colours}"


def pages() -> list[Line]:
    return [line for line in lines() if line.method == "GET"]


def visits(world: World) -> Iterator[Visit]:
    turn = 0
    for line in pages():
        roles = [r for r in ROLES if line.expected(r).get("own", "").startswith("200")]
        if not roles or line.name in NO_PAGE:
            continue
        path = reverse(line.name, args=world.arguments(line.kind, "own"))
        inside = ""
        if line.name in PARTS:
            home = PARTS[line.name][0]
            # Who has entered a clinic looks on: their page has no place for what they may not do.
            roles = [role for role in roles if role != "entered"]
            kind = next(each.kind for each in pages() if each.name == home)
            inside = reverse(home, args=world.arguments(kind, "own"))
        paths = [path, *(path + query for query in STATES.get(line.name, ()))]
        if line.name == "labs:new_request":
            paths.append(f"{path}?patient={world.own.objects['patient'][0]}")
        for each in paths:
            turn += 1
            # In turns of their own, so that each role meets each width and colour.
            some = roles[turn // 4 % len(roles) :][:1]
            for role in roles if FULL else some:
                for width, colours in VIEWS if FULL else VIEWS[turn % 4 :][:1]:
                    yield Visit(
                        name=line.name,
                        role=role,
                        path=each,
                        width=width,
                        colours=colours,
                        inside=inside,
                    )


def enrich(place: Place) -> None:
    """What a page shows besides the plain case: each flag, an earlier value, nothing reported."""
    patient = place.rows["patient"]
    for critical in ("41.0", "1.1"):
        rows = [
            factories.make_row("WBC", critical, critical_low="2.0", critical_high="30.0"),
            factories.make_row("RBC", "9.9", low="5.65", high="8.87", flag="H"),
            factories.make_row("HGB", "11.0", low="13.1", high="20.5", comments=("Clotted",)),
            factories.make_row("HCT", "<5", low="37.3", high="61.7", flag="LL"),
            factories.make_row("PLT", None, low="148", high="484"),
            factories.make_row("MCV", "70.1", low="61.6", high="73.5"),
            factories.make_row("GLU", "44", range_kind="measuring", flag="?"),
        ]
        request = factories.make_request(patient, accepted=True)  # type: ignore[arg-type]
        picture = factories.make_picture()
        run = factories.make_run(rows, files=(picture,), comments=("Haemolysis 2+",))
        factories.make_result(request, factories.make_report([run], comments=("See the smear",)))
    place.objects["request"] = (request.lab_report_id,)


@pytest.fixture
def world(transactional_db: None) -> World:
    made = make_world()
    enrich(made.own)
    return made


def in_a_browser(chromium: str, base: str, cookies: dict[str, str], todo: list[Visit]) -> Any:
    """What axe says, by visit. In a thread of its own: Playwright's loop forbids Django the
    database in the one where it runs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_in_a_browser, chromium, base, cookies, todo).result()


def _in_a_browser(
    chromium: str, base: str, cookies: dict[str, str], todo: list[Visit]
) -> dict[str, str]:
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for role, group in itertools.groupby(sorted(todo, key=_role), _role):
            context = browser.new_context(reduced_motion="reduce")
            if role in cookies:
                context.add_cookies([{"name": "session", "value": cookies[role], "url": base}])
            page = context.new_page()
            for visit in group:
                if said := look(page, base, visit):
                    found[str(visit)] = said
            context.close()
        browser.close()
    return found


def _role(visit: Visit) -> str:
    return visit.role


def look(page: Any, base: str, visit: Visit) -> str:
    page.set_viewport_size({"width": visit.width, "height": 844})
    page.emulate_media(color_scheme=visit.colours)
    if visit.inside:
        page.goto(base + visit.inside, wait_until="load")
        answer = page.request.get(base + visit.path, headers={"HX-Request": "true"})
        if not page.locator(PARTS[visit.name][1]).count():
            return f"there is no {PARTS[visit.name][1]} on {page.url}"
        put = "([where, part]) => { document.querySelector(where).outerHTML = part; }"
        page.evaluate(put, [PARTS[visit.name][1], answer.text()])
    else:
        answer = page.goto(base + visit.path, wait_until="load")
    kind = answer.headers.get("content-type", "")
    if answer.status != 200 or not kind.startswith("text/html"):
        return f"answered {answer.status}, {kind}: is it a page? Else it is named in NO_PAGE"
    return violations(page)


def violations(page: Any) -> str:
    from axe_playwright_python.sync_playwright import Axe

    # Off by default in axe, and a criterion of WCAG 2.2 AA.
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    found = Axe().run(page, options=options).response["violations"]
    return "\n".join(
        f"{each['id']} ({each['impact']}): {each['help']}\n"
        + "\n".join(f"  {_where(node)}" for node in each["nodes"][:4])
        for each in found
        if each["impact"] in BAD
    )


def _where(node: dict[str, Any]) -> str:
    why = "; ".join(check["message"][:200] for check in (*node["any"], *node["all"], *node["none"]))
    return f"{node['target']} {node['html'][:160]}: {why}"


def cookies_of(world: World) -> dict[str, str]:
    return {
        role: world.client(role).cookies["session"].value for role in ROLES if role in world.people
    }


@pytest.mark.parametrize("site", ["staff", "admin"])
def test_axe_finds_nothing_serious(
    site: str, world: World, live_server: Any, chromium: str
) -> None:
    todo = [
        visit
        for visit in visits(world)
        if visit.name.startswith("admin:") == (site == "admin") and ONLY in str(visit)
    ]
    found = in_a_browser(chromium, live_server.url, cookies_of(world), todo)
    print(f"{len(todo)} visits")
    assert not found, "\n\n".join(f"{visit}\n{said}" for visit, said in found.items())


def test_each_address_is_visited(world: World) -> None:
    """A page is not left out by being nobody's, or named as none without answering so."""
    seen = {visit.name for visit in visits(world)}
    answers = {
        line.name
        for line in pages()
        if any(line.expected(role).get("own", "").startswith("200") for role in ROLES)
    }
    assert answers - seen - NO_PAGE == set()
    assert answers >= NO_PAGE and set(PARTS) <= seen and set(STATES) <= seen
    for width, colours in VIEWS:
        assert any((v.width, v.colours) == (width, colours) for v in visits(world))
