from __future__ import annotations

from labs.models.account import BackupCode, Pin, SecondFactor
from labs.models.alarm import Alarm, AlarmNotice, CriticalLimit
from labs.models.care import FollowUp, HandOver, OwnerTold
from labs.models.catalogue import Analyte, Panel, PanelAnalyte, ReferenceInterval
from labs.models.check import JournalCheck
from labs.models.clinic import Analyzer, Automatic, Clinic, ClinicLogo, Membership, Role
from labs.models.code import ClinicCode, CodeKind
from labs.models.emergency import EmergencyCode
from labs.models.event import EventWords, LabEvent
from labs.models.looking import Looking
from labs.models.merge import Merge
from labs.models.message import Blanked, Message, MessageState
from labs.models.own import OwnInterval, OwnPanel
from labs.models.patient import Owner, Patient, Sex, Species, Visit, Weight
from labs.models.request import (
    LabRequest,
    Link,
    Priority,
    RequestedTest,
    RequestState,
    Specimen,
    TestState,
)
from labs.models.result import (
    Attachment,
    Flag,
    LabResult,
    Observation,
    ResultStatus,
    Review,
    ReviewState,
    TestRun,
)
from labs.models.submission import Submission, SubmissionState
from labs.models.tries import Tries
from labs.models.turnaround import Turnaround
from labs.models.unmatched import (
    MatchDecision,
    UnmatchedReason,
    UnmatchedResult,
    UnmatchedState,
)
from labs.models.vocabulary import NameCount, Vocabulary
from labs.models.wall import WallScreen

__all__ = [
    "Alarm",
    "AlarmNotice",
    "Analyte",
    "Analyzer",
    "Attachment",
    "Automatic",
    "BackupCode",
    "Blanked",
    "Clinic",
    "ClinicCode",
    "ClinicLogo",
    "CodeKind",
    "CriticalLimit",
    "EmergencyCode",
    "EventWords",
    "Flag",
    "FollowUp",
    "HandOver",
    "JournalCheck",
    "LabEvent",
    "LabRequest",
    "LabResult",
    "Link",
    "Looking",
    "MatchDecision",
    "Membership",
    "Merge",
    "Message",
    "MessageState",
    "NameCount",
    "Observation",
    "OwnInterval",
    "OwnPanel",
    "Owner",
    "OwnerTold",
    "Panel",
    "PanelAnalyte",
    "Patient",
    "Pin",
    "Priority",
    "ReferenceInterval",
    "RequestState",
    "RequestedTest",
    "ResultStatus",
    "Review",
    "ReviewState",
    "Role",
    "SecondFactor",
    "Sex",
    "Species",
    "Specimen",
    "Submission",
    "SubmissionState",
    "TestRun",
    "TestState",
    "Tries",
    "Turnaround",
    "UnmatchedReason",
    "UnmatchedResult",
    "UnmatchedState",
    "Visit",
    "Vocabulary",
    "WallScreen",
    "Weight",
]
