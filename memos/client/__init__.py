"""The Python SDK: the service's verbs over HTTP, sync and async.

Importing it loads no HTTP library; that happens when a client is made.
"""

from memos.client.asynchronous.client import AsyncClient
from memos.client.sync.client import Client

__all__ = ["AsyncClient", "Client"]
