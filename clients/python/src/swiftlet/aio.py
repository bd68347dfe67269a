"""The SDK for asyncio: the same client, to be awaited.

from swiftlet.aio import Client

async with Client() as client:
    job = await client.train("Qwen/Qwen3-0.6B", "train.jsonl", "output", num_epochs=3)
    async for progress in job.watch():
        print(progress.step, progress.loss)
"""

from swiftlet._aio.client import Client
from swiftlet._aio.deployment import Deployment
from swiftlet._aio.job import Job
from swiftlet._aio.pager import Pager

__all__ = ["Client", "Deployment", "Job", "Pager"]
