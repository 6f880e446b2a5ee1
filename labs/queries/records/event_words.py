"""The audit in words. Pure functions over loaded rows."""

from __future__ import annotations

from typing import Any

from labs.models import LabEvent, Link, RequestState

EVENT_WORDS = {
    "request.placed": "placed the request",
    "request.add_on": "added tests",
    "request.rerun": "ordered these tests again",
    "request.test": "marked it as a test of the connection, on no animal",
    "request.cancelled": "cancelled the request",
    "request.created": "made the request",
    "submission.accepted": "accepted the order",
    "submission.rejected": "refused the order",
    "submission.unsendable": "could not be sent the order, it holds what has no code there",
    "submission.queued": "could not be reached, the order is tried again",
    "submission.unknown": "gave no clear answer, the order is sent again under the same id",
    "submission.needs_attention": "could not take the order, a person must look",
    "submission.held": "stopped the order until the set-up is mended",
    "submission.released": "let the order go again",
    "submission.cancelled": "did not send the order, it was cancelled",
    "submission.cancelled_unknown": "gave no clear answer, and the order is not sent again: it was "
    "cancelled meanwhile",
    "submission.resubmitted": "sent the order again",
    "request.withdrawn": "took what was run by hand out of the order",
    "request.not_withdrawn": "could not take what was run by hand out of the order, it had left",
    "result.filed": "delivered results",
    "result.typed": "typed a result in",
    "result.typed_again": "corrected what was typed",
    "clinic.first_steps_hidden": "took the list of first steps away",
    "catalogue.panel": "changed the clinic's settings of a test",
    "interval.set": "set an own reference interval",
    "interval.ended": "ended an own reference interval",
    "analyzer.down": "marked an analyzer as down",
    "analyzer.running": "marked an analyzer as running again",
    "message.replayed": "had messages from quarantine read again",
    "result.reread": "read a stored message again, differently",
    "result.reviewed": "signed the results",
    "result.sent": "sent the report to the owner by e-mail",
    "result.not_sent": "could not send the report: the mail server did not take it",
    "result.told": "told an owner who had an earlier report",
    "request.charged": "marked the request as charged",
    "request.uncharged": "took back that the request was charged",
    "owner.created": "added an owner",
    "owner.viewed": "looked at all that is held on an owner",
    "owner.exported": "exported all that is held on an owner",
    "owner.erased": "erased what is held on an owner",
    "charges.exported": "exported what is not charged",
    "result.chosen": "chose which run to report",
    "unmatched.received": "delivered a result that belongs to no request",
    "unmatched.match": "put the result on the patient's record",
    "unmatched.unmatch": "took the match back",
    "unmatched.hold": "held the result",
    "unmatched.dismiss": "dismissed the result",
    "unmatched.reopen": "opened the result again",
    "unmatched.confirm": "looked at the automatic match: it is right",
    "unmatched.check": "checked as a second person what was attached against a contradiction",
    "automatic.off": "switched automatic matching off",
    "automatic.shadow": "had automatic matching tried in shadow",
    "automatic.on": "switched automatic matching on",
    "automatic.stopped": "disagreed with the rule: automatic matching went off",
    "unmatched.split": "split the result between two animals",
    "request.moved": "moved the request to another animal",
    "result.viewed": "looked at the results",
    "record.viewed": "looked at a record in the administration",
    "unmatched.viewed": "looked at an unmatched result",
    "file.viewed": "opened a file that came with results",
    "result.printed": "printed the results",
    "patient.viewed": "opened the patient's record",
    "trends.viewed": "looked at the patient's trends",
    "audit.exported": "exported the audit",
    "message.viewed": "read a message of the laboratory's",
    "message.exported": "downloaded a message of the laboratory's",
    "request.missing_exported": "exported the list of results that never came",
    "clinic.entered": "entered the clinic as the operator",
    "staff.signed_in": "signed in",
    "staff.signed_out": "signed out",
    "staff.sign_in_failed": "gave a wrong password",
    "staff.sign_in_slowed": "gave so many wrong passwords that they must wait between tries",
    "staff.factor_made": "set up a second factor",
    "staff.factor_failed": "gave a wrong code of the second factor",
    "staff.factor_off": "took their own second factor away",
    "staff.factor_reset": "took a member of staff's lost second factor away",
    "staff.backup_code_used": "signed in with a backup code",
    "staff.backup_codes_made": "made new backup codes",
    "staff.pin_set": "set a PIN",
    "staff.pin_off": "took their PIN away",
    "staff.pin_failed": "gave a wrong PIN",
    "staff.pin_locked": "gave so many wrong PINs that only the password helps",
    "staff.switched": "took a workstation over by PIN",
    "screen.made": "made a wall screen",
    "screen.link": "made a new link for a wall screen",
    "screen.paired": "paired a wall screen",
    "screen.revoked": "revoked a wall screen",
    "staff.mail_asked": "asked for a mail to set a new password",
    "staff.password_set": "set a new password by the link in a mail",
    "staff.password_changed": "changed their own password",
    "staff.invited": "sent a member of staff a mail to set their password",
    "staff.created": "added a member of staff",
    "staff.role": "changed a member of staff's role",
    "staff.ends": "changed when a member of staff's access ends",
    "staff.login": "changed a login",
    "staff.removed": "took a member of staff's place away",
    "digest.sent": "sent the daily mail about unmatched results",
    "alarm.raised": "said that a person has to look at this now",
    "alarm.acknowledged": "acknowledged the alarm",
    "alarm.corrected": "corrected what the alarm was about before anybody had acknowledged it",
    "alarm.reassessed": "held what the alarm was about against another species' limits",
    "duty.changed": "changed who is on duty",
    "escalation.changed": "changed after how long everybody is told",
    "limit.set": "set a critical limit",
    "limit.removed": "took a critical limit away",
    "result.owner_told": "told the owner",
    "followup.made": "asked for a follow-up",
    "followup.done": "did the follow-up",
    "review.handed_over": "gave the review to a colleague",
    "emergency.given": "gave an emergency code",
    "emergency.chosen": "chose the patient of an emergency code",
    "emergency.closed": "closed an emergency code",
    "patient.created": "added the patient",
    "patient.changed": "changed the patient's record",
    "patient.updated": "changed the patient's record",
    "patients.imported": "imported patients from a file",
    "visits.imported": "imported visits from a file",
    "owner.changed": "changed an owner's record",
    "patient.merged": "merged two records of one animal",
    "patient.unmerged": "separated two merged records again",
}
LINKED = {Link.ADD_ON: "added to", Link.RERUN: "run again after"}
SOURCES = {
    "automatic": "Automatic matching",
    "sign-in": "Somebody at the sign-in page",
    "system": "The system",
    "command": "An operator",
}


