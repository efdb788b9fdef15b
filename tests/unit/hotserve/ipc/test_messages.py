"""What the manager and the workers send each other arrives as it was sent."""

import socket
from typing import get_args

import pytest

from hotserve.ipc import messages
from hotserve.ipc.channel import Channel
from hotserve.ipc.messages import Message, MetricsAnswer, Stop
from tests.unit.hotserve.samples import MESSAGES


def test_every_kind_is_among_the_samples() -> None:
    assert {type(each) for each in MESSAGES} == set(get_args(messages.Message))


@pytest.mark.anyio
async def test_a_channel_ends_with_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    channel, other = await Channel.open(ours), await Channel.open(theirs)
    for message in MESSAGES:
        channel.send(message)
    # An end in the middle of a message.
    channel._writer.write(bytes(7) + b"\x09{")
    channel.close()
    assert [message async for message in other.messages()] == MESSAGES
    other.close()
    other.send(Stop())
    channel.send(Stop())


@pytest.mark.anyio
async def test_the_metrics_of_many_models_are_one_message() -> None:
    ours, theirs = socket.socketpair()
    channel, other = await Channel.open(ours), await Channel.open(theirs)
    sent: list[Message] = [
        MetricsAnswer(1, "text/plain", "hotserve_ready 1.0\n" * 500_000),
        Stop(),
    ]
    for message in sent:
        channel.send(message)
    received = other.messages()
    assert [await anext(received) for _ in sent] == sent
    channel.close()
    other.close()
