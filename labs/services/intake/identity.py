"""What of a report contradicts the request that it was sent for. Absence never does (I2)."""

from __future__ import annotations

import unicodedata

from labs.models import LabRequest, Patient, Sex
from labs.report import Identity, Report


def same_text(one: str, other: str) -> bool:
    """Whether they read the same: case, spaces and the ways to write “ë” do not count."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def contradictions(report: Report, request: LabRequest, external_id: str) -> list[str]:
    """Sentences for people, empty where nothing speaks against filing. `external_id` is the one the
    laboratory gave when it accepted the order, or empty."""
    found = []
    if report.lab_report_id and report.lab_report_id != request.lab_report_id:
        found.append(
            f"It names request {report.lab_report_id}, but was sent for {request.lab_report_id}."
        )
    if report.external_id and external_id and report.external_id != external_id:
        found.append(
            f"It names the laboratory's report {report.external_id}, "
            f"but the order was accepted as {external_id}."
        )
    if report.identity:
        found += against_patient(report.identity, request)
    return found


def against_patient(typed: Identity, request: LabRequest) -> list[str]:
    """Of one that was moved to another patient after it had left, the analyzer still says the old
    one: either may stand in what comes, but not a mixture."""
    found = against_record(typed, request.patient)
    if found and request.sent_for is not None:
        return found if identity_contradictions(typed, request.sent_for) else []
    return found


def against_record(typed: Identity, patient: Patient, by: str = "the request") -> list[str]:
    """Of one that another record was merged into, what speaks against both: either may stand in
    what comes, as it is labelled, but not a mixture. One statement, only where something does."""
    found = identity_contradictions(typed, patient, by)
    if found and any(not identity_contradictions(typed, e, by) for e in patient.merged_from.all()):
        return []
    return found


def identity_contradictions(
    typed: Identity, patient: Patient, by: str = "the request"
) -> list[str]:
    """`by`: what says that it is that patient's."""
    found = []
    if typed.patient_id and not same_text(typed.patient_id, patient.patient_id):
        found.append(f"Patient id {typed.patient_id}; {by} is for {patient.patient_id}.")
    if typed.patient_name and not same_text(typed.patient_name, patient.name):
        found.append(f"Name {typed.patient_name}; {by} is for {patient.name}.")
    if typed.species and typed.species_code and typed.species_code != patient.species:
        found.append(f"Species {typed.species}; {patient.name} is a {patient.species}.")
    if typed.sex_code and patient.sex != Sex.UNKNOWN and typed.sex_code != patient.sex:
        found.append(f"Sex {typed.sex}; {patient.name} is {patient.get_sex_display().lower()}.")
    chips = {_chip(typed.microchip), _chip(patient.microchip)} - {""}
    if len(chips) > 1:
        found.append(f"Microchip {typed.microchip}; {patient.name} has {patient.microchip}.")
    return found


def _chip(number: str) -> str:
    return "".join(character for character in number if character.isalnum()).casefold()


def newly_contradicts(known: dict[str, str], typed: Identity, request: LabRequest) -> list[str]:
    """What a later message of a matched orphan says against the match that nobody could know when
    it was made: of fields that were empty then. What was typed already, a person has judged."""

    def new(name: str) -> str:
        text: str = getattr(typed, name)
        return "" if known.get(name, "").strip() else text

    said_now = Identity(
        patient_id=new("patient_id"),
        patient_name=new("patient_name"),
        species=new("species"),
        species_code=typed.species_code if new("species") else "",
        sex=new("sex"),
        sex_code=typed.sex_code if new("sex") else "",
        microchip=new("microchip"),
    )
    return against_record(said_now, request.patient)


def differs(one: dict[str, str], other: Identity) -> bool:
    """Whether two typed identities under one report id are of two animals."""
    pairs = (
        (one.get("patient_id", ""), other.patient_id),
        (one.get("patient_name", ""), other.patient_name),
        (one.get("species_code", ""), other.species_code),
        (one.get("sex_code", ""), other.sex_code),
        (_chip(one.get("microchip", "")), _chip(other.microchip)),
    )
    return any(a.strip() and b.strip() and not same_text(a, b) for a, b in pairs)


def names_more(known: dict[str, str], other: Identity) -> bool:
    """Whether a later message says who the animal is where the first one did not. Two such messages
    may mean two animals, and neither would contradict the first (I2)."""
    return any(
        getattr(other, name).strip() and not known.get(name, "").strip()
        for name in ("patient_id", "patient_name", "microchip")
    )
