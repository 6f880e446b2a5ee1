"""Takes the pictures of the user guide from the running demo: `make screens`.

Each picture is a page as one role sees it, at the size of a laptop or of a phone. Where a page is
not there any more, or has nothing on it, the script ends with its name: then the guide is wrong.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from tests.conftest import find_chromium  # noqa: E402
from tests.e2e.demo import Demo, running  # noqa: E402

FOLDER = ROOT / "docs" / "screens"
LAPTOP, PHONE, TELEVISION = (1280, 860), (390, 844), (1920, 1080)
TALLEST = 1500  # pixels of a page that are worth showing
COLOURS = 96
MOST_BYTES = 2_000_000  # of all pictures together


@dataclass(frozen=True, kw_only=True)
class Shot:
    """`go` brings the page there; `has`: what must be on it, or the picture shows nothing."""

    name: str
    role: str
    go: Callable[[Any, Demo], None]
    has: str
    size: tuple[int, int] = LAPTOP
    dark: bool = False


def at(path: str) -> Callable[[Any, Demo], None]:
    return lambda page, demo: _open(page, demo.base + path)


def follow(path: str, *links: str) -> Callable[[Any, Demo], None]:
    """From that page by the first link that fits each selector."""

    def go(page: Any, demo: Demo) -> None:
        _open(page, demo.base + path)
        for link in links:
            _open(page, urljoin(page.url, page.locator(link).first.get_attribute("href")))

    return go


def _open(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_load_state()


CANDIDATE = "main [name=candidate]"
BISCUIT = "/patients/?q=P-10482"
PATIENT = "main tbody a[href^='/patients/']"


def typed(page: Any, demo: Demo) -> None:
    follow(BISCUIT, PATIENT, "main a[href$='/type/']", "main a[href*='panel=HHEM-1']")(page, demo)
    for name, value in (("WBC", "18.2"), ("RBC", "6,62"), ("HGB", "<0.25")):
        page.get_by_label(f"{name}, value", exact=True).fill(value)
    page.get_by_label("WBC, low end of the range").fill("5.05")
    page.get_by_label("WBC, high end of the range").fill("16.76")
    page.locator("main form .btn.primary").click()
    page.get_by_text("Nothing is saved yet").wait_for()


def ordering(page: Any, demo: Demo) -> None:
    follow(BISCUIT, PATIENT, "main a[data-key='o']")(page, demo)
    page.locator(".tile input").first.check()


def choosing(page: Any, demo: Demo) -> None:
    _open(page, demo.base + "/requests/new/")
    page.locator(".bigsearch input").type("bisc", delay=40)
    page.locator("#hits li", has_text="Biscuit").first.wait_for()


def emergency(page: Any, demo: Demo) -> None:
    _open(page, demo.base + "/")
    page.locator("[data-key='e']").first.click()
    page.wait_for_url("**/emergency/*/")


def set_range(page: Any, demo: Demo) -> None:
    _open(page, demo.base + "/catalogue/ranges/")
    if not page.get_by_text("from 12 months").count():
        fields = {
            "analyte": "WBC",
            "low": "5",
            "high": "15.5",
            "unit": "10^3/uL",
            "from_months": "12",
            "source": "Own healthy dogs, 2026",
        }
        for name, value in fields.items():
            page.locator(f"main [name={name}]").fill(value)
        page.get_by_role("button", name="Set this range").click()
        page.get_by_text("holds from now on").wait_for()


def account(page: Any, demo: Demo) -> None:
    """With a PIN set, so that a colleague's "Change places" has somebody to show."""
    _open(page, demo.base + "/account/")
    pin = page.locator("main form[action$='/account/pin/']")
    if pin.locator("[name=password]").count():
        pin.locator("[name=password]").fill(demo.password(_login(demo, VET)))
        pin.locator("[name=pin]").fill("415926")
        if pin.locator("[name=again]").count():
            pin.locator("[name=again]").fill("415926")
        pin.locator("button").click()
    _open(page, demo.base + "/account/")


def second_factor(page: Any, demo: Demo) -> None:
    _open(page, demo.base + "/account/")
    begin = page.locator("main form[action$='/begin/']")
    begin.locator("[name=password]").fill(demo.password(_login(demo, TECH)))
    begin.locator("button").click()


