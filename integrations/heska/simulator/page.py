"""The simulator's own page. Pure: a snapshot in, HTML out, everything escaped."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import quote

from .catalogue import TESTS
from .rules import CERTIFICATES, COVERS, FAULTS, SHAPES

Json = dict[str, Any]

SHOWN = 50
REFRESH_SECONDS = 2

_MARKS = {
    "done": "done", "delivered": "done", "running": "run", "sending": "run", "retrying": "warn",
    "rejected": "warn", "failed": "crit", "gave up": "crit", "lost": "warn",
}  # fmt: skip
_KINDS = {
    "result": "Result", "unmatched": "No request", "correction": "Correction",
    "resend": "Sent again", "cancellation": "Cancellation", "rerun": "Run again",
}  # fmt: skip


def render(snapshot: Json, *, watch: bool, error: str | None, form: dict[str, str]) -> str:
    """The page; `watch` makes it reload by itself, without the forms: no typing is lost."""
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if watch else ""
    other = (
        '<a class="button" href="/">Stop watching</a>'
        if watch
        else '<a class="button" href="/?watch=1">Watch it run</a>'
    )
    forms = ""
    if not watch:
        forms = (
            _orphan_form(snapshot["clinics"], form)
            + _fault_form(form)
            + _clinic_form(snapshot, form)
        )
    alert = f'<p class="alert" role="alert">{_e(error)}</p>' if error else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}
<title>Heska simulator</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header class="top">
<h1>Heska simulator</h1>
<p>Vet Cloud, DCU and analyzers, played on this machine. No result here is real.</p>
{other}
</header>
<main>
{alert}
{forms}
{_faults(snapshot, watch)}
{_worklist(snapshot)}
{_deliveries(snapshot, watch)}
</main>
</body>
</html>
"""


def _worklist(snapshot: Json) -> str:
    orders = snapshot["worklist"]
    lines = "".join(
        f"""<tr>
{_cell("Request", _request(each))}
{_cell("Patient", _animal(each))}
{_cell("Tests", _tests(each["tests"]))}
{_cell("Clinic", _e(each["clinic_id"]))}
{_cell("Taken", _time(each["received_at"]))}
</tr>"""
        for each in orders[:SHOWN]
    )
    empty = "No request yet. Order a test in the PIMS and it appears here."
    heads = ("Request", "Patient", "Tests", "Clinic", "Taken")
    return _table("Worklist", heads, lines, len(orders), empty)


def _request(order: Json) -> str:
    return f"<b>{_e(order['lab_report_id'])}</b> <small>{_e(order['heska_report_id'])}</small>"


def _animal(order: Json) -> str:
    about = f"{order['patient_id'] or ''} · {order['species'].lower()}"
    return f"{_e(order['patient_name'])} <small>{_e(about)}</small>"


def _tests(tests: list[Json]) -> str:
    lines = "".join(
        f"<li>{_chip(each['state'])} {_e(each['test_code'])}"
        f" <small>{_e(each['analyzer'])}</small></li>"
        for each in tests
    )
    return f'<ul class="tests">{lines}</ul>'


def _deliveries(snapshot: Json, watch: bool) -> str:
    sent = snapshot["deliveries"]
    lines = "".join(
        f"""<tr>
{_cell("Message", _what(each))}
{_cell("For", _target(each))}
{_cell("Outcome", _outcome(each))}
{_cell("Sent", _time(each["created_at"]))}
{"" if watch else _buttons(each)}
</tr>"""
        for each in sent[:SHOWN]
    )
    heads = ("Message", "For", "Outcome", "Sent") + (() if watch else ("Again",))
    return _table("Messages to the PIMS", heads, lines, len(sent), "Nothing was sent yet.")


def _what(each: Json) -> str:
    ident = each["message_id"]
    link = f'<a href="/messages/{_e(quote(ident, safe=""))}">{_e(ident[:8])}</a>'
    return f"<b>{_e(_KINDS[each['kind']])}</b> {link}<br><small>{_e(each['summary'])}</small>"


