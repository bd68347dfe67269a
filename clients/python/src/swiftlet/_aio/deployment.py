"""A deployment in the hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

from swiftlet._aio.connection import Connection
from swiftlet._shared import watches
from swiftlet._shared.deployments import base_url, is_settled, running
from swiftlet._shared.logs import Pages
from swiftlet._shared.words import DeployStatus, word
from swiftlet.deploy.v1 import deploy_service_pb2, deployment_pb2


class Deployment:
    """A model that is served. `info` is what was last read of it; `refresh()` reads it again."""

    def __init__(self, connection: Connection, info: deployment_pb2.Deployment) -> None:
        self._connection = connection
        self.info = info

    def __repr__(self) -> str:
        return f"<swiftlet.Deployment {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.job_id

    @property
    def status(self) -> DeployStatus:
        """Where it stood when it was last read."""
        return DeployStatus(word(deployment_pb2.DeployStatus.DESCRIPTOR, self.info.status))

    @property
    def url(self) -> str:
        """Base URL for clients of the OpenAI API: `http://127.0.0.1:8000/serve/<id>/v1`."""
        return base_url(self._connection.config.address, self.info)

    async def refresh(self) -> deployment_pb2.Deployment:
        """Read it again."""
        request = deploy_service_pb2.GetDeploymentRequest(job_id=self.id)
        self.info = await self._connection.call(self._connection.deploy.GetDeployment, request)
        return self.info

    def watch(self, timeout: float | None = None) -> AsyncIterator[deployment_pb2.Deployment]:
        """The deployment now and after each change, until it has ended.

        Raises DeadlineExceeded after `timeout` seconds; the deployment goes on.
        """
        method = self._connection.deploy.WatchDeployment
        return self._connection.watch(method, watches.deployment(self.id), timeout)

    async def wait(self, timeout: float | None = None) -> deployment_pb2.Deployment:
        """Wait until its model server answers.

        Raises DeploymentFailed if it ends before, and DeadlineExceeded after `timeout` seconds.
        """
        async for info in self.watch(timeout):
            self.info = info
            if is_settled(info):
                break
        return running(self.info)

    def logs(
        self, *, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[deployment_pb2.DeployLogLine]:
        """The log of its model server, oldest line first: the last `tail` lines, or all.

        With `follow` also each new line as it comes, until it has ended.
        """
        if follow:
            method = self._connection.deploy.WatchDeploymentLogs
            return self._connection.watch(method, watches.deployment_logs(self.id, tail))
        offset = 0 if tail is None else None
        request = deploy_service_pb2.ListDeploymentLogsRequest(job_id=self.id, offset=offset)
        return self._stored_logs(request, tail)

    def search_logs(
        self, text: str = "", *, attempt: int = 0, line: int = 1
    ) -> AsyncIterator[deployment_pb2.DeployLogLine]:
        """Lines of its log that hold `text`, in any case, from line number `line` on.

        `attempt`: of this start; 0 for the latest.
        """
        request = deploy_service_pb2.ListDeploymentLogsRequest(
            job_id=self.id, search=text, attempt=attempt, line=line
        )
        return self._stored_logs(request, None)

    async def start(self) -> deploy_service_pb2.DeploymentActionResponse:
        """Start it; where its GPUs are not free it waits for them."""
        request = deploy_service_pb2.StartDeploymentRequest(job_id=self.id)
        return self._acted(await self._connection.call(self._connection.deploy.StartDeployment, request))

    async def stop(self) -> deploy_service_pb2.DeploymentActionResponse:
        """Stop it; its port and its GPUs are free again."""
        request = deploy_service_pb2.StopDeploymentRequest(job_id=self.id)
        return self._acted(await self._connection.call(self._connection.deploy.StopDeployment, request))

    async def delete(self) -> None:
        """Delete it with its logs; one that lives is stopped first."""
        request = deploy_service_pb2.DeleteDeploymentRequest(job_id=self.id)
        await self._connection.call(self._connection.deploy.DeleteDeployment, request)

    def _acted(
        self, done: deploy_service_pb2.DeploymentActionResponse
    ) -> deploy_service_pb2.DeploymentActionResponse:
        self.info.status = done.status
        return done

    async def _stored_logs(
        self, request: deploy_service_pb2.ListDeploymentLogsRequest, tail: int | None
    ) -> AsyncIterator[deployment_pb2.DeployLogLine]:
        pages, more = Pages(request, tail), True
        while more:
            page = await self._connection.call(self._connection.deploy.ListDeploymentLogs, request)
            for line in page.logs:
                yield line
            more = pages.turn(page)
