"""What may be sent: the requests as pydantic models, and how they become the core's dataclasses.

Strict: no unknown fields, no numbers for texts, no naive times. Limits that the settings set are
checked by the service, so that all ways into it have the same.
"""