def event_who(event: LabEvent) -> str:
    if event.actor:
        return event.actor.get_full_name() or event.actor.get_username()
    return SOURCES.get(event.source, event.source.capitalize()) or "The system"


def event_what(event: LabEvent) -> str:
    """The audit row as the second half of a sentence whose subject is `event_who`."""
    data: dict[str, Any] = event.data or {}
    if event.verb == "request.state":
        label = dict(RequestState.choices).get(data.get("to", ""), data.get("to", ""))
        return f"moved the request to {str(label).lower()}"
    return EVENT_WORDS.get(event.verb, event.verb.replace(".", " ").replace("_", " "))


def event_said(event: LabEvent) -> str:
    """What the person wrote with it. Load events with their `words`."""
    return event.words.text if hasattr(event, "words") else ""


def event_detail(event: LabEvent) -> str:
    """The reason or the error that stands with it, if any."""
    data: dict[str, Any] = event.data or {}
    said = event_said(event)
    if event.verb.startswith("submission.") and data.get("error"):
        return f"Attempt {data.get('attempt')}: {data['error']}"
    if event.verb == "submission.resubmitted" and data.get("not_there"):
        return "having looked at the analyzer, that it is not there"
    if event.verb == "request.placed":
        tests = ", ".join(data.get("tests", []))
        return f"{tests}; {LINKED[data['link']]} {data['beside']}" if "link" in data else tests
    if event.verb in ("request.withdrawn", "request.not_withdrawn"):
        return ", ".join(data.get("tests", []))
    if event.verb in ("request.add_on", "request.rerun"):
        return f"as {data['made']}"
    if event.verb == "patient.merged":
        return f"{data['was']} into {data['to']}"
    if event.verb == "patient.unmerged":
        return f"{data['was']} from {data['to']}: {said}"
    if event.verb == "request.moved":
        return f"from {data['was']} to {data['to']}: {said}"
    return said or (str(data.get("reason", "")) if event.verb == "automatic.stopped" else "")
