"""Who may do what: the one table. A line is an address and a method, the words behind it say what
everybody gets there.

A word stands for three answers: to one's own clinic's object, to another clinic's, to one that does
not exist. `{}` is the line's own status, for those who may; `!` behind it: it changed something,
which the audit shows.

A wall screen's device, and an administrator who has given the password and no code yet (`halfway`),
are nobody everywhere but at what is theirs: of them the table has only that.
"""

from __future__ import annotations

ROLES = [
    "anonymous",
    "desk",
    "technician",
    "vet",
    "admin",
    "root",
    "entered",
    "disabled",
    "two",
    "locum",
    "heska",
    "wide",
    "rival",
    "screen",
    "halfway",
]
# Like `anonymous` in each audience that does not name them.
NOBODIES = ("screen", "halfway")
OBJECTS = ("own", "other", "missing")

WORDS = {
    # word: own, another clinic's, missing
    "may": ("{}", "404", "404"),
    "may*": ("{}", "{}", "{}"),  # the address names no object
    "own": ("{}", "404", "404"),
    "both": ("{}", "{}", "404"),  # a member of the other clinic too
    "login": ("302 login",) * 3,
    "door": ("302 admin",) * 3,
    "out": ("302!",) * 3,
    "away": ("302",) * 3,
    "outside": ("403",) * 3,  # works at no clinic, or not any more
    "role": ("403",) * 3,  # not in that role
    "late": ("403", "404", "404"),
    "desk": ("{}", "403", "404"),  # a vet here, at the front desk there
    "desk?": ("403", "403", "404"),
    "said": ("302", "404", "404"),  # refused in words, on the page one came from
    "said2": ("302", "302", "404"),
    "said3": ("{}", "302", "404"),
    "403": ("403",) * 3,
    "404": ("404",) * 3,
    "401": ("401",) * 3,
    "200": ("200",) * 3,
    "heska": ("{}", "403", "403"),
    "wide": ("{}", "{}", "202"),  # of no clinic: kept, and filed nowhere
    "rival": ("403", "{}", "403"),
}


def _everybody(words: list[str]) -> dict[str, str]:
    named = ROLES if len(words) == len(ROLES) else ROLES[: -len(NOBODIES)]
    found = dict(zip(named, words, strict=True))
    return {role: found.get(role, found["anonymous"]) for role in ROLES}


# For whom, in the order of ROLES.
AUDIENCES = {
    name: _everybody(words.split())
    for name, words in {
        #            anonym desk  techn vet   admin root    entered disabl two   locum   heska wide  rival
        "staff": "   login  may   may   may   may   outside outside login  both  outside login login login",
        "staff*": "  login  may*  may*  may*  may*  outside outside login  may*  outside login login login",
        # Also who works nowhere: what is one's own.
        "persons*": "login may*  may*  may*  may*  may*    may*    login  may*  may*    login login login",
        # Once the password was right. Everybody else is led to the sign-in page.
        "halves": "  away   away  away  away  away  away    away    away   away  away    away  away  away   away   may*",
        "walls": "   outside outside outside outside outside outside outside outside outside outside outside outside outside may* outside",
        # Whoever has the link, on a screen where nobody is signed in.
        "linked": "  both   both  both  both  both  both    both    both   both  both    both  both  both",
        "active": "  login  may   may   may   may   outside outside login  may   outside login login login",
        "lab": "     login  role  may   may   may   outside outside login  desk  outside login login login",
        "lab*": "    login  role  may*  may*  may*  outside outside login  may*  outside login login login",
        # Of what no vet has reviewed.
        "reads": "   login  late  may   may   may   outside outside login  desk  outside login login login",
        "late": "    login  late  may   may   may   outside outside login  desk  outside login login login",
        "labhere": " login  role  may   may   may   outside outside login  may   outside login login login",
        # Whatever one may see, one may try; who may do it, the service says.
        "orders": "  login  said  may   may   may   outside outside login  said3 outside login login login",
        "vets": "    login  said  said  may   said  outside outside login  said3 outside login login login",
        "admins": "  login  late  late  late  may   outside outside login  desk? outside login login login",
        "mergers": " login  late  late  may   may   outside outside login  desk  outside login login login",
        "ownadmins": "login role role  role  may   outside outside login  role  outside login login login",
        "admins*": " login  role  role  role  may*  outside outside login  role  outside login login login",
        "public": "  may*   may*  may*  may*  may*  may*    may*    may*   may*  may*    may*  may*  may*",
        # The admin's own way in leads to the one there is.
        "doors": "  login  away  away  away  away  away    away    login  away  away    login login login",
        "leavers": "may* out   out   out   out   out     out     may*   out   out     may*  may*  may*",
        "guests": "  may*   away  away  away  away  away    away    may*   away  away    may*  may*  may*",
        # Heska's programs. Who is signed in as a person is nobody there.
        "clients": " 401    401   401   401   401   401     401     401    401   401     may*  may*  may*",
        "results": " 401    401   401   401   401   401     401     401    401   401     may*  wide  may*",
        "orphans": " 401    401   401   401   401   401     401     401    401   401     heska wide  rival",
        # The Django admin. `root` has entered no clinic, `entered` the own one.
        "site*": "   door   door  door  door  may*  may*    may*    door   door  door    door  door  door",
        "site": "    door   door  door  door  may   404     may     door   door  door    door  door  door",
        "root*": "   door   door  door  door  role  may*    may*    door   door  door    door  door  door",
        "root": "    door   door  door  door  404   both    both    door   door  door    door  door  door",
        "adds": "   door   door  door  door  may*  200     may*    door   door  door    door  door  door",
        "nobody*": " door   door  door  door  role  role    role    door   door  door    door  door  door",
        "entry": "   door   door  door  door  404   both    both    door   door  door    door  door  door",
        "shared*": " door   door  door  door  may*  may*    may*    door   door  door    door  door  door",
        "shared": "  door   door  door  door  own   own     own     door   door  door    door  door  door",
        "nobody": "  door   door  door  door  late  404     late    door   door  door    door  door  door",
    }.items()
}

