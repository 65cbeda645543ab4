"""The Python SDK: the service's verbs over HTTP, sync and async.

Importing it loads no HTTP library; that happens when a client is made.
"""

from memos.client.async_ import AsyncClient
from memos.client.sync import Client

__all__ = ["AsyncClient", "Client"]
