"""What of a clinic's words the laboratory has no code for, and what is delivered that the catalogue
does not know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max
from django.db.models.functions import Coalesce

from labs import vendors
from labs.models import Analyte, Clinic, ClinicCode, CodeKind, Observation, Panel, Patient, Species
from labs.order import Sent, folded
from labs.services.orders import codes as services
from labs.services.orders.orderable import no_species

SHOWN = 100
# Of the living those that were here or were added last: whose words will be sent. A registry of
# 200,000 was read from end to end for this page, 0.15 s. A breed that only others bear is listed
# when one of them comes again, and its order page says how it goes in any case.
LOOKED_AT = 5000


@dataclass(frozen=True, kw_only=True)
class SentAs:
    """What an order for a patient says of it. `refused`: why it can't be sent at all; `notes`: what
    goes under another name than the record's."""

    label: str
    codes: list[str]
    notes: list[str]
    refused: str


@dataclass(frozen=True, kw_only=True)
class Word:
    """A breed or species of the registry, how it goes out, and how many living animals bear it."""

    species: str
    sent: Sent
    animals: int

    @property
    def species_label(self) -> str:
        return Species(self.species).label


@dataclass(frozen=True, kw_only=True)
class Strange:
    """A delivered code that no entry of the catalogue takes."""

    code: str
    name: str
    unit: str
    model: str
    times: int
    last_seen: datetime


@dataclass(frozen=True, kw_only=True)
class CodesPage:
    """`breeds` have no code at all, `substituted` go as something else. Each list is the most
    frequent SHOWN. `latest`: of so many animals they are, those that were here last; 0 where
    that is all of them. `known`: the laboratory's codes of breeds, by species."""

    label: str
    species: list[Word]
    breeds: list[Word]
    latest: int
    substituted: list[Word]
    strange: list[Strange]
    own: list[ClinicCode]
    tests: list[tuple[Panel, str]]
    analytes: list[Analyte]
    known: dict[str, list[tuple[str, str]]]


def sent_as(patient: Patient) -> SentAs:
    """How that patient goes out; `patient` with its clinic. One query."""
    vendor = vendors.default()
    sent = vendor.sent_as(
        species=patient.species,
        breed=patient.breed,
        sex=patient.sex,
        neutered=patient.neutered,
        codes=services.of_clinic(patient.clinic, vendor.name),
    )
    refused = any(each.how == "none" for each in sent)
    return SentAs(
        label=vendor.label,
        codes=[each.code for each in sent if each.code],
        notes=[note for each in sent if (note := _note(vendor.label, each))],
        refused=no_species(vendor.label, patient) if refused else "",
    )


def _note(label: str, sent: Sent) -> str:
    if sent.how == "substitute":
        return (
            f"{label} has no code for the {sent.kind} “{sent.word}”: it goes as {sent.code}, "
            f"{sent.meaning}."
        )
    if sent.how == "words":
        return (
            f"{label} has no code for the {sent.kind} “{sent.word}” that we know: it goes in these "
            "words."
        )
    return ""


def codes_page(clinic: Clinic) -> CodesPage:
    """Five statements."""
    vendor = vendors.default()
    own = list(
        ClinicCode.objects.filter(clinic=clinic, vendor=vendor.name).select_related("set_by")
    )
    codes = {
        (each.kind, each.species, each.key): each.code
        for each in own
        if each.kind != CodeKind.ANALYTE
    }
    living = Patient.objects.filter(clinic=clinic, deceased=False).order_by(
        Coalesce("latest_visit", "created_at").desc()
    )
    rows = list(living.values_list("species", "breed")[: LOOKED_AT + 1])
    words: dict[tuple[str, str, str], Word] = {}
    for (species, breed), number in Counter(rows[:LOOKED_AT]).items():
        for sent in vendor.sent_as(
            species=species, breed=breed, sex="", neutered=None, codes=codes
        )[:2]:
            key = (sent.kind, species, folded(sent.word))
            before = words[key].animals if key in words else 0
            words[key] = Word(species=species, sent=sent, animals=before + number)
    often = sorted(words.values(), key=lambda word: (-word.animals, word.sent.word))

    def that(how: str) -> list[Word]:
        return [word for word in often if word.sent.how == how][:SHOWN]

    return CodesPage(
        label=vendor.label,
        species=that("none"),
        breeds=that("words"),
        latest=LOOKED_AT if len(rows) > LOOKED_AT else 0,
        substituted=that("substitute"),
        strange=strange(clinic, {each.key for each in own if each.kind == CodeKind.ANALYTE}),
        own=own,
        tests=[(panel, vendor.test_code(panel.code, codes)) for panel in Panel.objects.all()],
        analytes=list(Analyte.objects.exclude(kind="image")),
        known={species: vendor.known_codes("breed", species) for species in Species.values},
    )


def strange(clinic: Clinic, taken: set[str]) -> list[Strange]:
    """Delivered codes without an entry, the newest first; `taken`: folded codes that the clinic has
    mapped since. One statement, over rows without an analyte only."""
    rows = (
        Observation.objects.filter(analyte=None, current=True, result__clinic=clinic)
        .exclude(code="")
        .exclude(value_kind="attachment")
        .order_by()
        .values("code")
        .annotate(
            times=Count("pk"),
            last_seen=Max("result__received_at"),
            any_name=Max("name"),
            any_unit=Max("unit"),
            any_model=Max("run__analyzer_model"),
        )
        .order_by("-last_seen", "code")
    )
    return [
        Strange(
            code=row["code"],
            name=row["any_name"],
            unit=row["any_unit"],
            model=row["any_model"],
            times=row["times"],
            last_seen=row["last_seen"],
        )
        for row in rows
        if folded(row["code"]) not in taken
    ][:SHOWN]
