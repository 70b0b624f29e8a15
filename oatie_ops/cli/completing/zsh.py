"""The script for zsh: one function that hands names with their notes to `compadd`."""

from __future__ import annotations

from collections.abc import Iterable

from oatie_ops.cli.completing.tree import FILE, Node, Option, Value, shared

HEAD = """\
#compdef oatie
# Completion of oatie for zsh. Written by `oatie completion show zsh`; changes here get lost.
# It reads no configuration and starts no program: names of services, releases, workers and environments
# come from a small file that oatie's commands keep in the state directory.

_oatie_remembered() {
  local directory=$PWD line
  reply=()
  if [[ -n ${OATIE_HOME-} ]]; then
    directory=$OATIE_HOME
  else
    while [[ ! -r $directory/.oatie/complete ]]; do
      [[ -n $directory ]] || return 0
      directory=${directory%/*}
    done
    directory=$directory/.oatie
  fi
  [[ -r $directory/complete ]] || return 0
  while IFS= read -r line; do
    if [[ $line == "$1 "* ]]; then
      reply=(${=line#* })
      return 0
    fi
  done <"$directory/complete"
}

_oatie() {
  local current=$words[CURRENT] place= pending= word= kind= given=0 index=2
  local -a names notes options option_notes reply
  while ((index < CURRENT)); do
    word=$words[index]
    ((index += 1))
    if [[ -n $pending ]]; then
      pending=
      continue
    fi
    case "$place $word" in
"""

WALK = """\
      (*' '-*) ;;
      (*)
        case "$place/$word" in
          ({commands}) place=$place/$word given=0 ;;
          (*) ((given += 1)) ;;
        esac
        ;;
    esac
  done
  if [[ -z $pending && $current == --*=* ]]; then
    pending=${{current%%=*}}
    compset -P '*='
  fi
  if [[ -n $pending ]]; then
    case "$place $pending" in
"""

TAIL = """\
    esac
    if [[ $current == -* || ( -z $kind && $#names == 0 ) ]]; then
      kind= names=($options) notes=($option_notes)
    fi
  fi
  case $kind in
    ('') ;;
    (file) _files; return ;;
    (*) _oatie_remembered $kind; names+=($reply) notes+=($reply) ;;
  esac
  (( $#names )) && compadd -l -d notes -a names
}

# Sourced, it registers itself; autoloaded from fpath, the file is the function.
if [[ $funcstack[1] == _oatie ]]; then _oatie "$@"; else compdef _oatie oatie; fi
"""


def script(root: Node) -> str:
    nodes = list(root.walk())
    commands = "|".join(node.place for node in nodes if node.path)
    parts = [*_takes_value(nodes), WALK.format(commands=commands), *_option_values(nodes), *_places(nodes)]
    return HEAD + "".join(parts) + TAIL


def _takes_value(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        if names := node.taking_values():
            yield f"      ({'|'.join(map(_quoted, names))}) pending=$word ;;\n"
    yield "      (*' --color'|*' --ci') pending=$word ;;\n"


def _option_values(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        for names, value in node.values():
            yield f"      ({'|'.join(map(_quoted, names))}) {_offer(value)} ;;\n"
    yield "      (*' --color') names=(auto always never) notes=(auto always never) ;;\n"
    yield "      (*' --ci') names=(github) notes=(github) ;;\n    esac\n  else\n    case $place in\n"


def _places(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        parts = [_described("options", "option_notes", list(_long(node.options)))]
        if node.children:
            parts.append(_described("names", "notes", node.subcommands))
        for number, argument in node.offered():
            offer = _offer(argument.value)
            parts.append(offer if argument.many else f"((given == {number})) && {{ {offer} }}")
        lines = "".join(f"        {part}\n" for part in parts)
        yield f"      ({_quoted(node.place)})\n{lines}        ;;\n"


def _long(options: Iterable[Option]) -> Iterable[tuple[str, str]]:
    for option in (*options, *shared()):
        yield from ((name, option.help) for name in option.names if name.startswith("--"))


def _described(names: str, notes: str, pairs: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in pairs), default=0)
    said = " ".join(_quoted(f"{name:<{width}}  -- {text}") for name, text in pairs)
    return f"{names}=({' '.join(name for name, _ in pairs)}) {notes}=({said})"


def _offer(value: Value) -> str:
    if value.kind == "choice":
        listed = " ".join(_quoted(choice) for choice in value.choices)
        return f"names=({listed}) notes=({listed})"
    return f"kind={FILE if value.kind == FILE else value.kind}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
