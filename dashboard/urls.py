"""Every address of the console. Its one rule: a new address appears in the permission matrix test, or that test fails."""

from django.urls import path

from dashboard.views import (
    audit,
    connections,
    exports,
    health,
    hooks,
    instance_list,
    instances,
    operations,
    overview,
    preferences,
    sign_in,
    team,
    trigger,
    workflows,
)

urlpatterns = [
    path("", overview.index, name="overview"),
    path("seen/", overview.mark_seen, name="overview-seen"),
    path("signin/", sign_in.page, name="signin"),
    path("signin/start/", sign_in.start, name="signin-start"),
    path("oauth/callback/", sign_in.callback, name="oauth-callback"),
    path("signout/", sign_in.sign_out, name="signout"),
    path("account/switch/", connections.switch, name="account-switch"),
    path("preferences/theme/", preferences.theme, name="theme"),
    path("preferences/zone/", preferences.zone, name="zone"),
    path("preferences/", preferences.page, name="preferences"),
    path("connections/", connections.index, name="connections"),
    path("connections/disconnect/", connections.disconnect, name="connection-disconnect"),
    path("team/", team.index, name="team"),
    path("team/<int:membership_id>/role/", team.change_role, name="team-role"),
    path("workflows/", workflows.index, name="workflows"),
    path("workflows/refresh/", workflows.refresh_all, name="workflows-refresh"),
    path("workflows/<uuid:workflow_id>/", workflows.detail, name="workflow"),
    path("workflows/<uuid:workflow_id>/refresh/", workflows.refresh, name="workflow-refresh"),
    path("workflows/<uuid:workflow_id>/pause/", workflows.pause, name="workflow-pause"),
    path("workflows/<uuid:workflow_id>/resume/", workflows.resume, name="workflow-resume"),
    path("workflows/<uuid:workflow_id>/trigger/", trigger.page, name="workflow-trigger"),
    path("workflows/<uuid:workflow_id>/trigger/preview/", trigger.preview, name="workflow-trigger-preview"),
    path("workflows/<uuid:workflow_id>/trigger/refresh/", trigger.refresh, name="workflow-trigger-refresh"),
    path("instances/", instance_list.index, name="instances"),
    path("instances/workflows/", instance_list.suggest_workflows, name="instance-workflows"),
    path("instances/people/", instance_list.suggest_people, name="instance-people"),
    path("instances/export/", exports.instances, name="instance-export"),
    path("instances/<uuid:instance_id>/", instances.detail, name="instance"),
    path("instances/<uuid:instance_id>/refresh/", instances.refresh, name="instance-refresh"),
    path("instances/<uuid:instance_id>/cancel/", instances.cancel, name="instance-cancel"),
    path("instances/<uuid:instance_id>/link/", instances.reveal, name="instance-reveal"),
    path("operations/<uuid:operation_id>/", operations.detail, name="operation"),
    path("operations/<uuid:operation_id>/settle/", operations.settle, name="operation-settle"),
    path("audit/", audit.index, name="audit"),
    path("hooks/docusign/<slug:token>/", hooks.receive, name="hook"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]

handler400 = "dashboard.views.problems.bad_request"
handler403 = "dashboard.views.problems.forbidden"
handler404 = "dashboard.views.problems.not_found"
handler500 = "dashboard.views.problems.server_error"
