"""What a person or a script can make happen: an orphan, a resend, a correction, another clinic."""

from __future__ import annotations

import json
from typing import Any

from .bodies import message, orphan_people, run_id, test_block, with_printed_report
from .catalogue import TESTS, known_species
from .cloud import Cloud, Delivery, copy_of, delivery_of, new_message_id, now
from .corrections import NothingToCorrect, correction
from .courier import Courier
from .draw import Draw
from .entries import ScriptError
from .faults import Faults
from .mishaps import follow_up
from .rules import from_form, read_rule
from .script import Clinic, read_clinic

PATIENCE = 5.0  # seconds that an answer waits for the first attempt, to tell how it went
FIELD_LIMIT = 200


class Refused(ValueError):
    """The form cannot be carried out; the text is for the person who sent it."""


def orphan(cloud: Cloud, courier: Courier, form: dict[str, str]) -> Delivery:
    """Run a test that nobody ordered and post it to the clinic's unmatched URL.

    Fields: clinic_id, test_code, and as typed at the analyzer patient_name, patient_id, species,
    sex, owner_last_name, doctor. Raises Refused.
    """
    _check_lengths(form)
    clinic = _clinic(cloud, form)
    test = TESTS.get(form.get("test_code", ""))
    if test is None:
        raise Refused(f"There is no test {form.get('test_code', '')!r}.")
    typed = form.get("species", "")
    species = known_species(typed) or ("CANINE" if not typed.strip() else None)
    if species is None:
        raise Refused(f"The analyzers know dog, cat and horse, not {typed!r}.")
    report = cloud.new_report_id()
    started = now().astimezone(clinic.zone())
    animal = f"{clinic.clinic_id}|{form.get('patient_id', '').strip()}|{species}"
    draw = Draw(seed=cloud.script.seed, animal=animal, run=report)
    # Without the clinic's time zone the offset goes along, so that nothing lands in the future.
    local = started.replace(tzinfo=None) if clinic.timezone else started
    block = test_block(
        test=test,
        species=species,
        draw=draw,
        clinic_id=clinic.clinic_id,
        ident=run_id(test, report, 1, started),
        run_at=local.isoformat(timespec="seconds"),
    )
    built = message(
        message_id=new_message_id(),
        lab_report_id=None,
        heska_report_id=report,
        version=cloud.next_version(report),
        status="Final",
        clinic_id=clinic.clinic_id,
        reported_at=now(),
        people=orphan_people(
            name=form.get("patient_name", ""),
            patient_id=form.get("patient_id", ""),
            species=typed,
            sex=form.get("sex", ""),
            owner=form.get("owner_last_name", ""),
            doctor=form.get("doctor", ""),
        ),
        tests=[block],
    )
    built = with_printed_report(built, draw)
    return _send(courier, delivery_of(built, clinic.pims.unmatched_url, "unmatched", clinic))


def resend(cloud: Cloud, courier: Courier, form: dict[str, str]) -> Delivery:
    """Send a message again, byte for byte, to where it went. Field: message_id. Raises Refused."""
    sent = _sent(cloud, form)
    return _send(courier, copy_of(sent))


def correct(cloud: Cloud, courier: Courier, form: dict[str, str]) -> Delivery:
    """Send a correction of a message to where that went.

    Fields: message_id, and to choose what changes analyte_code and value. Raises Refused.
    """
    _check_lengths(form)
    sent = _sent(cloud, form)
    original = json.loads(sent.body)
    version = cloud.next_version(sent.heska_report_id, original["ReportVersion"] + 1)
    try:
        built = correction(
            original,
            message_id=new_message_id(),
            version=version,
            now=now(),
            analyte=form.get("analyte_code") or None,
            value=form.get("value") or None,
        )
    except NothingToCorrect as error:
        raise Refused(str(error)) from error
    return _send(courier, delivery_of(built, sent.url, "correction", sent.clinic))


def follow(cloud: Cloud, courier: Courier, what: str, form: dict[str, str]) -> Delivery:
    """Cancel a sent message's tests (`cancelled`) or run them once more (`run_again`).

    Field: message_id. Raises Refused.
    """
    after = follow_up(cloud, _sent(cloud, form), what)
    if after is None:
        raise Refused("Only a message with final results can be cancelled or run again.")
    return _send(courier, after)


def set_fault(faults: Faults, form: dict[str, str]) -> dict[str, int]:
    """Set a rule from the fields of one in a script. Raises Refused."""
    _check_lengths(form)
    try:
        number = faults.add(read_rule(from_form(form), "the form"))
    except ScriptError as error:
        raise Refused(str(error)) from error
    if number is None:
        raise Refused("There are too many faults already; take some away first.")
    return {"number": number}


def mend(faults: Faults, form: dict[str, str]) -> dict[str, int]:
    """Take away the rule with this number, or all. Field: number, or `all`. Raises Refused."""
    text = form.get("number", "")
    if text == "all":
        faults.remove(None)
        return {}
    if not (text.isascii() and text.isdecimal()) or not faults.remove(int(text)):
        raise Refused(f"There is no fault {text!r}.")
    return {"number": int(text)}


def add_clinic(cloud: Cloud, form: dict[str, str]) -> Clinic:
    """Take up a clinic from the fields of a script, those of `pims` as `pims_…`. Raises Refused."""
    _check_lengths(form)
    own = {k: v for k, v in form.items() if not k.startswith("pims_") and k != "timezone"}
    pims = {name[5:]: value for name, value in form.items() if name.startswith("pims_")}
    data: dict[str, Any] = own | {"pims": pims, "timezone": form.get("timezone") or None}
    try:
        clinic = read_clinic(data, "the form")
    except ScriptError as error:
        raise Refused(str(error)) from error
    if not cloud.add_clinic(clinic):
        raise Refused("A clinic with this clinic id or client id is already there.")
    return clinic


def outcome(delivery: Delivery) -> dict[str, Any]:
    """What a script is told about a message that it made the simulator send."""
    return {
        "message_id": delivery.message_id,
        "status": delivery.state,
        "http_status": delivery.http_status,
        "receipt_id": delivery.receipt_id,
        "heska_report_id": delivery.heska_report_id,
        "error": delivery.error,
    }


def _send(courier: Courier, delivery: Delivery) -> Delivery:
    courier.send(delivery)
    delivery.tried.wait(PATIENCE)
    return delivery


def _clinic(cloud: Cloud, form: dict[str, str]) -> Clinic:
    clinic = cloud.clinic(form.get("clinic_id", ""))
    if clinic is None:
        raise Refused(f"There is no clinic {form.get('clinic_id', '')!r} here.")
    return clinic


def _sent(cloud: Cloud, form: dict[str, str]) -> Delivery:
    sent = cloud.sent(form.get("message_id", ""))
    if sent is None:
        raise Refused(f"There is no message {form.get('message_id', '')!r} among the newest.")
    return sent


def _check_lengths(form: dict[str, str]) -> None:
    long = [name for name, value in form.items() if len(value) > FIELD_LIMIT]
    if long:
        raise Refused(f"{long[0]} is longer than {FIELD_LIMIT} characters.")
