"""One start of a version: fetched, its process healthy, its lane compared; or why not."""

import asyncio
from dataclasses import dataclass

from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.lane_opener import LaneOpener
from hotserve.manager.preparation import Preparation
from hotserve.manager.publisher import Publisher
from hotserve.manager.registry import ModelVersion
from hotserve.processes.model_server import StartError

_LANE_SECONDS = 30.0
"""That a healthy version waits for its lane while another one answers."""


@dataclass(frozen=True, slots=True)
class VersionStart:
    """Starts versions of one model."""

    preparation: Preparation
    publisher: Publisher

    async def once(
        self, version: ModelVersion, begun: float, *, refetch: bool = False
    ) -> Deployment:
        """Fetch it, start it, wait until it is healthy.

        With nothing to serve yet, a lane that was open before answers at once. Where another
        version answers, this one's lane is opened before it takes over. Whatever is raised,
        nothing of it stays.

        Raises:
            StartError: it would not start.
        """
        deployment = await self.preparation.prepare(version, refetch=refetch)
        server, opener = deployment.server, deployment.opener
        try:
            if self.publisher.active is None:
                if await self._is_known(deployment):
                    deployment.is_known = True
                    return deployment
                if opener is not None:
                    await self._serve_by_lane(deployment, opener, begun)
            # Another environment may have to be made first: its process knows where it is.
            if opener is not None and opener.python:
                opener.begin()
            self.publisher.status.step("start")
            await server.start(self.preparation.settings.start_timeout)
            if opener is not None:
                opener.python = opener.python or server.interpreter()
            opening = self.publisher.open_lane(deployment)
            if self.publisher.active is not None and self.publisher.active.started:
                self.publisher.status.step("compare")
                await asyncio.wait([opening], timeout=_LANE_SECONDS)
                if (reason := server.end()) is not None:
                    # The version before goes on, rather than that requests wait.
                    raise StartError(reason)
        except BaseException:
            await deployment.close()
            raise
        return deployment

    async def _is_known(self, deployment: Deployment) -> bool:
        """Whether its process need not start before a request asks for it.

        It has answered before, and what its lane can do is known from then. Where one model is
        served, that process may sleep and the lane is open.
        """
        version, opener = self.preparation.cache.last_served(), deployment.opener
        was_served = version is not None and version.identity == deployment.version.identity
        are_many = deployment.server.slots.are_few
        if not was_served or not (are_many or self.preparation.settings.process == "asleep"):
            return False
        verdict = await opener.saved_verdict() if opener is not None else deployment.lane
        if verdict is None or not (are_many or verdict.is_open):
            return False
        deployment.lane, deployment.opener = verdict, None
        return True

    async def _serve_by_lane(
        self, deployment: Deployment, opener: LaneOpener, begun: float
    ) -> None:
        """Answer from a lane that was open before, while the process is still starting."""
        verdict = await opener.saved_verdict()
        if verdict is None or not verdict.is_open or self.publisher.active is not None:
            return
        deployment.lane = verdict
        self.publisher.serve_by_lane(deployment)
        seconds = _now() - begun
        self.publisher.status.serving_by_lane(deployment.version, seconds)
        name = self.publisher.status.full_title(deployment.version)
        logger.info("the fast lane of %s answers after %.2f s", name, seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
