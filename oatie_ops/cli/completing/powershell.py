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
    $found = @()
    if ($pending) {
        $offer = $values["$place $pending"]
    } elseif ($current.StartsWith('-')) {
        $offer = $options[$place]
    } else {
        $offer = $places[$place]
    }
    if ($offer -is [hashtable]) {
        $found = $offer.GetEnumerator() | Sort-Object Name | ForEach-Object { , @($_.Key, $_.Value) }
    } elseif ($offer -is [array]) {
        $found = $offer | ForEach-Object { , @($_, $_) }
    } elseif ($offer) {
        $found = Get-Remembered $offer | ForEach-Object { , @($_, $_) }
    }
    foreach ($pair in $found) {
        if ($pair[0] -like "$current*") {
            [System.Management.Automation.CompletionResult]::new(
                $pair[0], $pair[0], 'ParameterValue', $pair[1])
        }
    }
}
"""


def script(root: Node) -> str:
    nodes = list(root.walk())
    parts = [HEAD, "    $places = @{\n"]
    parts += [f"        {_quoted(_path(node))} = {_place(node)}\n" for node in nodes]
    parts.append("    }\n    $options = @{\n")
    for node in nodes:
        pairs = [
            (name, option.help or name) for option in (*node.options, *shared()) for name in option.names
        ]
        parts.append(f"        {_quoted(_path(node))} = {_table(pairs)}\n")
    parts.append("    }\n    $values = @{\n")
    for node in nodes:
        for option in (*node.options, *(shared() if node.path else ())):
            if option.value is not None:
                parts += [
                    f"        {_quoted(f'{_path(node)} {name}')} = {_offer(option.value)}\n"
                    for name in option.names
                ]
    parts.append("    }\n\n")
    return "".join(parts) + TAIL


def _place(node: Node) -> str:
    if node.children:
        return _table([(child.path[-1], child.summary) for child in node.children])
    offered = [argument.value for argument in node.arguments if argument.value.kind != TEXT]
    return _offer(offered[0]) if offered else "''"


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


def _path(node: Node) -> str:
    return "".join(f"/{name}" for name in node.path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
