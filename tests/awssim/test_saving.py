"""One write for all that wait for one, and never one that had begun before the change."""

import asyncio

import pytest

from awssim.saving import Saving


async def test_calls_that_arrive_together_share_a_save_that_holds_all_their_changes() -> None:
    held, saved = list[int](), list[list[int]]()
    saving = Saving(lambda service: saved.append(list(held)))

    async def call(number: int) -> None:
        held.append(number)
        await saving.saved("iam")
        assert number in saved[-1]

    await asyncio.gather(*map(call, range(8)))
    assert len(saved) == 1
    await call(8)
    assert len(saved) == 2


async def test_a_save_that_fails_fails_for_everybody_and_the_next_is_tried() -> None:
    outcomes = iter([OSError(28, "No space left on device"), None])

    def save(service: str) -> None:
        if (error := next(outcomes)) is not None:
            raise error

    saving = Saving(save)
    results = await asyncio.gather(saving.saved("s3"), saving.saved("s3"), return_exceptions=True)
    assert [type(one) for one in results] == [OSError, OSError]
    await saving.saved("s3")


async def test_a_caller_who_goes_away_does_not_take_the_others_save_along() -> None:
    saved = list[str]()
    saving = Saving(saved.append)
    first = asyncio.create_task(saving.saved("ecr"))
    second = asyncio.create_task(saving.saved("ecr"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert saved == ["ecr"]
    with pytest.raises(asyncio.CancelledError):
        await first