def _target(each: Json) -> str:
    report = _e(each["lab_report_id"] or "no request")
    return f"{report} <small>{_e(each['clinic_id'])}</small><br><code>{_e(each['url'])}</code>"


def _outcome(each: Json) -> str:
    code, attempts, due = each["http_status"], each["attempts"], each["next_at"]
    facts = (
        f"HTTP {code}" if code else each["error"],
        each["receipt_status"],
        each["receipt_id"],
        f"attempt {attempts}" if attempts > 1 else None,
        f"next at {due[11:19]}" if due else None,
    )
    told = " · ".join(fact for fact in facts if fact)
    return f"{_chip(each['status'])} <small>{_e(told)}</small>"


def _buttons(each: Json) -> str:
    def button(action: str, text: str) -> str:
        return f"""<form method="post" action="/simulate/{action}">
<input type="hidden" name="message_id" value="{_e(each["message_id"])}">
<button aria-label="{text}, message {_e(each["message_id"][:8])}">{text}</button></form>"""

    all_of_them = (
        button("resend", "Resend")
        + button("correction", "Send a correction")
        + button("rerun", "Run again")
        + button("cancellation", "Cancel")
    )
    return f'<td class="acts"><div>{all_of_them}</div></td>'


def _table(title: str, heads: tuple[str, ...], lines: str, count: int, empty: str) -> str:
    shown = f"newest {SHOWN} of {count}" if count > SHOWN else str(count)
    if not count:
        return f'<section class="card"><h2>{title}</h2><p class="none">{empty}</p></section>'
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return f"""<section class="card"><h2>{title} <small>{shown}</small></h2>
<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></section>"""


def _faults(snapshot: Json, watch: bool) -> str:
    standing = snapshot["faults"]
    lines = "".join(
        f"""<tr>
{_cell("Fault", f"<b>{_e(each['what'])}</b>")}
{_cell("On", _e(each["on"]))}
{_cell("When", _e(each["when"]))}
{_cell("Acted", _e(f"{each['acted']} of {each['met']}"))}
{"" if watch else _mend(each["number"], each["do"])}
</tr>"""
        for each in standing
    )
    heads = ("Fault", "On", "When", "Acted") + (() if watch else ("Mend",))
    empty = "Nothing goes wrong at present."
    return _table("Faults", heads, lines, len(standing), empty) if standing or not watch else ""


def _mend(number: int, do: str) -> str:
    return f"""<td class="acts"><div><form method="post" action="/simulate/mend">
<input type="hidden" name="number" value="{number}">
<button aria-label="Take away fault {number}, {_e(do)}">Take away</button></form></div></td>"""


def _fault_form(form: dict[str, str]) -> str:
    kinds = [(do, f"{do.replace('_', ' ')}: {_plain(fault.says)}") for do, fault in FAULTS.items()]
    ons = [("", "what is usual for it"), *((on, on) for on in COVERS)]
    shapes, certificates = ([("", ""), *((e, e) for e in each)] for each in (SHAPES, CERTIFICATES))
    taken = [("", "what is usual for it"), ("yes", "yes"), ("no", "no")]
    main = (
        _select("do", "What goes wrong", kinds, form)
        + _input("first", "Only the first … times", form)
        + _input("every", "Only every …th time", form)
        + _input("patient", "Only for the patient (* fits all)", form)
        + _input("seconds", "Seconds, where it has some", form)
        + _input("retry_after", "Retry-After: seconds, date+30, any text", form)
    )
    more = (
        _select("on", "On", ons, form)
        + _input("lab_report_id", "Only for the request", form)
        + _input("clinic_id", "Only for the clinic", form)
        + _input("test_code", "Only for the test code", form)
        + _input("from_seconds", "From … seconds on", form)
        + _input("to_seconds", "Until … seconds", form)
        + _input("status", "HTTP status", form)
        + _input("to", "To: an address, or another clinic's id", form)
        + _select("shape", "Shape of the refusal", shapes, form)
        + _select("kind", "Kind of certificate", certificates, form)
        + _input("times", "How many times it is sent", form)
        + _input("megabytes", "Megabytes", form)
        + _select("taken", "Is the order taken all the same?", taken, form)
    )
    is_open = " open" if "do" in form else ""
    return f"""<details class="card"{is_open}><summary>Make something go wrong</summary>
<form class="fields" method="post" action="/simulate/fault">{main}
<details class="more"><summary>More</summary><div class="fields">{more}</div></details>
<button class="primary">Set the fault</button></form></details>"""


