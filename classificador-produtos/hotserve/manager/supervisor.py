"""Starts the process of the active deployment again whenever it ends by itself."""

import asyncio

from hotserve.backoff import Backoff
from hotserve.config.settings import Settings
from hotserve.log import logger
from hotserve.manager.deployment import Deployment
from hotserve.manager.publisher import Publisher
from hotserve.manager.status import title
from hotserve.processes.model_server import StartError

_LONGEST_DELAY = 30.0


async def keep_running(deployment: Deployment, publisher: Publisher, settings: Settings) -> None:
    """Without end; to be cancelled when another version takes over.

    There is a back-off for a process that keeps ending; the lane answers meanwhile.
    """
    loop = asyncio.get_running_loop()
    backoff = Backoff(0.0, _LONGEST_DELAY)
    status = publisher.status
    while True:
        started = loop.time()
        reason = (await deployment.server.ended(settings.command.timeout)).reason()
        lived = loop.time() - started
        publisher.process_ended()
        # No request waits longer; after that, more would only queue up.
        holding = loop.call_later(settings.hold_timeout, publisher.stop_holding)
        try:
            while True:
                status.restarting(deployment.version, reason)
                name = title(deployment.version)
                logger.error("the process of %s ended (%s); starting it again", name, reason)
                await asyncio.sleep(backoff.delay(lived))
                try:
                    await deployment.server.start(settings.start_timeout)
                    break
                except StartError as error:
                    reason, lived = str(error), 0.0
        finally:
            holding.cancel()
        publisher.serve_by_process(deployment)
        status.restarted()
        logger.info("serving %s again", status.full_title(deployment.version))
        if deployment.is_to_be_compared:
            if deployment.opening is not None:
                await asyncio.wait([deployment.opening])
            publisher.open_lane(deployment)
