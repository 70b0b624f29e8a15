"""The script for bash: one function, no program and no subshell at a TAB."""

from __future__ import annotations

from collections.abc import Iterable

from oatie_ops.cli.completing.tree import FILE, Node, Value

HEAD = """\
# Completion of oatie for bash. Written by `oatie completion show bash`; changes here get lost.
# It reads no configuration and starts no program: names of services, releases, workers and environments
# come from a small file that oatie's commands keep in the state directory.

_oatie_remembered() {
  local directory=$PWD line
  REPLY=
  if [[ -n ${OATIE_HOME-} ]]; then
    [[ -r $OATIE_HOME/complete ]] || return 0
    directory=$OATIE_HOME
  else
    while [[ ! -r $directory/.oatie/complete ]]; do
      [[ -n $directory ]] || return 0
      directory=${directory%/*}
    done
    directory=$directory/.oatie
  fi
  while IFS= read -r line; do
    if [[ $line == "$1 "* ]]; then
      REPLY=${line#* }
      return 0
    fi
  done <"$directory/complete"
}

_oatie() {
  local current=${COMP_WORDS[COMP_CWORD]} path= pending= word= index=1 words= options= kind= given=0
  COMPREPLY=()
  [[ $current == '=' ]] && current=
  while ((index < COMP_CWORD)); do
    word=${COMP_WORDS[index]}
    ((index += 1))
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $pending ]]; then
      pending=
      continue
    fi
    case "$path $word" in
"""

BODY = """\
      *' -'*) ;;
      *)
        case "$path/$word" in
          {commands}) path=$path/$word given=0 ;;
          *) ((given += 1)) ;;
        esac
        ;;
    esac
  done
  if [[ -n $pending ]]; then
    case "$path $pending" in
"""

TAIL = """\
  [[ $current == -* ]] && kind= words=
  [[ -n $words$kind ]] || words=$options
  case $kind in
    file) compopt -o default; return 0 ;;
    ?*) _oatie_remembered "$kind"; words="$words $REPLY" ;;
  esac
  for word in $words; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  return 0
}

complete -F _oatie oatie
"""


def script(root: Node) -> str:
    nodes = list(root.walk())
    commands = "|".join(node.place for node in nodes if node.path)
    lines = [*_takes_value(nodes), BODY.format(commands=commands), *_option_values(nodes), *_places(nodes)]
    return HEAD + "".join(lines) + TAIL


def _takes_value(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        if names := node.taking_values():
            yield f"      {_patterns(names)}) pending=$word ;;\n"
    yield "      *' --color'|*' --ci') pending=$word ;;\n"


def _option_values(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        for names, value in node.values():
            yield f"      {_patterns(names)}) {_offer(value)} ;;\n"
    yield "      *' --color') words='auto always never' ;;\n      *' --ci') words=github ;;\n"
    yield "    esac\n    [[ -n $words$kind ]] || return 0\n  else\n    case $path in\n"


def _places(nodes: Iterable[Node]) -> Iterable[str]:
    """What can be typed once these words stand there: subcommands or arguments, and options after a dash."""
    for node in nodes:
        options = " ".join(name for option in node.options for name in option.names if name.startswith("--"))
        parts = [f"options='{options}'"]
        if node.children:
            parts.append(f"words='{' '.join(name for name, _ in node.subcommands)}'")
        for number, argument in node.offered():
            offer = _offer(argument.value)
            parts.append(offer if argument.many else f"((given == {number})) && {{ {offer}; }}")
        yield f"      '{node.place}') {'; '.join(parts)} ;;\n"
    yield "    esac\n    options+=' --quiet --verbose --color --ci'\n  fi\n"


def _patterns(names: Iterable[str]) -> str:
    return "|".join(f"'{name}'" for name in names)


def _offer(value: Value) -> str:
    if value.kind == "choice":
        return f"words='{' '.join(value.choices)}'"
    return f"kind={FILE if value.kind == FILE else value.kind}"