def _plain(says: str) -> str:
    return says.replace("`", "")


def _orphan_form(clinics: list[str], form: dict[str, str]) -> str:
    if not clinics:
        return ""
    tests = [(code, f"{test.name} ({code}, {test.model})") for code, test in TESTS.items()]
    species = [(each, each or "not typed") for each in ("Canine", "Feline", "Equine", "")]
    fields = (
        _select("clinic_id", "Clinic", [(each, each) for each in clinics], form)
        + _select("test_code", "Test", tests, form)
        + _input("patient_name", "Patient name", form)
        + _input("patient_id", "Patient id", form)
        + _select("species", "Species", species, form)
        + _input("sex", "Sex", form)
        + _input("owner_last_name", "Owner last name", form)
        + _input("doctor", "Doctor", form)
    )
    return f"""<section class="card"><h2>Run a test without a request</h2>
<p class="none">The emergency patient: nobody ordered in the PIMS, so type what the technician types
at the analyzer. The result goes to the clinic's URL for unmatched results.</p>
<form class="fields" method="post" action="/simulate/orphan">{fields}
<button class="primary">Run the test</button></form></section>"""


def _clinic_form(snapshot: Json, form: dict[str, str]) -> str:
    fields = (
        _input("clinic_id", "Clinic id", form, required=True)
        + _input("client_id", "Client id, from Heska", form, required=True)
        + _input("client_secret", "Client secret, from Heska", {}, required=True)
        + _input("timezone", "Time zone, if it matters", form)
        + _input("pims_token_url", "PIMS token URL", form, kind="url", required=True)
        + _input("pims_unmatched_url", "PIMS unmatched URL", form, kind="url", required=True)
        + _input("pims_client_id", "Client id, from the PIMS", form, required=True)
        + _input("pims_client_secret", "Client secret, from the PIMS", {}, required=True)
    )
    is_open = " open" if not snapshot["clinics"] or "pims_token_url" in form else ""
    return f"""<details class="card"{is_open}><summary>Add a clinic</summary>
<form class="fields" method="post" action="/simulate/clinic">{fields}
<button class="primary">Add the clinic</button></form></details>"""


def _input(
    name: str, label: str, form: dict[str, str], *, kind: str = "text", required: bool = False
) -> str:
    value = _e(form.get(name, ""))
    must = " required" if required else ""
    return (
        f'<label>{_e(label)}<input type="{kind}" name="{name}" value="{value}" maxlength="200"'
        f' autocomplete="off"{must}></label>'
    )


def _select(name: str, label: str, options: list[tuple[str, str]], form: dict[str, str]) -> str:
    chosen = form.get(name)
    lines = "".join(
        f'<option value="{_e(value)}"{" selected" if value == chosen else ""}>{_e(text)}</option>'
        for value, text in options
    )
    return f'<label>{_e(label)}<select name="{name}">{lines}</select></label>'


def _cell(label: str, content: str) -> str:
    return f'<td data-label="{label}"><div>{content}</div></td>'


def _chip(state: str) -> str:
    return f'<span class="chip {_MARKS.get(state, "wait")}">{_e(state)}</span>'


def _time(text: str) -> str:
    return f'<time datetime="{_e(text)}">{_e(text[11:19])} UTC</time>'


def _e(value: Any) -> str:
    return html.escape("" if value is None else str(value))
