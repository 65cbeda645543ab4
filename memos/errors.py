"""The one error tree. Every error that leaves the package is a MemosError.

    MemosError
    ├── InvalidInput            the caller sent something that can't be used
    │   ├── InvalidFilter       a metadata filter with an unknown operator or shape
    │   ├── PolicyContradiction rules that can't all hold
    │   ├── InvalidDump         a file that is no dump, or a damaged or a false one
    │   └── InvalidCursor       a page cursor that this service did not issue
    ├── NotFound
    │   ├── CubeNotFound
    │   ├── MemoryNotFound
    │   ├── JobNotFound
    │   ├── KeyNotFound
    │   ├── EntityNotFound
    │   ├── FactNotFound
    │   ├── RulingNotFound
    │   ├── NoteNotFound
    │   ├── EventNotFound
    │   ├── ScheduleNotFound
    │   ├── ActivationNotFound
    │   └── AdapterNotFound
    ├── Conflict
    │   ├── AlreadyExists       the name is taken
    │   ├── VersionConflict     the memory has changed since it was read
    │   ├── StateConflict       the lifecycle does not allow this step
    │   └── IdempotencyConflict the same key was used for another request
    ├── AccessDenied
    │   ├── NotAuthenticated    no key, or one that is unknown or revoked
    │   └── PermissionDenied    the key does not reach this cube or verb
    ├── LimitExceeded
    │   ├── PayloadTooLarge
    │   └── BatchTooLarge
    ├── ModelError
    │   ├── ModelNotFound
    │   ├── ModelDigestMismatch
    │   ├── ModelCorrupt
    │   ├── ModelUnsupported        what was asked for is not valid for its architecture
    │   ├── EmbeddingModelChanged   stored vectors come from another model
    │   └── ExtractionFailed        an extractor could not read a memory
    │       ├── ExtractorUnavailable  its model did not answer, in time or at all
    │       └── ExtractorAnswer       its model's answer can't be used
    ├── StorageError
    │   ├── StorageUnavailable  can't connect, locked for too long, timed out
    │   ├── StorageCorrupt      the file is not what it should be
    │   ├── StorageFull
    │   ├── StorageReadOnly
    │   ├── SchemaMismatch      the database is of a newer or unknown version
    │   └── IndexUnavailable    a derived index can't answer; it can be rebuilt
    ├── ActivationError         stored states can't be used; the text can always be read anew
    │   ├── FingerprintMismatch     they are another model's
    │   ├── BlockCorrupt            a block's file is not what was written
    │   ├── BlockNotFound           a block that was there is gone
    │   └── DeviceUnavailable       there is no such accelerator here
    ├── AdapterError            an adapter can't be made or used; the one before it stays
    │   ├── AdapterCorrupt          its file is not what was written
    │   ├── AdapterMismatch         it is another model's
    │   ├── AdapterRefused          it did not pass what it must before it is used
    │   ├── Contradiction           what it should learn says two things at once
    │   └── TrainingFailed          the loss was no number
    │       └── OutOfMemory
    ├── JobFailed               a job that was waited for ended in failure
    ├── ConfigError
    │   ├── InvalidSetting
    │   ├── MissingDependency
    │   └── PortInUse
    └── ServiceUnavailable      the client could not reach the service, or it is stopping
        └── WaitTimeout         it did not finish within the time allowed

The core knows no HTTP; `memos.api.errors` maps this tree to problem documents.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MemosError(Exception):
    """Base of all errors. `code` is stable and machine readable; `details` carries values."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class InvalidInput(MemosError):
    """The caller sent something that can't be used. `field` names it where one does."""

    code = "invalid-input"


class InvalidFilter(InvalidInput):
    code = "invalid-filter"


class InvalidCursor(InvalidInput):
    code = "invalid-cursor"


class PolicyContradiction(InvalidInput):
    """Rules of a policy that can't all hold; `details` has `field`, the one to change."""

    code = "policy-contradiction"


class InvalidDump(InvalidInput):
    """The file is no dump of a cube, or a damaged one, or of a newer version; nothing of it was
    loaded."""

    code = "invalid-dump"


class NotFound(MemosError):
    code = "not-found"


class CubeNotFound(NotFound):
    code = "cube-not-found"


class MemoryNotFound(NotFound):
    code = "memory-not-found"


class JobNotFound(NotFound):
    code = "job-not-found"


class KeyNotFound(NotFound):
    code = "key-not-found"


class EntityNotFound(NotFound):
    code = "entity-not-found"


class FactNotFound(NotFound):
    code = "fact-not-found"


class RulingNotFound(NotFound):
    code = "ruling-not-found"


