"""The one table of subcommands: what `oatie --help` prints, what is imported when one is invoked.

Plain data without third-party imports, so that `oatie --help` needs neither Typer nor any command.
"""

from __future__ import annotations

from dataclasses import dataclass

PROGRAM = "oatie"
SCREEN_COLUMNS = 80
SUMMARY = "From a checkout to supervised, health-gated production, kept healthy."


@dataclass(frozen=True)
class Entry:
    """One subcommand: ``module`` holds ``command`` (a function) or, for a group, ``app`` (a Typer)."""

    name: str
    summary: str
    examples: tuple[tuple[str, str], ...] = ()  # (command line, what it does)
    group: bool = False

    @property
    def module(self) -> str:
        return f"oatie_ops.cli.{self.name}"

    def examples_of(self, subcommand: str) -> tuple[tuple[str, str], ...]:
        """Those of a group's subcommand."""
        start = f"{PROGRAM} {self.name} {subcommand}"
        return tuple((line, note) for line, note in self.examples if f"{line} ".startswith(f"{start} "))


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Set up",
        (
            Entry(
                "init",
                "Write a commented oatie.toml for the application found here.",
                (
                    ("oatie init", "look around and write oatie.toml"),
                    ("oatie init --docker", "a Dockerfile and .dockerignore for it"),
                ),
            ),
            Entry(
                "config",
                "Check the configuration and show where each value comes from.",
                (
                    ("oatie config check", "report every problem at once, with file:line:column"),
                    ("oatie config show --origin", "every value, and where it comes from"),
                    ("oatie config explain app.drain", "what a key means"),
                    ("oatie config schema > oatie.schema.json", "for editors"),
                ),
                group=True,
            ),
            Entry(
                "detect",
                "Tell which environment this is, with the evidence.",
                (("oatie detect --json", "the same, for a script"),),
            ),
        ),
    ),
    (
        "Release",
        (
            Entry(
                "deploy",
                "Make a release of this checkout; switch to it once healthy.",
                (
                    ("oatie deploy", "deploy this directory (or the demo, where there is nothing)"),
                    ("oatie deploy --dry-run", "print the steps and do nothing"),
                    ("oatie deploy -e production --json", "for CI: one JSON event a line"),
                ),
            ),
            Entry(
                "rollback",
                "Switch back to an earlier release, through the same health gate.",
                (
                    ("oatie rollback", "the last good release before this one"),
                    ("oatie rollback --list", "which releases there are"),
                    ("oatie rollback 7", "release 7"),
                ),
            ),
        ),
    ),
    (
        "Run",
        (
            Entry(
                "start",
                "Run the application under the supervisor.",
                (
                    ("oatie start", "in the foreground; Ctrl-C stops it"),
                    ("oatie start --dev", "one worker, reload on change, debug log"),
                    ("oatie start --daemon --health-check", "in the background, once it is healthy"),
                    ("oatie start --port 9000 --workers 4", "override the configuration"),
                ),
            ),
            Entry(
                "stop",
                "Stop the supervisor and its workers, gracefully.",
                (
                    ("oatie stop", "let requests in flight finish, then stop"),
                    ("oatie stop --timeout 5", "at most 5 seconds for them"),
                ),
            ),
            Entry(
                "reload",
                "Replace the workers by new ones without losing a request.",
                (("oatie reload", "exit 1 with the reason where the new workers are not healthy"),),
            ),
            Entry(
                "status",
                "Show what runs: release, workers, addresses.",
                (
                    ("oatie status", "exit 0 running, 3 degraded, 1 failed or not running"),
                    ("oatie status --json", "the same, for a script"),
                    ("oatie status --all", "each replica on the engine, asked for itself"),
                ),
            ),
            Entry(
                "logs",
                "Show what the workers and the supervisor wrote.",
                (
                    ("oatie logs -f", "follow"),
                    ("oatie logs --since 10m --worker 2", "the last ten minutes of one worker"),
                    ("oatie logs -n 0 -f", "only what comes from now on"),
                ),
            ),
            Entry(
                "health",
                "Show the health of the application and of what it needs.",
                (
                    ("oatie health --json", "exit 0 healthy, 3 degraded, 1 unhealthy"),
                    ("oatie health --watch", "live; q leaves, ? lists the keys"),
                    ("oatie health --until pass --deadline 60s", "for CI: wait until all is healthy"),
                    ('oatie health db --maintenance 30m --reason "upgrade"', "no alerts about db meanwhile"),
                    ("oatie health --format nagios", "a check for Nagios or Icinga"),
                ),
            ),
            Entry(
                "dashboard",
                "Print a link that signs your browser in to the dashboard.",
                (
                    ("oatie dashboard", "a link for one browser, valid for two minutes"),
                    ("oatie dashboard --open", "open it at once"),
                    ("oatie dashboard --read-only", "to look only"),
                ),
            ),
            Entry(
                "token",
                "Make, list and revoke tokens for the ops API.",
                (
                    ("oatie token create grafana", "may read; printed once"),
                    ("oatie token create ci --scope operate --expires 90d", "may restart, recover, degrade"),
                    ("oatie token list", "names, scopes, ages; never the tokens"),
                    ("oatie token revoke ci", "refused from now on, without a restart"),
                ),
                group=True,
            ),
            Entry(
                "profile",
                "Say why a start is slow, and what the machine does.",
                (
                    ("oatie profile", "where the start's time goes, and what would help most"),
                    ("oatie profile --budget 2s --json", "for CI: exit 1 when the start takes longer"),
                    ("oatie profile --compare 6 --verify", "is it slower than release 6? Runs both in turn"),
                    ("oatie profile --html start.html", "the waterfall as a page"),
                    ("oatie profile --resources --hours 24", "what is used, and how it develops"),
                    ("oatie profile --overview", "everything on one page"),
                ),
            ),
            Entry(
                "scale",
                "Say how many workers and replicas it should be; make it so.",
                (
                    ("oatie scale", "the recommendations, each with its evidence"),
                    ("oatie scale workers=4", "resize the running application without losing a request"),
                    ("oatie scale --apply", "do what is recommended"),
                    ("oatie scale --backtest load.csv", "replay a recorded load against usual autoscalers"),
                ),
            ),
        ),
    ),
    (
        "Repair",
        (
            Entry(
                "degrade",
                "Take a feature out of the running application, or put it back.",
                (
                    ('oatie degrade reports --reason "slow database"', "for an hour; answers how many obey"),
                    ("oatie degrade reports --reason load --for 10m --level 50", "half of its requests"),
                    ("oatie degrade --list", "what is degraded, by whom, until when"),
                    ("oatie degrade reports --restore", "end it now"),
                ),
            ),
            Entry(
                "recover",
                "Repair a service by its ladder and prove that it is well again.",
                (
                    ("oatie recover database", "now, whatever holds it back; exit 0 proven, 1 not"),
                    ("oatie recover database --dry-run", "what would be done, and how it is proven"),
                    ('oatie recover app --reason "leaks"', "new workers; each rung is shown as it happens"),
                    ("oatie recover --list", "every ladder, success rates, mean time to repair"),
                    ("oatie recover --history", "what was tried lately, and what proved it"),
                    ("oatie recover --errors", "errors in groups, with what was tried against them"),
                ),
            ),
        ),
    ),
    (
        "About oatie",
        (
            Entry(
                "doctor",
                "Tell what is missing here for which target, and how to get it.",
                (
                    ("oatie doctor", "everything"),
                    ("oatie doctor --target docker", "exit 5 where that target cannot be used from here"),
                ),
            ),
            Entry(
                "schema",
                "Print the JSON Schema of what a command prints with --json.",
                (
                    ("oatie schema", "which there are"),
                    ("oatie schema status", "that of `oatie status --json`"),
                ),
            ),
            Entry(
                "completion",
                "Complete words at a TAB in bash, zsh, fish and PowerShell.",
                (
                    ("oatie completion install", "for your shell; no start-up file is changed"),
                    ("oatie completion show zsh", "print the script"),
                ),
                group=True,
            ),
        ),
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for _, entries in SECTIONS for entry in entries}

