"""Background work: the worker that drains durable jobs, and what makes it step aside."""

from memos.scheduler.foreground import Foreground
from memos.scheduler.policy import Policy
from memos.scheduler.worker import Handler, JobContext, LeaseLost, NotNow, Worker

__all__ = ["Foreground", "Handler", "JobContext", "LeaseLost", "NotNow", "Policy", "Worker"]
