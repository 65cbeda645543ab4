"""The times of a cron expression. Knows no schedules and no jobs.

Five fields (minute, hour, day of month, month, day of week) as Debian's cron reads them; where the
clocks change, a time that is skipped comes right after the gap and one that comes twice comes once
(https://github.com/cuu508/cronsim).
"""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

from memos.errors import InvalidInput


def zone_of(name: str) -> tzinfo:
    """InvalidInput for a zone that nobody knows."""
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(
            f"zone is {name!r}, which is no zone of the tz database; use one such as UTC or "
            "Europe/Lisbon",
            field="zone",
        ) from error


def next_time(cron: str, zone: str, after: datetime) -> datetime:
    """The first time after `after`, in UTC. InvalidInput for an expression that can't be read or
    whose time never comes."""
    from cronsim import CronSim, CronSimError

    try:
        found = next(CronSim(cron, after.astimezone(zone_of(zone))))
    except CronSimError as error:
        raise InvalidInput(
            f"cron is {cron!r}: {error}. Write five fields, such as 30 3 * * * for every night at "
            "half past three",
            field="cron",
        ) from error
    except StopIteration as error:
        raise InvalidInput(
            f"cron is {cron!r}, whose time never comes; check day and month", field="cron"
        ) from error
    return found.astimezone(timezone.utc)
