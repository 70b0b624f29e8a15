"""The script for PowerShell: a native argument completer over two tables."""

from __future__ import annotations

from oatie_ops.cli.completing.tree import TEXT, Node, Value, shared

HEAD = """\
# Completion of oatie for PowerShell. Written by `oatie completion show powershell`; changes here get lost.
# It reads no configuration and starts no program: names of services, releases, workers and environments
# come from a small file that oatie's commands keep in the state directory.

Register-ArgumentCompleter -Native -CommandName oatie -ScriptBlock {
    param($current, $line, $cursor)

    # place -> what can stand there: kind of values, or words with their notes
"""

TAIL = """\
    function Get-Remembered([string] $kind) {
        $directory = $env:OATIE_HOME
        if (-not $directory) {
            $at = (Get-Location).Path
            while ($at -and -not (Test-Path (Join-Path $at '.oatie/complete'))) {
                $at = Split-Path $at -Parent
            }
            if (-not $at) { return }
            $directory = Join-Path $at '.oatie'
        }
        $file = Join-Path $directory 'complete'
        if (-not (Test-Path $file)) { return }
        foreach ($row in Get-Content $file) {
            $names = $row -split ' '
            if ($names[0] -eq $kind) { return $names | Select-Object -Skip 1 }
        }
    }

    $place = ''
    $pending = ''
    $given = 0
    foreach ($element in ($line.CommandElements | Select-Object -Skip 1)) {
        $word = $element.Extent.Text
        if ($element.Extent.EndOffset -ge $cursor -and $current) { break }
        if ($pending) { $pending = ''; continue }
        if ($values.ContainsKey("$place $word")) { $pending = $word; continue }
        if ($word.StartsWith('-')) { continue }
        if ($places.ContainsKey("$place/$word")) { $place = "$place/$word"; $given = 0 } else { $given++ }
    }
    function Get-Match([string] $word, [string] $note) {
        if ($word.StartsWith($current, [StringComparison]::OrdinalIgnoreCase)) {
            [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $note)
        }
    }

    if ($pending) {
        $offer = $values["$place $pending"]
    } elseif ($current.StartsWith('-')) {
        $offer = $options[$place]
    } else {
        $offer = $places[$place]
    }
    if ($offer -is [hashtable]) {
        foreach ($word in ($offer.Keys | Sort-Object)) { Get-Match $word $offer[$word] }
    } elseif ($offer -is [array]) {
        foreach ($word in $offer) { Get-Match $word $word }
    } elseif ($offer) {
        foreach ($word in (Get-Remembered $offer)) { Get-Match $word $word }
    }
}
"""


def script(root: Node) -> str:
    nodes = list(root.walk())
    parts = [HEAD, "    $places = @{\n"]
    parts += [f"        {_quoted(node.place)} = {_place(node)}\n" for node in nodes]
    parts.append("    }\n    $options = @{\n")
    for node in nodes:
        pairs = [
            (name, option.help or name) for option in (*node.options, *shared()) for name in option.names
        ]
        parts.append(f"        {_quoted(node.place)} = {_table(pairs)}\n")
    parts.append("    }\n    $values = @{\n")
    for node in nodes:
        for option in (*node.options, *(shared() if node.path else ())):
            if option.value is not None:
                parts += [
                    f"        {_quoted(f'{node.place} {name}')} = {_offer(option.value)}\n"
                    for name in option.names
                ]
    parts.append("    }\n\n")
    return "".join(parts) + TAIL


def _place(node: Node) -> str:
    if node.children:
        return _table(node.subcommands)
    return next((_offer(argument.value) for _, argument in node.offered()), "''")


def _table(pairs: list[tuple[str, str]]) -> str:
    """The keys of a PowerShell table know no case, so of ``-w`` and ``-W`` the first stays."""
    seen: dict[str, tuple[str, str]] = {}
    for name, text in pairs:
        seen.setdefault(name.lower(), (name, text))
    return "@{ " + "; ".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in seen.values()) + " }"


def _offer(value: Value) -> str:
    if value.kind == "choice":
        return "@(" + ", ".join(_quoted(choice) for choice in value.choices) + ")"
    return "''" if value.kind in (TEXT, "file") else _quoted(value.kind)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