# name, method, kind of object, audience, status of those who may; then whoever gets something else.
TABLE = """
healthz                          GET  -          public    200
readyz                           GET  -          public    200
labs:login                       GET  -          guests    200
labs:login                       POST -          guests    200
labs:forgotten                   GET  -          public    200
labs:forgotten                   POST -          public    200
labs:new_password                GET  link       public    200
labs:new_password                POST link       public    200
labs:code                        GET  -          halves    200
labs:code                        POST -          halves    200
labs:enrol                       GET  -          halves    200
labs:enrol                       POST -          halves    200
labs:still                       GET  -          public    200
labs:still                       POST -          public    200   desk=204 technician=204 vet=204 admin=204 root=204 entered=204 two=204 locum=204
labs:account                     GET  -          persons*  200
labs:begin_app                   POST -          persons*  422!
labs:own_app                     GET  -          persons*  302
labs:own_app                     POST -          persons*  302
labs:app_off                     POST -          persons*  422!
labs:backup_codes                POST -          persons*  422!
labs:own_pin                     POST -          persons*  422!
labs:pin_off                     POST -          persons*  302
labs:switch                      GET  -          staff*    200
labs:switch                      POST -          staff*    422
labs:wall                        GET  -          walls     200
labs:pair_screen                 GET  pairing    linked    200
labs:pair_screen                 POST pairing    linked    302!
labs:screens                     GET  -          admins*   200
labs:new_screen                  POST -          admins*   200!
labs:screen_link                 POST screen     admins    200!
labs:revoke_screen               POST screen     admins    302!
labs:logout                      POST -          leavers   302
labs:worklist                    GET  -          staff*    200   desk=302
labs:nav                         GET  -          staff*    200
labs:hide_first_steps            POST -          admins*   302!
labs:clinic                      GET  -          staff*    200
labs:clinic                      POST -          staff*    302
labs:find                        GET  -          staff*    302
labs:patients                    GET  -          staff*    200
labs:import_patients             GET  -          admins*   200
labs:import_patients             POST -          admins*   302!
labs:new_patient                 GET  -          staff*    200
labs:new_patient                 POST -          staff*    302!
labs:patient                     GET  patient    staff     200
labs:trends                      GET  patient    staff     200
labs:type_result                 GET  patient    lab       200
labs:type_result                 POST patient    lab       302!
labs:correct_typed               GET  typed      lab       200
labs:correct_typed               POST typed      lab       302!
labs:edit_patient                GET  patient    staff     200
labs:edit_patient                POST patient    staff     302!
labs:merge_patient               GET  patient    mergers   200
labs:merge_patient               POST patient    mergers   302!
labs:deceased                    POST patient    staff     302!
labs:owner                       GET  owner      staff     200
labs:edit_owner                  GET  owner      staff     200
labs:edit_owner                  POST owner      staff     302!
labs:litter                      GET  owner      staff     200
labs:litter                      POST owner      staff     302!
labs:merge                       GET  merge      mergers   200
labs:merge                       POST merge      mergers   302!
labs:new_request                 GET  -          lab*      200
labs:new_request                 POST -          lab*      302!
labs:typeahead                   GET  -          lab*      200
labs:request                     GET  request    reads     200
labs:request                     GET  signed     staff     200
labs:sign                        POST request    vets      302!
labs:versions                    GET  versions   lab       200
labs:review_many                 GET  -          lab*      200   technician=403 admin=403
labs:review_many                 POST -          lab*      302   technician=403 admin=403
labs:say_told                    GET  request    lab       302
labs:say_told                    POST request    lab       302!
labs:follow_up                   GET  request    lab       302
labs:follow_up                   POST request    lab       302!
labs:follow_up_done              POST follow_up  lab       302!
labs:hand_over                   POST request    lab       302   vet=302! two=302!
labs:choose                      POST request    orders    302
labs:again                       POST request    orders    302!
labs:tube_labels                 GET  request    lab       200
labs:cancel                      POST open       orders    302!
labs:resubmit                    POST stuck      orders    302!
labs:give_emergency              POST -          lab*      302!
labs:emergency                   GET  emergency  labhere   200
labs:emergency_hits              GET  emergency  labhere   200
labs:choose_emergency            POST emergency  labhere   302!
labs:close_emergency             POST emergency  labhere   302!
labs:attachment                  GET  file       reads     200
labs:unmatched                   GET  -          lab*      200
labs:match                       GET  orphan     lab       200
labs:match                       POST orphan     lab       302!
labs:match_search                GET  orphan     lab       200
labs:hold                        POST orphan     lab       302!
labs:dismiss                     POST orphan     lab       302!
labs:reopen                      POST held       lab       302!
labs:unmatch                     POST matched    lab       302!
labs:unmatched_history           GET  orphan     lab       200
labs:match_move                      POST matched    lab       302!
labs:match_new                   GET  orphan     lab       200
labs:match_new                   POST orphan     lab       302!
labs:unmatched_quality           GET  -          lab*      200
labs:unmatched_quality           POST -          lab*      302
labs:match_changed                   GET  orphan     lab       200
labs:match_confirm                   POST matched    lab       422
labs:match_split                     POST orphan     lab       422
labs:move_request                GET  request    late      200
labs:move_request                POST request    late      302!
labs:owner_report                GET  request    reads     200
labs:owner_report                GET  signed     staff     200
labs:owner_report_pdf            POST request    late      200!
labs:send_report                 POST request    late      302!
labs:told_owner                  POST request    late      302
labs:reconciliation              GET  -          staff*    200
labs:charge                      POST -          staff*    302!
labs:charges_export              GET  -          staff*    200!
labs:logo                        GET  -          staff*    404
labs:printed                     POST request    staff     204!
labs:catalogue                   GET  -          lab*      200
labs:own_panel                   POST -          admins*   302!
labs:own_ranges                  GET  -          lab*      200
labs:add_range                   POST -          admins*   302!
labs:end_range                   POST range      admins    302!
labs:analyzer_state              POST labs_analyzer lab    302!
labs:codes                       GET  -          admins*   200
labs:assign_code                 POST -          admins*   302!
labs:remove_code                 POST code       admins    302!
labs:owner_data                  GET  owner      admins    200
labs:owner_export                GET  owner      admins    200!
labs:erase_owner                 POST owner      admins    302
labs:alarms                      GET  -          lab*      200
labs:acknowledge                 POST alarm      lab       302!
labs:duty                        POST -          lab*      302!
labs:limits                      GET  -          admins*   200
labs:set_limit                   POST -          admins*   302!
labs:escalate_wait               POST -          admins*   302!
labs:remove_limit                POST limit      admins    302!
labs:audit                       GET  -          admins*   200
labs:audit_export                GET  -          admins*   200!
labs:messages                    GET  -          admins*   200
labs:message                     GET  message    admins    200
labs:message_body                GET  message    admins    200!
labs:replay                      POST bad        admins    302!
labs:replay_all                  POST -          admins*   302!
labs:reread                      POST message    admins    302
heska_pages:health               GET  clinic     admins    200
heska_pages:credentials          POST clinic     admins    422
heska_pages:test                 POST clinic     admins    302!
heska_pages:test_order           POST clinic     admins    302!
heska_pages:address              POST clinic     admins    302!
heska_pages:hours                POST clinic     admins    302!
heska_pages:make_client          POST clinic     admins    200!
heska_pages:revoke               GET  client     ownadmins 200
heska_pages:revoke               POST client     ownadmins 302!
heska_pages:missing              GET  clinic     admins    200!
heska:token                      POST -          clients   200
heska:result                     POST key        results   202!
heska:unmatched                  POST clinic     orphans   201!
admin:index                      GET  -          site*     200
admin:login                      GET  -          doors     302
admin:logout                     POST -          public    302
admin:jsi18n                     GET  -          site*     200
admin:password_change            GET  -          site*     200
admin:password_change            POST -          site*     200
admin:password_change_done       GET  -          site*     200
admin:autocomplete               GET  -          site*     403
admin:app_list                   GET  app        site*     200
admin:labs_clinic_changelist     GET  -          site*     200
admin:labs_clinic_changelist     POST -          site*     200
admin:labs_clinic_add            GET  -          root*     200
admin:labs_clinic_add            POST -          root*     302!
admin:labs_clinic_change         GET  labs_clinic site     200
admin:labs_clinic_change         POST labs_clinic site     302!
admin:labs_clinic_history        GET  labs_clinic site     200
admin:labs_clinic_delete         GET  labs_clinic site     403   entered=200
admin:labs_clinic_delete         POST labs_clinic site     403   entered=200
admin:labs_clinic_enter          GET  labs_clinic entry    200
admin:labs_clinic_enter          POST labs_clinic entry    302!
admin:labs_unmatchedresult_match        GET  orphan site   200
admin:labs_unmatchedresult_match        POST orphan site   403   admin=302!
admin:labs_unmatchedresult_match_search GET  orphan site   200
admin:labs_unmatchedresult_match_move         POST matched site  403   admin=302!
admin:labs_unmatchedresult_match_split        POST orphan site   403   admin=422
admin:labs_unmatchedresult_match_confirm      POST matched site  403   admin=422
admin:labs_unmatchedresult_match_new  GET  orphan site   200   entered=403
admin:labs_unmatchedresult_match_new  POST orphan site   403   admin=302!
admin:labs_unmatchedresult_match_changed      GET  orphan site   200
admin:labs_unmatchedresult_hold         POST orphan site   403   admin=302!
admin:labs_unmatchedresult_dismiss      POST orphan site   403   admin=302!
admin:labs_unmatchedresult_reopen       POST held   site   403   admin=302!
admin:labs_unmatchedresult_unmatch      POST matched site  403   admin=302!
"""
# The Django admin's pages of each model: who may look, and what a row's page, its history, its
# deletion, a new one and a change answer: to those who see the row at all.
#                       list    row     add    change  delete
MODELS = """
labs_analyte            shared  200     403    403     403
labs_panel              shared  200     403    403     403
labs_analyzer           site    200     200    302!    302!
labs_owner              site    200     200    302!    302!
labs_patient            site    200     200    302!    200
labs_visit              site    200     200    302!    302!
labs_membership         site    200     200    302!    302!
labs_labrequest         site    200     403    403     403
labs_labresult          site    200     403    403     403
labs_message            site    200     403    403     403
labs_submission         site    200     403    403     403
labs_labevent           site    200     403    403     403
labs_matchdecision      site    200     403    403     403
labs_review             site    200     403    403     403
labs_unmatchedresult    site    302     403    302     403
heska_connection        site    200     403    403     403
heska_inboundclient     site    200     403    403     403
"""
