"""Set up Temporal: namespace, search attributes, the current worker version.

Every function raises `TemporalUnavailableError` if the same call may succeed later, and
`TemporalRefusedError` for good.
"""

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import TypeVar

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeWorkerDeploymentRequest,
    RegisterNamespaceRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.client import (
    ENROLLED_BY_ATTRIBUTE,
    RPC_TIMEOUT,
    SEQUENCE_ATTRIBUTE,
    TemporalRefusedError,
    TemporalUnavailableError,
    namespace_is_missing,
)
from workflows.limits import DEPLOYMENT

_T = TypeVar("_T")

RETENTION = timedelta(days=30)
"""How long Temporal keeps the histories of closed workflows."""

_VERSION_TIMEOUT = timedelta(seconds=20)
"""The server makes a version current by a workflow; on the dev server that took 1 to 2 s."""


async def ensure_namespace(client: Client) -> bool:
    """Create the client's namespace unless it exists; return whether it was created now."""
    service, name = client.workflow_service, client.namespace
    asked = DescribeNamespaceRequest(namespace=name)
    try:
        await _call(service.describe_namespace(asked, timeout=RPC_TIMEOUT))
    except _NoSuchNamespaceError:
        request = RegisterNamespaceRequest(namespace=name, description="enrollments of Segue")
        request.workflow_execution_retention_period.FromTimedelta(RETENTION)
        return await _creates(service.register_namespace(request, timeout=RPC_TIMEOUT))
    return False


async def ensure_search_attributes(client: Client) -> Sequence[str]:
    """Add the missing search attributes of enrollments to the client's namespace.

    Returns:
        The names of those added now.

    Raises:
        TemporalUnavailableError: Also while a namespace that was just created is still unknown,
            for some seconds.
        TemporalRefusedError: Also if one exists with another type.
    """
    service, namespace = client.operator_service, client.namespace
    asked = ListSearchAttributesRequest(namespace=namespace)
    known = await _call(service.list_search_attributes(asked, timeout=RPC_TIMEOUT))
    wanted = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    names = [SEQUENCE_ATTRIBUTE.name, ENROLLED_BY_ATTRIBUTE.name]
    for name in names:
        if known.custom_attributes.get(name, wanted) != wanted:
            raise TemporalRefusedError(f"the search attribute {name} exists, but is no Keyword")
    missing = [name for name in names if name not in known.custom_attributes]
    if not missing:
        return []
    request = AddSearchAttributesRequest(
        namespace=namespace, search_attributes=dict.fromkeys(missing, wanted)
    )
    added = await _creates(service.add_search_attributes(request, timeout=RPC_TIMEOUT))
    return missing if added else []


async def current_build(client: Client) -> str | None:
    """Ask which build of the workers is current.

    Returns:
        Its id; empty if workers without a version are current; None if none was ever chosen.
    """
    asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        described = await _call(
            client.workflow_service.describe_worker_deployment(asked, timeout=RPC_TIMEOUT)
        )
    except _NotThereError:
        return None
    routing = described.worker_deployment_info.routing_config
    chosen = routing.HasField("current_version_changed_time")
    return routing.current_deployment_version.build_id if chosen else None


async def make_current(client: Client, build_id: str) -> bool:
    """Route all workflows to the workers of a build, the open ones included.

    Its workers need not have started yet: tasks wait for them. An empty id means workers without a
    version.

    Returns:
        Whether this changed the current build.
    """
    if (await current_build(client) or "") == build_id:
        return False
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=DEPLOYMENT,
        build_id=build_id,
        identity=client.identity,
        allow_no_pollers=True,
        # Its task queues are known only once its workers poll them.
        ignore_missing_task_queues=True,
    )
    service = client.workflow_service
    await _call(service.set_worker_deployment_current_version(request, timeout=_VERSION_TIMEOUT))
    return True


class _NoSuchNamespaceError(TemporalUnavailableError):
    """There is no such namespace, or not yet."""


class _AlreadyThereError(TemporalRefusedError):
    """The resource already exists."""


class _NotThereError(TemporalRefusedError):
    """The resource does not exist."""


_PASSING = frozenset(
    {
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.UNKNOWN,
    }
)


async def _call(call: Awaitable[_T]) -> _T:
    """Make a call of the set-up, telling final refusals from those worth waiting for."""
    try:
        return await call
    except RPCError as error:
        if namespace_is_missing(error):
            raise _NoSuchNamespaceError from None
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            raise _AlreadyThereError from None
        if error.status == RPCStatusCode.NOT_FOUND:
            raise _NotThereError(error.message) from None
        if error.status in _PASSING:
            raise TemporalUnavailableError(error.status.name) from None
        raise TemporalRefusedError(f"{error.status.name}, {error.message}") from None
    except RuntimeError:  # a lazy client's first call could not connect
        raise TemporalUnavailableError("UNAVAILABLE") from None


async def _creates(call: Awaitable[object]) -> bool:
    """Make a call that creates something; return False if another set-up was faster."""
    try:
        await _call(call)
    except _AlreadyThereError:
        return False
    return True
