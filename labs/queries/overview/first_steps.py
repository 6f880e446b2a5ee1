"""What a clinic that is new here has still to do before its first result."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.urls import reverse

from labs import vendors
from labs.models import Analyzer, Clinic, LabRequest, Membership, Patient


@dataclass(frozen=True, kw_only=True)
class Step:
    """`href`: the page where it is done."""

    title: str
    why: str
    href: str
    done: bool


def first_steps(clinic: Clinic) -> list[Step]:
    """In the order in which they are done. Two statements."""
    vendor = vendors.default()
    mine = {"clinic": OuterRef("pk")}
    others = Membership.objects.filter(**mine, user__is_active=True).exclude(role="admin")
    sent = LabRequest.objects.filter(**mine, submission__accepted_at__isnull=False)
    has = (
        Clinic.objects.filter(pk=clinic.pk)
        .annotate(
            staff=Exists(others),
            analyzers=Exists(Analyzer.objects.filter(**mine, in_use=True)),
            patients=Exists(Patient.objects.filter(**mine, is_test=False)),
            sent=Exists(sent),
        )
        .values("staff", "analyzers", "patients", "sent")
        .get()
    )
    set_up = vendor.set_up_page(clinic)
    return [
        Step(
            title="Add your staff",
            why="Technicians order, veterinarians sign; each with a login of their own.",
            href=reverse("admin:labs_membership_add"),
            done=has["staff"],
        ),
        Step(
            title="List your analyzers",
            why="Then only what they measure can be ordered.",
            href=reverse("admin:labs_analyzer_add"),
            done=has["analyzers"],
        ),
        Step(
            title=f"Connect {vendor.label}",
            why="With the two words that you got from there.",
            href=set_up,
            done=vendor.is_connected(clinic),
        ),
        Step(
            title="Import your patients",
            why="From a CSV file of your own program; or add them one by one.",
            href=reverse("labs:import_patients"),
            done=has["patients"],
        ),
        Step(
            title="Send a test",
            why="An order for an animal that is none, to see that it arrives.",
            href=set_up,
            done=has["sent"],
        ),
    ]
