"""What asks a language model, by litellm: any provider, or a server of one's own.

Importing this package loads neither litellm nor anything else that is heavy.
"""

from memos.extraction.ledger import Ledger, ModelUse
from memos.extraction.llm.extractor import LlmExtractor
from memos.extraction.llm.rephrasing import LlmRephraser

__all__ = ["Ledger", "LlmExtractor", "LlmRephraser", "ModelUse"]
