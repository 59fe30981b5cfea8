"""Namespaces of Temporal, so that tests share a server and not what is on it."""

import asyncio
import time

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from standalone.temporal import SEARCH_ATTRIBUTES


def make_namespace(address: str, name: str) -> None:
    """Create a namespace with retention and search attributes."""
    asyncio.run(_make_namespace(address, name))


async def _make_namespace(address: str, name: str) -> None:
    client = await Client.connect(address)
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.FromSeconds(86_400)
    await client.workflow_service.register_namespace(request)
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    attributes = AddSearchAttributesRequest(
        namespace=name, search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword)
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            await client.operator_service.add_search_attributes(attributes)
        except RPCError:  # not all of the server knows the namespace yet
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return
