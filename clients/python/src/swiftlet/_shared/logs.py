"""Reading a stored log page by page: of a training job or of a model server, they are alike."""

from __future__ import annotations

from swiftlet.deploy.v1.deploy_service_pb2 import ListDeploymentLogsRequest, ListDeploymentLogsResponse
from swiftlet.training.v1.training_service_pb2 import ListTrainingJobLogsRequest, ListTrainingJobLogsResponse

PAGE = 1000  # lines, the most that the server gives in one answer


class Pages:
    """Turns the pages: `request` is always that for the next one."""

    def __init__(
        self, request: ListTrainingJobLogsRequest | ListDeploymentLogsRequest, tail: int | None
    ) -> None:
        self._request, self._tail, self._place = request, tail, -1.0
        request.limit = PAGE if tail is None else tail

    def turn(self, page: ListTrainingJobLogsResponse | ListDeploymentLogsResponse) -> bool:
        """Make the request that for the page behind this one; False if this was the last."""
        if self._tail is not None or page.next_offset == self._place:
            return False
        self._place = page.next_offset
        self._request.ClearField("line")
        self._request.offset, self._request.attempt = page.next_offset, page.attempt
        return True