class NoteNotFound(NotFound):
    code = "note-not-found"


class EventNotFound(NotFound):
    code = "event-not-found"


class ScheduleNotFound(NotFound):
    code = "schedule-not-found"


class ActivationNotFound(NotFound):
    code = "activation-not-found"


class AdapterNotFound(NotFound):
    code = "adapter-not-found"


class Conflict(MemosError):
    code = "conflict"


class AlreadyExists(Conflict):
    code = "already-exists"


class VersionConflict(Conflict):
    """The memory has changed since it was read; `details` has `expected` and `actual`."""

    code = "version-conflict"


class StateConflict(Conflict):
    code = "state-conflict"


class IdempotencyConflict(Conflict):
    code = "idempotency-conflict"


class AccessDenied(MemosError):
    code = "access-denied"


class NotAuthenticated(AccessDenied):
    code = "not-authenticated"


class PermissionDenied(AccessDenied):
    code = "permission-denied"


class LimitExceeded(MemosError):
    code = "limit-exceeded"


class PayloadTooLarge(LimitExceeded):
    code = "payload-too-large"


class BatchTooLarge(LimitExceeded):
    code = "batch-too-large"


class ModelError(MemosError):
    code = "model-error"


class ModelNotFound(ModelError):
    code = "model-not-found"


class ModelDigestMismatch(ModelError):
    code = "model-digest-mismatch"


class ModelCorrupt(ModelError):
    code = "model-corrupt"


class ModelUnsupported(ModelError):
    """What was asked for is not valid for this model's architecture; another model may have it."""

    code = "model-unsupported"


class EmbeddingModelChanged(ModelError):
    """Stored vectors come from another model than the configured one; run `memos reindex`."""

    code = "embedding-model-changed"


class ExtractionFailed(ModelError):
    """An extractor could not read a memory; the memory itself is kept."""

    code = "extraction-failed"


class ExtractorUnavailable(ExtractionFailed):
    """The extractor's model did not answer: unreachable, refused, too slow."""

    code = "extractor-unavailable"


class ExtractorAnswer(ExtractionFailed):
    """The model's answer can't be used: prose, broken JSON, another schema."""

    code = "extractor-answer"


class StorageError(MemosError):
    code = "storage-error"


class StorageUnavailable(StorageError):
    code = "storage-unavailable"


class StorageCorrupt(StorageError):
    code = "storage-corrupt"


class StorageFull(StorageError):
    code = "storage-full"


class StorageReadOnly(StorageError):
    code = "storage-read-only"


class SchemaMismatch(StorageError):
    code = "schema-mismatch"


class IndexUnavailable(StorageError):
    code = "index-unavailable"


class ActivationError(MemosError):
    """Stored states of a model can't be used; compute them from the text again."""

    code = "activation-error"


class FingerprintMismatch(ActivationError):
    code = "fingerprint-mismatch"


class BlockCorrupt(ActivationError):
    code = "block-corrupt"


class BlockNotFound(ActivationError):
    code = "block-not-found"


class DeviceUnavailable(ActivationError):
    code = "device-unavailable"


class AdapterError(MemosError):
    """An adapter can't be made or used; what was attached before stays attached."""

    code = "adapter-error"


class AdapterCorrupt(AdapterError):
    code = "adapter-corrupt"


class AdapterMismatch(AdapterError):
    """It was trained for another model than the one that runs."""

    code = "adapter-mismatch"


class AdapterRefused(AdapterError):
    """It did not pass the gate: recall, perplexity of other text, answers to other questions."""

    code = "adapter-refused"


class Contradiction(AdapterError):
    """The memories say two things of which one can be true; `details` has both."""

    code = "contradiction"


class TrainingFailed(AdapterError):
    code = "training-failed"


class OutOfMemory(TrainingFailed):
    code = "out-of-memory"


class JobFailed(MemosError):
    code = "job-failed"


class ConfigError(MemosError):
    code = "config-error"


class InvalidSetting(ConfigError):
    code = "invalid-setting"


class MissingDependency(ConfigError):
    code = "missing-dependency"


class PortInUse(ConfigError):
    code = "port-in-use"


class ServiceUnavailable(MemosError):
    code = "service-unavailable"


class WaitTimeout(ServiceUnavailable):
    code = "wait-timeout"


def by_code() -> dict[str, type[MemosError]]:
    """Every error class by its code; the client turns problem documents back into errors."""
    found: dict[str, type[MemosError]] = {}
    todo: list[type[MemosError]] = [MemosError]
    while todo:
        cls = todo.pop()
        if "code" in vars(cls):  # a part's own kinds of an error go by the error's code
            found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found
