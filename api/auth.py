"""Who asks, and what they may: one gate that every /v1 route stands behind.

Identity comes from the key alone; tenant and cubes are the key's. A route says which role it needs
with `needs`; one that says nothing can't be served.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from memos.api.bodies import JSONRequest
from memos.errors import InvalidInput, NotAuthenticated, PermissionDenied
from memos.types import ApiKey, Event, Job, Role

if TYPE_CHECKING:
    from memos.service import MemoryOS, Service

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

ADMITTED_SECONDS = 1.0
"""How long a request that lasts goes on before its key is looked at again."""
_RANK = {Role.READER: 0, Role.WRITER: 1, Role.ADMIN: 2}


@dataclass(frozen=True)
class Need:
    """`whole_tenant`: a key that is limited to some cubes may not, whatever its role."""

    role: Role
    whole_tenant: bool = False


@dataclass(frozen=True)
class Principal:
    """The key that asks, and the service as its tenant sees it."""

    key: ApiKey
    memory: MemoryOS

    def reaches(self, cube_id: str | None) -> bool:
        return not self.key.cubes or cube_id in self.key.cubes

    def check_job(self, job: Job) -> Job:
        """PermissionDenied for a job of a cube that the key doesn't reach."""
        if not self.reaches(job.cube_id):
            raise PermissionDenied(
                f"this key does not reach the cube of job {job.id}", job_id=job.id
            )
        return job

    def check_event(self, event: Event) -> Event:
        """PermissionDenied for an event of a cube that the key doesn't reach."""
        if not self.reaches(event.cube_id):
            raise PermissionDenied(
                f"this key does not reach the cube of event {event.id}", event_id=event.id
            )
        return event

    def check_cube(self, name_or_id: str) -> None:
        """PermissionDenied for another cube of the tenant. Asks nothing for a key that reaches all:
        what is done with the cube finds whether there is one."""
        if self.key.cubes and not self.reaches(self.memory.cube(name_or_id).id):
            raise PermissionDenied(
                f"this key does not reach cube {name_or_id!r}; ask for one that does",
                cube=name_or_id,
            )


def needs(role: Role, *, whole_tenant: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Marks an endpoint with what a key must have to call it."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["memos_need"] = Need(role, whole_tenant)
        return endpoint

    return mark


class Gate(APIRoute):
    """A route that lets a request in only after its key was checked, before its body is read."""

    @property
    def need(self) -> Need:
        """RuntimeError for an endpoint without `needs`: a mistake in the code, found at start."""
        found = getattr(self.endpoint, "memos_need", None)
        if not isinstance(found, Need):
            raise RuntimeError(f"{self.path}: {self.name} does not say which role it needs")
        return found

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        need = self.need
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.state.principal = await run_in_threadpool(admit, request, need)
            return await answer(JSONRequest(request.scope, request.receive))

        return handle


def admit(request: Request, need: Need) -> Principal:
    """The principal, or NotAuthenticated, PermissionDenied, InvalidInput, CubeNotFound."""
    service: Service = request.app.state.service
    key = service.authenticate(_secret(request))
    if _RANK[key.role] < _RANK[need.role]:
        raise PermissionDenied(
            f"this key has the role {key.role.value}; {need.role.value} is needed",
            role=key.role.value,
            needed=need.role.value,
        )
    if need.whole_tenant and key.cubes:
        raise PermissionDenied("this key is limited to some cubes; a key without limit is needed")
    _check_text(request)
    principal = Principal(key, service.tenant(key.tenant_id, actor=f"key:{key.id}"))
    if "cube" in request.path_params:
        principal.check_cube(request.path_params["cube"])
    return principal


def _check_text(request: Request) -> None:
    """InvalidInput for a query that is no UTF-8: its replacement would be searched for, and nothing
    found. In a path it is a name that nothing has."""
    try:
        unquote_to_bytes(request.scope["query_string"]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the query of the URL is no percent-encoded UTF-8: {error}") from error


def admit_again(request: Request) -> None:
    """For a request that lasts: NotAuthenticated if its key was revoked since it was let in."""
    service: Service = request.app.state.service
    service.authenticate(_secret(request))


def _secret(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    if key := request.headers.get("x-api-key", "").strip():
        return key
    raise NotAuthenticated(
        "no API key was sent; use the header 'Authorization: Bearer <key>'. `memos key create` "
        "makes a key"
    )


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


Caller = Annotated[Principal, Depends(_principal)]
