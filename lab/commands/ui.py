"""The page for the room."""

import json

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(
    changes=True,
    help={
        "user": "sign in as this tenant (the instructor)",
        "browser": "open a browser where there is a screen (--no-browser)",
        "json_": "print JSON",
    },
)
def ui(ctx: Context, user: str = "", browser: bool = True, json_: bool = False) -> None:
    """Open the dashboard, signed in: ./inv ui, or ./inv ui --user 07 for a tenant's page"""
    from lab import ui as dashboard
    from lab import world

    loaded = world.load()
    tenant = loaded.settings.one(user) if user else None
    started = dashboard.start_agent(loaded)
    found = dashboard.invite(loaded, tenant)
    if json_:
        print(json.dumps({"who": found.who, "url": found.url, "page": found.page, "code": found.code}))
        return
    if started:
        print(t("the checks now run whenever something changes (./inv down ends them)"))
    print(t("sign in as {who} within two minutes, once:\n\n  {url}\n", who=found.who, url=found.url))
    print(t("or open {page} and type the code {code}", page=found.page, code=found.code))
    if browser:
        dashboard.open_browser(found.url)
