"""Background work: the worker that drains durable jobs."""

from memos.scheduler.worker import Handler, JobContext, LeaseLost, Worker

__all__ = ["Handler", "JobContext", "LeaseLost", "Worker"]
