"""The dashboard's routes. Each begins by asking what this visitor may see now; pages are rendered here and kept true by `live`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from kubeflow_lite.dashboard import live, paint, pressing, reports, view
from kubeflow_lite.dashboard.board import Board
from kubeflow_lite.dashboard.entrance import Entrance
from kubeflow_lite.dashboard.languages import LANGUAGES, Language, Translate, choose
from kubeflow_lite.dashboard.live import Boards
from kubeflow_lite.dashboard.mirror import Mirror
from kubeflow_lite.dashboard.notebook import Door
from kubeflow_lite.dashboard.panels import Panels
from kubeflow_lite.dashboard.sampler import CLASS, Sampler
from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube.client import Client
from kubeflow_lite.web import guard, pages, reviews
from kubeflow_lite.web.reviews import Reviews
from kubeflow_lite.web.sessions import Identity, Session

_NAME = "[a-z0-9][a-z0-9-]*"
_TENANT = f"/tenants/{{namespace:{_NAME}}}"
_NOTEBOOK = f"/notebook/{{namespace:{_NAME}}}/{{name:{_NAME}}}"
_PATIENCE = 10.0


@dataclass
class Dashboard:
    """`system` is the namespace where the lab's agent and this program meet."""

    client: Client
    mirror: Mirror
    sampler: Sampler
    panels: Panels
    reviews: Reviews
    door: Door
    system: str

    def __post_init__(self) -> None:
        self.boards = Boards(self.mirror)
        self.entrance = Entrance(self.reviews, self.welcome, self._sign_in_page)

    def application(self, hosts: Sequence[str] = ()) -> web.Application:
        app = pages.guarded(hosts)
        app.middlewares.extend([_say_unavailable, guard.sessions(self.entrance.sessions), guard.own_pages_only])
        app.add_routes(self.entrance.routes())
        app.add_routes(
            [
                web.get("/", self.front),
                web.get("/live", self.front_live),
                web.get(_TENANT, self.tenant),
                web.get(f"{_TENANT}/live", self.tenant_live),
                web.get(f"{_TENANT}/checks/{{code:[A-Z]{{2}}[0-9]{{2}}}}", self.check),
                web.post("/requests", self.press),
                web.get("/language/{lang:en|ko}", self.language),
                web.route("*", _NOTEBOOK, self.notebook),
                web.route("*", _NOTEBOOK + "/{rest:.*}", self.notebook),
            ]
        )
        return app

    # What a visitor may see

    async def instructs(self, session: Session) -> bool:
        return await self.reviews.may(session.who, reviews.INSTRUCT)

    async def welcome(self, who: Identity) -> bool:
        """An instructor, or somebody whose own namespace is a tenant's."""
        if await self.reviews.may(who, reviews.INSTRUCT):
            return True
        return self.panels.person(who.home) is not None and await self.reviews.may(who, reviews.see(who.home))

    async def sees(self, session: Session, where: str) -> bool:
        """Tenants their own namespace, as long as Kubernetes lets them list its pods; instructors every tenant's."""
        if await self.instructs(session):
            return True
        return session.who.home == where and await self.reviews.may(session.who, reviews.see(where))

    async def require_sight(self, request: web.Request) -> tuple[Session, view.Person]:
        """One answer for what is not there and for what is not the visitor's: nobody learns who else is in the class."""
        session, where = guard.require_session(request), request.match_info["namespace"]
        person = self.panels.person(where)
        if person is None or not await self.sees(session, where):
            raise web.HTTPForbidden(text=f"{where} is not yours to see\n")
        return session, person

    async def require_instructor(self, request: web.Request) -> Session:
        session = guard.require_session(request)
        if not await self.instructs(session):
            raise web.HTTPForbidden(text="this is the instructor's\n")
        return session

    # Pages

    async def front(self, request: web.Request) -> web.StreamResponse:
        session = guard.require_session(request)
        if not await self.instructs(session):
            raise web.HTTPSeeOther(f"/tenants/{session.who.home}")
        told = self.panels.told()
        variables = {
            "instructor": True,
            "board": self._whole(request),
            "live": "/live",
            "columns": reports.checks(told),
            "faults": reports.faults(told),
            "people": [one for one in self.panels.people() if one.num],
        }
        return await paint.unfold(request, self._text(request, "class.html", variables))

    async def front_live(self, request: web.Request) -> web.StreamResponse:
        session = await self.require_instructor(request)

        async def still() -> bool:
            return self._signed_in(request) and await self.instructs(session)

        with self.sampler.viewing(CLASS):
            return await live.stream(request, lambda: self._whole(request), self.mirror, still)

    async def tenant(self, request: web.Request) -> web.StreamResponse:
        session, person = await self.require_sight(request)
        variables = {
            "instructor": await self.instructs(session),
            "board": self._own(request, person.namespace),
            "live": f"/tenants/{person.namespace}/live",
            "person": person,
            "mine": session.who.home == person.namespace,
        }
        return self._page(request, "tenant.html", variables)

    async def tenant_live(self, request: web.Request) -> web.StreamResponse:
        session, person = await self.require_sight(request)
        where = person.namespace

        async def still() -> bool:
            return self._signed_in(request) and await self.sees(session, where)

        with self.sampler.viewing(where):
            return await live.stream(request, lambda: self._own(request, where), self.mirror, still)

    async def check(self, request: web.Request) -> web.StreamResponse:
        """One cell of the grid in words: what the page's dialog shows, and a page for those without script."""
        _, person = await self.require_sight(request)
        found = self.panels.result(person.namespace, request.match_info["code"])
        if found is None:
            raise web.HTTPNotFound(text="there is no such check\n")
        template = "check-part.html" if "part" in request.query else "check.html"
        return self._page(request, template, {"person": person, "check": found[0], "result": found[1]})

    async def press(self, request: web.Request) -> web.StreamResponse:
        """A button: the agent on the host does what it says."""
        fields = await guard.require_form(request)
        session = guard.require_session(request)
        own = self.panels.person(session.who.home)
        by = own.num if own else session.who.username.rpartition(":")[2]
        try:
            wanted = pressing.request(fields, by=by, system=self.system)
        except pressing.Unusable as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        if not await self._may_press(session, wanted["data"], own):
            raise web.HTTPForbidden(text="this is the instructor's\n")
        await self.client.create("v1/configmaps", wanted)
        scripted = "X-CSRF-Token" in request.headers
        return web.Response(status=204) if scripted else web.Response(status=303, headers={"Location": "/"})

    async def _may_press(self, session: Session, data: Mapping[str, str], own: view.Person | None) -> bool:
        if await self.instructs(session):
            return True
        theirs = own is not None and own.num != "" and data["user"] == own.num
        return theirs and data["verb"] in pressing.TENANTS_VERBS and await self.sees(session, session.who.home)

    async def notebook(self, request: web.Request) -> web.StreamResponse:
        session = guard.require_session(request)
        where, name = request.match_info["namespace"], request.match_info["name"]
        own = session.who.home == where and await self.reviews.may(session.who, reviews.enter(where))
        if not own or await self.instructs(session):
            raise web.HTTPForbidden(text=f"the Notebooks of {where} are its tenant's alone\n")
        if self.mirror.get("notebooks", where, name) is None:
            raise web.HTTPNotFound(text=f"there is no Notebook {name} in {where}\n")
        return await self.door.through(request, where, name)

    async def language(self, request: web.Request) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie("language", request.match_info["lang"], path="/", samesite="Strict", max_age=365 * 86400)
        return response

    # What pages are made of

    def _whole(self, request: web.Request) -> Board:
        return self.boards.get(CLASS, _language(request), self.panels.whole, self.panels.frame)

    def _own(self, request: web.Request, where: str) -> Board:
        def values() -> Mapping[str, object]:
            person = self.panels.person(where)
            return self.panels.own(person) if person else {}

        return self.boards.get(where, _language(request), values)

    def _signed_in(self, request: web.Request) -> bool:
        return self.entrance.sessions.find(request.cookies.get(guard.COOKIE, "")) is not None

    def _sign_in_page(self, request: web.Request, status: int, problem: str) -> web.Response:
        return self._page(request, "sign-in.html", {"problem": problem}, status=status)

    def _page(
        self, request: web.Request, template: str, variables: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        return paint.page(self._text(request, template, variables), status)

    def _text(self, request: web.Request, template: str, variables: Mapping[str, object]) -> str:
        theme = request.cookies.get("theme", "")
        common: dict[str, object] = {
            "t": Translate(_language(request)),
            "style": paint.style(),
            "languages": LANGUAGES,
            "theme": theme if theme in ("light", "dark") else "",
            "session": request.get(guard.SESSION),
            "instructor": False,
            "board": None,
            "live": "",
        }
        return pages.environment().get_template(f"dashboard/{template}").render({**common, **variables})


def _language(request: web.Request) -> Language:
    return choose(request.cookies.get("language", ""), request.headers.get("Accept-Language", ""))


@web.middleware
async def _say_unavailable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The API server's silence or refusal is the cluster's trouble, not the visitor's."""
    try:
        return await handler(request)
    except KubeflowError as error:
        text = f"the cluster does not answer as it should: {error}\n"
        raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "3"}) from error


async def settle(mirror: Mirror) -> None:
    """Wait for the first lists, but not for ever: a page of what is known is better than none."""
    try:
        await asyncio.wait_for(mirror.listed(), _PATIENCE)
    except TimeoutError:
        return
