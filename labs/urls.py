from __future__ import annotations

from django.urls import include, path

from labs.views import (
    attachments,
    codes,
    emergency,
    home,
    matching,
    messages,
    ordering,
    patients,
    requests,
    session,
    unmatched,
)

app_name = "labs"

urlpatterns = [
    path("", home.worklist, name="worklist"),
    path("nav/", home.navigation, name="nav"),
    path("login/", session.login, name="login"),
    path("logout/", session.logout, name="logout"),
    path("clinic/", session.clinic, name="clinic"),
    path("search/", patients.find, name="find"),
    path("patients/", patients.index, name="patients"),
    path("patients/new/", patients.new, name="new_patient"),
    path("patients/<uuid:uuid>/", patients.page, name="patient"),
    path("patients/<uuid:uuid>/edit/", patients.edit, name="edit_patient"),
    path("requests/new/", ordering.new, name="new_request"),
    path("requests/new/patients/", ordering.typeahead, name="typeahead"),
    path("requests/<str:lab_report_id>/", requests.page, name="request"),
    path("requests/<str:lab_report_id>/sign/", requests.sign, name="sign"),
    path("requests/<str:lab_report_id>/choose/", requests.choose, name="choose"),
    path("requests/<str:lab_report_id>/again/", requests.again, name="again"),
    path("requests/<str:lab_report_id>/cancel/", requests.cancel, name="cancel"),
    path("requests/<str:lab_report_id>/resubmit/", requests.resubmit, name="resubmit"),
    path("emergency/", emergency.give, name="give_emergency"),
    path("emergency/<str:code>/", emergency.page, name="emergency"),
    path("emergency/<str:code>/patients/", emergency.typeahead, name="emergency_hits"),
    path("emergency/<str:code>/choose/", emergency.choose, name="choose_emergency"),
    path("emergency/<str:code>/close/", emergency.close, name="close_emergency"),
    path("attachments/<uuid:uuid>/", attachments.attachment, name="attachment"),
    path("unmatched/", unmatched.index, name="unmatched"),
    path("unmatched/", include(matching.patterns())),
    path("unmatched/<uuid:uuid>/history/", unmatched.history, name="unmatched_history"),
    path("codes/", codes.index, name="codes"),
    path("codes/assign/", codes.assign, name="assign_code"),
    path("codes/<int:pk>/remove/", codes.remove, name="remove_code"),
    path("messages/", messages.index, name="messages"),
    path("messages/replay/", messages.replay_all, name="replay_all"),
    path("messages/<str:receipt_id>/", messages.page, name="message"),
    path("messages/<str:receipt_id>/body/", messages.body, name="message_body"),
    path("messages/<str:receipt_id>/replay/", messages.replay, name="replay"),
    path("messages/<str:receipt_id>/reread/", messages.reread, name="reread"),
]
