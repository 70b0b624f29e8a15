"""The script for fish: one rule with one function, since each condition of a rule is run at every TAB."""

from __future__ import annotations

from collections.abc import Iterable

from oatie_ops.cli.completing.tree import FILE, Node, Option, Value, shared

HEAD = """\
# Completion of oatie for fish. Written by `oatie completion show fish`; changes here get lost.
# It reads no configuration and starts no program: names of services, releases, workers and environments
# come from a small file that oatie's commands keep in the state directory.

function __oatie_remembered
    set -l directory $PWD
    if set -q OATIE_HOME; and test -n "$OATIE_HOME"
        set directory $OATIE_HOME
    else
        while not test -r $directory/.oatie/complete
            test -n "$directory"; or return
            set directory (string replace -r '/[^/]*$' '' -- $directory)
        end
        set directory $directory/.oatie
    end
    test -r $directory/complete; or return
    while read -l line
        set -l values (string split ' ' -- $line)
        if test "$values[1]" = $argv[1]
            printf '%s\\n' $values[2..]
            return
        end
    end <$directory/complete
end

function __oatie_complete
    set -l current (commandline -ct)
    set -l place ''
    set -l pending ''
    set -l given 0
    for word in (commandline -opc)[2..]
        if test -n "$pending"
            set pending ''
            continue
        end
        switch "$place $word"
"""

WALK = """\
            case '* -*'
            case '*'
                switch "$place/$word"
                    case {commands}
                        set place "$place/$word"
                        set given 0
                    case '*'
                        set given (math $given + 1)
                end
        end
    end
    if test -n "$pending"
        switch "$place $pending"
"""

OPTIONS = """\
        end
        return
    end
    if string match -q -- '-*' $current
        switch $place
"""

PLACES = """\
        end
        return
    end
    switch $place
"""

TAIL = """\
    end
end

complete -c oatie -f -a '(__oatie_complete)'
"""


def script(root: Node) -> str:
    nodes = list(root.walk())
    commands = " ".join(_quoted(node.place) for node in nodes if node.path)
    return "".join(
        [
            HEAD,
            *_takes_value(nodes),
            WALK.format(commands=commands),
            *_option_values(nodes),
            OPTIONS,
            *_options(nodes),
            PLACES,
            *_places(nodes),
            TAIL,
        ]
    )


def _takes_value(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        if names := node.taking_values():
            yield f"            case {' '.join(map(_quoted, names))}\n                set pending $word\n"
    yield "            case '* --color' '* --ci'\n                set pending $word\n"


def _option_values(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        for names, value in node.values():
            yield f"            case {' '.join(map(_quoted, names))}\n                {_offer(value)}\n"
    yield "            case '* --color'\n                printf '%s\\n' auto always never\n"
    yield "            case '* --ci'\n                echo github\n"


def _options(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        yield f"            case {_quoted(node.place)}\n                {_described(_names(node.options))}\n"


def _names(options: Iterable[Option]) -> list[tuple[str, str]]:
    return [(name, option.help) for option in (*options, *shared()) for name in option.names]


def _places(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        lines = [_described(node.subcommands)] if node.children else []
        for number, argument in node.offered():
            offer = _offer(argument.value)
            lines.append(offer if argument.many else f"test $given -eq {number}; and {offer}")
        if lines:
            listed = "".join(f"            {line}\n" for line in lines)
            yield f"        case {_quoted(node.place)}\n{listed}"


def _described(pairs: list[tuple[str, str]]) -> str:
    return "printf '%s\\t%s\\n' " + " ".join(f"{_quoted(name)} {_quoted(text)}" for name, text in pairs)


def _offer(value: Value) -> str:
    if value.kind == "choice":
        return "printf '%s\\n' " + " ".join(_quoted(choice) for choice in value.choices)
    return "__fish_complete_path $current" if value.kind == FILE else f"__oatie_remembered {value.kind}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
