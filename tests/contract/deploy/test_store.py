"""What every store of deployments keeps: versions, and ports that are never given twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from swiftletd.deploy.domain import decide
from swiftletd.deploy.domain.deployment import Change, Deployment, Happened, Lease
from swiftletd.deploy.ports import DeploymentStore, PortTaken, Stale
from swiftletd.kernel.idempotency import Once, Repeated

Mark = Callable[[str], Awaitable[bytes | None]]


def created(key: str, port: int = 8001, created_at: float = 1.0) -> Change:
    it = Deployment(
        id=key,
        model_path="/m",
        served_path="/m",
        served_model_name=key,
        deploy_type="llm",
        created_at=created_at,
        port=port,
    )
    return Change(it, (Happened(type="deploy.job.created", message="Created."),))


def changed(change: Change | None) -> Change:
    assert change is not None
    return change


async def test_a_port_has_one_owner_until_that_is_over(store: DeploymentStore) -> None:
    outcomes = await asyncio.gather(
        *(store.commit(None, created(f"d{n}")) for n in range(20)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, PortTaken) for outcome in outcomes) == 19
    owner = await store.get(f"d{outcomes.index(None)}")
    assert owner
    assert await store.ports() == {8001}

    await store.commit(owner, changed(decide.cancel(owner, 2.0)))

    assert await store.ports() == frozenset()
    await store.commit(None, created("next"))
    ended = await store.get(owner.id)
    assert ended
    with pytest.raises(PortTaken):
        await store.commit(ended, changed(decide.submit(ended)))


async def test_another_port_frees_the_one_before(store: DeploymentStore) -> None:
    await store.commit(None, created("d"))
    it = await store.get("d")
    assert it
    await store.commit(it, changed(decide.submit(it, port=8002)))
    assert await store.ports() == {8002}


async def test_of_two_who_change_a_version_one_is_stale(store: DeploymentStore) -> None:
    await store.commit(None, created("d"))
    it = await store.get("d")
    assert it
    await store.commit(it, changed(decide.submit(it)))
    with pytest.raises(Stale):
        await store.commit(it, changed(decide.cancel(it, 1.0)))
    with pytest.raises(Stale):
        await store.commit(None, created("d", port=8009))


async def test_a_hundred_creates_with_one_request_id_make_one_deployment(
    store: DeploymentStore, mark: Mark
) -> None:
    once: Once[Deployment] = Once("r", b"create", lambda it: it.id.encode())
    tries = (store.commit(None, created(f"d{n}", 8000 + n), once) for n in range(100))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Repeated) == 99
    (kept,) = (await store.page("", 0, 10)).deployments
    assert await mark("r") == b"create" + kept.id.encode()
    assert len(await store.ports()) == 1


async def test_lists_are_newest_first_and_by_state(store: DeploymentStore) -> None:
    for n in range(3):
        await store.commit(None, created(f"d{n}", 8000 + n, n + 1.0))
    it = await store.get("d1")
    assert it
    await store.commit(it, changed(decide.cancel(replace(it), 5.0)))
    assert [d.id for d in (await store.page("", 0, 2)).deployments] == ["d2", "d1"]
    assert [d.id for d in (await store.page("cancelled", 0, 9)).deployments] == ["d1"]
    assert (await store.page("pending", 0, 9)).total == 2
    assert [d.id for d in await store.unfinished()] == ["d0", "d2"]


def named(key: str) -> Once[Deployment]:
    return Once(key, b"delete", lambda it: it.id.encode())


async def living(store: DeploymentStore, key: str) -> Deployment:
    """A deployment whose model server lives."""
    await store.commit(None, created(key))
    it = await store.get(key)
    assert it
    submitted = changed(decide.submit(it))
    await store.commit(it, submitted)
    lease = Lease(token=1, devices=("GPU-a",))
    granted = changed(decide.granted(submitted.deployment, it.entry(), lease, 2.0))
    await store.commit(submitted.deployment, granted)
    return granted.deployment


async def seen(store: DeploymentStore) -> list[tuple[list[str], int]]:
    """Ids and total of each list."""
    pages = [await store.page(state, 0, 9) for state in ("", "pending", "cancelled")]
    return [([it.id for it in page.deployments], page.total) for page in pages]


async def test_a_deleted_deployment_is_gone_from_everywhere_and_cannot_be_committed(
    store: DeploymentStore, mark: Mark
) -> None:
    await store.commit(None, created("d"))
    it = await store.get("d")
    assert it
    await store.commit(it, decide.delete(it, 2.0), named("gone"))

    assert await store.get("d") is None
    assert await store.ports() == frozenset()
    assert not await store.unfinished()
    assert await seen(store) == [([], 0)] * 3
    assert await mark("gone") == b"deleted"
    with pytest.raises(Repeated):
        await store.commit(it, decide.delete(it, 2.0), named("gone"))
    with pytest.raises(Stale):
        await store.commit(it, decide.delete(it, 2.0))
    with pytest.raises(Stale):
        await store.commit(it, changed(decide.submit(it)))


async def test_one_that_was_deleted_while_it_lives_is_hidden_and_keeps_its_port(
    store: DeploymentStore,
) -> None:
    it = await living(store, "d")
    await store.commit(it, decide.delete(it, 3.0))

    doomed = await store.get("d")
    assert doomed
    assert doomed.doomed
    assert await seen(store) == [([], 0)] * 3
    assert [one.id for one in await store.unfinished()] == ["d"]
    assert await store.ports() == {8001}
    with pytest.raises(PortTaken):
        await store.commit(None, created("other"))
    with pytest.raises(Stale):
        await store.commit(None, created("d", 8002))

    await store.commit(doomed, changed(decide.run_over(doomed, "deploy-d-1", 4.0)))
    assert await store.get("d") is None
    assert await store.ports() == frozenset()
    assert not await store.unfinished()


async def test_an_id_that_is_used_again_goes_on_counting_attempts(store: DeploymentStore) -> None:
    assert await store.first_attempt("d") == 1
    it = await living(store, "d")
    over = changed(decide.run_over(it, "deploy-d-1", 3.0))
    await store.commit(it, over)
    await store.commit(over.deployment, decide.delete(over.deployment, 4.0))

    # One that begins with an attempt of the deleted one came too late to know of it
    assert await store.first_attempt("d") == 2
    with pytest.raises(Stale):
        await store.commit(None, created("d"))
    again = created("d")
    await store.commit(None, replace(again, deployment=replace(again.deployment, next_attempt=2)))
    assert await seen(store) == [(["d"], 1), (["d"], 1), ([], 0)]


async def test_a_deleted_deployment_leaves_the_port_that_another_one_has_by_now(
    store: DeploymentStore,
) -> None:
    await store.commit(None, created("d"))
    it = await store.get("d")
    assert it
    stopped = changed(decide.cancel(it, 2.0))
    await store.commit(it, stopped)
    await store.commit(None, created("other"))
    await store.commit(stopped.deployment, decide.delete(stopped.deployment, 3.0))
    assert await store.ports() == {8001}
