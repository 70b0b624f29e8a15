"""What each step of a plan does and how it is undone.

The order is in `plan`, the rules of journalling and undoing are in `engine`; what runs the operator's own
commands is in `steps_commands`.
"""

from __future__ import annotations

from oatie_ops.claim import claim
from oatie_ops.deployment import prerequisites as required
from oatie_ops.deployment import releases
from oatie_ops.deployment.context import AnyDeployment, Switching
from oatie_ops.deployment.databases import born_in
from oatie_ops.deployment.engine import Voice
from oatie_ops.deployment.facts import how_to_move
from oatie_ops.deployment.lock import LockOwner
from oatie_ops.deployment.moving import link_all, move_database
from oatie_ops.deployment.prune import prune as prune_releases
from oatie_ops.deployment.reconcile import settle
from oatie_ops.deployment.source import source_facts
from oatie_ops.deployment.survey import SharedLink, survey
from oatie_ops.errors import OatieError
from oatie_ops.store import Store


def prerequisites(run: AnyDeployment, voice: Voice) -> str:
    found = required.problems(run.facts)
    if found:
        raise required.error_for(found)
    return required.summary(run.facts)


def lock(run: AnyDeployment, voice: Voice) -> str:
    """Whoever waited finds another world: leftovers are settled and what serves is looked up anew."""
    run.paths.ensure()
    claim(run.paths, run.facts.settings.root)
    run.lock.acquire(
        run.facts.kind,
        actor=run.who.actor,
        wait_seconds=run.wait_lock_seconds,
        on_wait=lambda holder, waited: voice.waiting(_lock_wait(holder)),
    )
    run.opened = Store.open(run.paths.database)
    for settled in settle(run.store, run.paths, run.target):
        voice.notice(settled.message)
    run.previous, running = run.store.releases.serving(), run.target.running()
    run.replaces = running is not None and running.serves
    with run.interrupts.held_back():
        if run.facts.kind == "deploy":
            _take_number(run)
        else:
            run.release, run.made = run.facts.release, run.facts.made
        run.journal.open(run.store, run.number, run.previous)
    return f"release {run.number}" if run.facts.kind == "deploy" else ""


def _take_number(run: AnyDeployment) -> None:
    source = source_facts(run.facts.settings.root)
    after = releases.highest_number(run.paths.releases)
    run.release = run.store.releases.create(actor=run.who.actor, source=source, after=after).number


def give_up_release(run: AnyDeployment) -> None:
    if run.release is not None:
        run.store.releases.mark(run.release, "bad", "its deploy was undone")


def snapshot(run: Switching, voice: Voice) -> str:
    settings = run.facts.settings
    seen = survey(
        settings.root,
        state_home=run.paths.home,
        exclude=settings.deploy.exclude,
        shared=settings.deploy.shared,
    )
    for link in seen.to_move:
        _move(run, voice, link)
    app = releases.snapshot(seen, run.directory)
    run.record(app, python=None, build_key=None)
    if run.facts.demo and seen.file_count == 0:
        return "nothing to copy"
    return f"{seen.file_count} files, {required.size(seen.total_bytes)}"


def _move(run: Switching, voice: Voice, link: SharedLink) -> None:
    """The prerequisites have seen that nothing runs; what was started since may have it open."""
    if run.target.running() is not None:
        raise OatieError(
            f"{link.target} has to move to the checkout, and is in use",
            why="something was started meanwhile",
            fix="`oatie stop`, then `oatie deploy`",
        )
    place = run.facts.settings.root / link.path
    with run.interrupts.held_back(), releases.explained_disk_errors(place.parent):
        move_database(link.target, place)
        link_all(run.paths.releases, link.path, link.target, place)
    voice.notice(f"moved {link.target} to {place}; every release is linked to it")


def remove_release(run: Switching) -> None:
    if run.switch_open:
        raise OatieError("its files stay", why="it may have workers, as its switch could not be aborted")
    if run.release is None:
        return
    running = run.target.running()
    if running is not None and running.leaves(str(run.release)):
        return  # a last connection may still need them; the next run removes them
    run.kept_data += releases.remove_release(run.paths, run.release)


def start_supervisor(run: Switching, voice: Voice) -> str:
    if (running := run.target.running()) is not None:
        return f"one runs meanwhile (pid {running.supervisor_pid})"
    # Cut in half, nobody would know of the new process.
    with run.interrupts.held_back():
        pid = run.target.start_supervisor()
    return f"pid {pid}"


def supervisor_leaves(run: Switching) -> None:
    run.target.leave_if_empty()


def spawn(run: Switching, voice: Voice) -> str:
    run.switch_open = True
    pids = run.target.spawn(run.spec, health_check=run.facts.health_check, tell=voice.waiting)
    return f"pid{'s' if len(pids) != 1 else ''} {', '.join(map(str, pids))}"


def gate(run: Switching, voice: Voice) -> str:
    run.target.gate(voice.waiting)
    return "every new worker is ready" if run.facts.health_check else "every new worker is up"


def promote(run: Switching, voice: Voice) -> str:
    milliseconds = run.target.promote()
    if run.facts.has_gap:
        run.gap_ms = round(milliseconds)
    return f"{'nothing answered for' if run.facts.has_gap else 'cut-over'} {milliseconds:.0f} ms"


def abort_switch(run: Switching) -> None:
    run.target.abort()
    run.switch_open = False


def drain(run: Switching, voice: Voice) -> str:
    said = run.target.drain(voice.waiting)
    return said if run.replaces and not run.facts.has_gap else "nothing to wait for"


def bake(run: Switching, voice: Voice) -> str:
    deploy = run.facts.settings.deploy
    run.target.bake(deploy.bake_seconds, deploy.bake_max_error_ratio, voice.waiting)
    return f"healthy for {deploy.bake_seconds:g} s"


def mark_good(run: AnyDeployment, voice: Voice) -> str:
    """The records first: if they cannot be written, the switch can still be turned back."""
    run.store.releases.mark(run.number, "good")
    run.store.releases.set_serving(run.number)
    for told in run.target.commit():
        voice.notice(told)
    return f"release {run.number} serves"


def unmark_good(run: AnyDeployment) -> None:
    run.store.releases.set_serving(run.previous)


def prune(run: Switching, voice: Voice) -> str:
    keep, running = run.facts.settings.deploy.keep, run.target.running()
    working = map(int, filter(str.isdecimal, running.worker_releases)) if running is not None else ()
    report = prune_releases(run.store, run.paths, keep=keep, protected=[run.number, *working])
    for database in report.rescued:
        voice.notice(f"the data that was born in an old release is kept: {database}")
    for path in born_in(run.manifest.directory):
        place = run.manifest.directory / path
        voice.notice(f"data was born inside release {run.number}: {place}; {how_to_move(path)}")
    if not report.releases:
        return "nothing to remove"
    removed = (
        f"removed release{'s' if len(report.releases) > 1 else ''} {', '.join(map(str, report.releases))}"
    )
    return f"{removed}, but for its data" if report.rescued else removed


def _lock_wait(holder: LockOwner | None) -> str:
    if holder is None:
        return "another run holds the deploy lock"
    return f"{holder.action} by {holder.actor} (process {holder.identity.pid}) holds the deploy lock"