MAIN_EXAMPLES = (
    ("oatie deploy", "deploy this directory: no configuration needed"),
    ("oatie status", "what runs, where"),
    ("oatie logs -f", "follow the application's output"),
)

TOPICS: dict[str, str] = {
    "config": "oatie.toml: where values come from, which keys there are",
    "environments": "where oatie can be, and what each environment brings",
    "exit-codes": "what each exit code means",
    "output": "--json, --quiet, --verbose, colour, CI",
}

OPTIONS = """\
Options:
  -h, --help      Show this, or with a command its own help.
  -V, --version   Show the version; with --json also what is installed.
  -q, --quiet     Results and errors only.
  -v, --verbose   Say more.
  --color WHEN    auto, always or never.
  --ci github     Annotations and a job summary.

More: `oatie help TOPIC`, `oatie help guide [COMMAND]`."""


def examples_text(examples: tuple[tuple[str, str], ...]) -> str:
    """The EXAMPLES block of a help text; empty without examples. Notes stand above where lines are long."""
    if not examples:
        return ""
    width = max(len(line) for line, _ in examples)
    lines = [f"  {line:<{width}}  # {note}" for line, note in examples]
    if max(map(len, lines)) > SCREEN_COLUMNS:
        lines = [part for line, note in examples for part in (f"  # {note}", f"  {line}")]
    return "\n".join(["Examples:", *lines])


def main_help() -> str:
    width = max(len(name) for name in (*ENTRIES, *TOPICS))
    blocks = [f"Usage: {PROGRAM} COMMAND [OPTIONS]", SUMMARY, examples_text(MAIN_EXAMPLES)]
    for title, entries in SECTIONS:
        rows = (f"  {entry.name:<{width}}  {entry.summary}" for entry in entries)
        blocks.append("\n".join([f"{title}:", *rows]))
    blocks.append("\n".join(["Topics:", *(f"  {name:<{width}}  {what}" for name, what in TOPICS.items())]))
    blocks.append(OPTIONS)
    return "\n\n".join(blocks)