def importing(page: Any, demo: Demo) -> None:
    """What would change, and that nothing has."""
    _open(page, demo.base + "/patients/import/")
    lines = (
        "patient_id,name,species,sex,birth_date,weight_kg,owner_id,owner_first_name,"
        "owner_last_name,owner_phone\n"
        "P-20001,Juniper,cat,FS,2021-05-11,4.1,C-3001,Lea,Example,555-0151\n"
        "P-20002,Rocky,rabbit,M,2023,1.9,C-3001,Lea,Example,555-0151\n"
        ",Poppy,dog,F,2024-02-29,11.4,C-3002,Sam,Sample,555-0152\n"
    )
    file = {"name": "patients.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    page.get_by_text("is in order").wait_for()


def merging(page: Any, demo: Demo) -> None:
    follow(BISCUIT, PATIENT, "main a[href$='/merge/']")(page, demo)
    page.locator("main [name=q]").fill("Waffles")
    page.keyboard.press("Enter")
    page.locator("main .hits a.open").first.click()
    page.locator("table.twins").wait_for()


def matching(page: Any, demo: Demo) -> None:
    """The first orphan that may be somebody's."""
    _open(page, demo.base + "/unmatched/")
    links = [link.get_attribute("href") for link in page.locator("main [data-row] a.open").all()]
    for link in links:
        _open(page, demo.base + str(link))
        if page.locator(CANDIDATE).count():
            return
    raise LookupError("No orphan of the demo has a candidate.")


def versions(page: Any, demo: Demo) -> None:
    """Of the first result that has more than one."""
    _open(page, demo.base + "/?show=review")
    links = [link.get_attribute("href") for link in page.locator(RESULT).all()]
    for link in links:
        _open(page, demo.base + str(link).split("#")[0])
        if page.locator("a[data-key='v']").count():
            _open(
                page, urljoin(page.url, page.locator("a[data-key='v']").first.get_attribute("href"))
            )
            return
    raise LookupError("No result of the demo has two versions.")


def wall(page: Any, demo: Demo) -> None:
    _open(page, demo.base + "/screens/")
    page.locator("main form[action$='/screens/new/'] [name=name]").fill("Laboratory")
    page.keyboard.press("Enter")
    _open(page, page.locator("#link").inner_text().strip())
    page.locator("main button, form button").first.click()
    page.wait_for_url("**/wall/")


def _login(demo: Demo, role: str) -> str:
    logins = json.loads((demo.var_dir / "demo" / "logins.json").read_text())
    return next(str(login["username"]) for login in logins if login["role"] == role)


RESULT = "main a.open[href^='/requests/']"
TECH, VET, ADMIN = "Technician", "Veterinarian", "Administrator"
SHOTS = [
    Shot(name="sign-in", role="", go=at("/login/"), has="form"),
    Shot(name="worklist", role=VET, go=at("/"), has="[data-row]"),
    Shot(name="worklist-phone", role=VET, go=at("/"), has="[data-row]", size=PHONE),
    Shot(name="worklist-dark", role=VET, go=at("/"), has="[data-row]", dark=True),
    Shot(name="choose-patient", role=TECH, go=choosing, has="#hits li"),
    Shot(name="order", role=TECH, go=ordering, has=".tile"),
    Shot(name="order-phone", role=TECH, go=ordering, has=".tile", size=PHONE),
    Shot(name="emergency", role=TECH, go=emergency, has="h1"),
    Shot(name="type-result", role=TECH, go=typed, has=".typed"),
    Shot(name="result", role=VET, go=follow("/?show=review", RESULT), has=".results"),
    Shot(
        name="result-phone",
        role=VET,
        go=follow("/?show=review", RESULT),
        has=".results",
        size=PHONE,
    ),
    Shot(name="running", role=TECH, go=follow("/?show=running", RESULT), has=".steps"),
    Shot(name="patients", role=TECH, go=at("/patients/"), has="tbody tr"),
    Shot(name="patient", role=VET, go=follow(BISCUIT, PATIENT), has=".patient"),
    Shot(
        name="trends",
        role=VET,
        go=follow("/?show=review", RESULT, "main a[data-key='t']"),
        has=".plots",
    ),
    Shot(name="new-patient", role=TECH, go=at("/patients/new/"), has="form"),
    Shot(
        name="report",
        role=VET,
        go=follow("/?show=review", RESULT, "main a[href$='/report/']"),
        has="form",
    ),
    Shot(name="unmatched", role=TECH, go=at("/unmatched/"), has="[data-row]"),
    Shot(name="match", role=TECH, go=matching, has="h1"),
    Shot(name="attention", role=TECH, go=at("/?show=attention"), has="main"),
    Shot(name="reconciliation", role=VET, go=at("/reconciliation/"), has=".lane"),
    Shot(name="catalogue", role=ADMIN, go=at("/catalogue/"), has=".tests"),
    Shot(name="ranges", role=ADMIN, go=set_range, has=".codes"),
    Shot(name="codes", role=ADMIN, go=at("/codes/"), has=".lane"),
    Shot(name="messages", role=ADMIN, go=at("/messages/"), has="tbody tr"),
    Shot(name="message", role=ADMIN, go=follow("/messages/", "tbody a"), has="dl"),
    Shot(name="audit", role=ADMIN, go=at("/audit/"), has="main"),
    Shot(
        name="connection",
        role=ADMIN,
        go=follow("/", "details.menu a[href^='/heska']"),
        has="h1",
    ),
    Shot(name="account", role=VET, go=account, has="main form"),
    Shot(name="second-factor", role=TECH, go=second_factor, has="img.qr"),
    Shot(name="switch", role=TECH, go=at("/switch/"), has=".people"),
    Shot(
        name="owner",
        role=TECH,
        go=follow(BISCUIT, PATIENT, "main a[href^='/owners/']"),
        has="h1",
    ),
    Shot(name="merge", role=VET, go=merging, has="table.twins"),
    Shot(name="alarms", role=VET, go=at("/alarms/"), has="main"),
    Shot(name="versions", role=VET, go=versions, has="table"),
    Shot(name="sign-several", role=VET, go=at("/review/"), has="main form"),
    Shot(name="wall", role=ADMIN, go=wall, has="main", size=TELEVISION),
    Shot(name="limits", role=ADMIN, go=at("/limits/"), has=".codes"),
    Shot(
        name="owner-data",
        role=ADMIN,
        go=follow(BISCUIT, PATIENT, "main a[href$='/data/']"),
        has="h1",
    ),
    Shot(name="import-patients", role=ADMIN, go=importing, has="#outcome .bar"),
    Shot(name="administration", role=ADMIN, go=at("/admin/"), has="main, #content"),
    Shot(name="staff", role=ADMIN, go=at("/admin/labs/membership/"), has="#changelist"),
]


def take(shot: Shot, browser: Any, demo: Demo, sessions: dict[str, Any]) -> Image.Image:
    """The page as that role sees it, cut at the height that is worth showing."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.dark else "light",
        storage_state=sessions.get(shot.role),
        reduced_motion="reduce",
    )
    page = context.new_page()
    try:
        shot.go(page, demo)
        page.locator(shot.has).first.wait_for(timeout=10_000)
        tall = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(height, min(tall, TALLEST))})
        page.wait_for_timeout(300)
        return Image.open(io.BytesIO(page.screenshot()))
    finally:
        context.close()


def sign_in(browser: Any, demo: Demo, username: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    _open(page, f"{demo.base}/login/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", demo.password(username))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def stage() -> Iterator[tuple[Any, Demo, dict[str, Any]]]:
    """The demo, a browser, and by role a session in it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        logins = json.loads((demo.var_dir / "demo" / "logins.json").read_text())
        sessions: dict[str, Any] = {}
        for login in logins:
            if login["role"] not in sessions:
                sessions[login["role"]] = sign_in(browser, demo, login["username"])
        yield browser, demo, sessions
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Only these pictures")
    wanted = set(parser.parse_args().names)
    unknown = wanted - {shot.name for shot in SHOTS}
    if unknown:
        sys.exit(f"There is no picture {', '.join(sorted(unknown))}.")
    FOLDER.mkdir(exist_ok=True)
    failed = []
    with stage() as (browser, demo, sessions):
        for shot in SHOTS:
            if wanted and shot.name not in wanted:
                continue
            try:
                picture = take(shot, browser, demo, sessions)
            except Exception as error:  # the others are taken all the same
                failed.append(f"{shot.name}: {str(error).splitlines()[0]}")
                continue
            # By coverage, or the few blue letters of "low" become green; then the means, or the
            # paper becomes bluish.
            small = picture.convert("RGB").quantize(
                COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
            )
            small.save(FOLDER / f"{shot.name}.png", optimize=True)
            print(f"{shot.name}.png", (FOLDER / f"{shot.name}.png").stat().st_size)
    size = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    print(f"{size} bytes together")
    if size > MOST_BYTES:
        failed.append(f"the pictures are {size} bytes together, more than {MOST_BYTES}")
    if failed:
        sys.exit("\n".join(["Not taken:", *failed]))


if __name__ == "__main__":
    main()
