"""Background work: the worker that drains durable jobs."""

from memos.scheduler.worker import Handler, JobContext, LeaseLost, NotNow, Worker

__all__ = ["Handler", "JobContext", "LeaseLost", "NotNow", "Worker"]
