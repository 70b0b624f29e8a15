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
      ' --color'|' --ci') pending=$word ;;
      '/init --base') pending=$word ;;
      '/config/check -e'|'/config/check --environment'|'/config/check --env-file') pending=$word ;;
      '/config/show -e'|'/config/show --environment'|'/config/show --env-file') pending=$word ;;
      '/detect -e'|'/detect --environment') pending=$word ;;
      '/deploy -e'|'/deploy --environment'|'/deploy --target'|'/deploy -p'|'/deploy --port'|'/deploy -w'|'/deploy --workers'|'/deploy --log-level'|'/deploy -o'|'/deploy --output'|'/deploy --accessory'|'/deploy --wait-lock') pending=$word ;;
      '/rollback -e'|'/rollback --environment'|'/rollback --wait-lock') pending=$word ;;
      '/start -p'|'/start --port'|'/start --host'|'/start -w'|'/start --workers'|'/start --pid-file'|'/start --log-level'|'/start --env-file'|'/start -e'|'/start --environment') pending=$word ;;
      '/stop --timeout') pending=$word ;;
      '/status --timeout') pending=$word ;;
      '/logs -w'|'/logs --worker'|'/logs --since'|'/logs -n'|'/logs --lines') pending=$word ;;
      '/health --group'|'/health --format'|'/health --fail-on'|'/health --timeout'|'/health --interval'|'/health --count'|'/health --until'|'/health --deadline'|'/health --maintenance'|'/health --reason') pending=$word ;;
      '/token/create --scope'|'/token/create --expires') pending=$word ;;
      '/profile --runs'|'/profile --html'|'/profile --speedscope'|'/profile --budget'|'/profile --compare'|'/profile --hours') pending=$word ;;
      '/scale --min'|'/scale --max'|'/scale --backtest'|'/scale --column'|'/scale --capacity-per-replica'|'/scale --startup'|'/scale --step'|'/scale --budget'|'/scale --warmup'|'/scale --plot'|'/scale --decisions') pending=$word ;;
      '/degrade --reason'|'/degrade --for'|'/degrade --level') pending=$word ;;
      '/recover --from'|'/recover --reason'|'/recover --limit') pending=$word ;;
      '/doctor --target') pending=$word ;;
      *' --color'|*' --ci') pending=$word ;;
      *' -'*) ;;
      *)
        case "$path/$word" in
          /init|/config|/config/check|/config/show|/config/schema|/config/explain|/detect|/deploy|/rollback|/start|/stop|/reload|/status|/logs|/health|/dashboard|/token|/token/create|/token/list|/token/revoke|/profile|/scale|/degrade|/recover|/doctor|/schema|/completion|/completion/show|/completion/install|/help) path=$path/$word given=0 ;;
          *) ((given += 1)) ;;
        esac
        ;;
    esac
  done
  if [[ -n $pending ]]; then
    case "$path $pending" in
      ' --color') words='auto always never' ;;
      ' --ci') words='github' ;;
      '/config/check -e'|'/config/check --environment') kind=environments ;;
      '/config/check --env-file') kind=file ;;
      '/config/show -e'|'/config/show --environment') kind=environments ;;
      '/config/show --env-file') kind=file ;;
      '/detect -e'|'/detect --environment') kind=environments ;;
      '/deploy -e'|'/deploy --environment') kind=environments ;;
      '/deploy --target') words='process docker swarm kubernetes' ;;
      '/deploy --log-level') words='critical error warning info debug trace' ;;
      '/rollback -e'|'/rollback --environment') kind=environments ;;
      '/start --pid-file') kind=file ;;
      '/start --log-level') words='critical error warning info debug trace' ;;
      '/start --env-file') kind=file ;;
      '/start -e'|'/start --environment') kind=environments ;;
      '/logs -w'|'/logs --worker') kind=workers ;;
      '/health --group') words='live ready startup' ;;
      '/health --format') words='nagios jsonl' ;;
      '/health --fail-on') words='fail warn' ;;
      '/health --until') words='pass fail' ;;
      '/profile --html') kind=file ;;
      '/profile --speedscope') kind=file ;;
      '/profile --compare') kind=releases ;;
      '/scale --backtest') kind=file ;;
      '/scale --plot') kind=file ;;
      '/scale --decisions') kind=file ;;
      '/doctor --target') words='process docker swarm kubernetes' ;;
      *' --color') words='auto always never' ;;
      *' --ci') words=github ;;
    esac
    [[ -n $words$kind ]] || return 0
  else
    case $path in
      '') options='--help --version --quiet --verbose --color --ci'; words='init config detect deploy rollback start stop reload status logs health dashboard token profile scale degrade recover doctor schema completion help' ;;
      '/init') options='--help --force --systemd --github --gitlab --docker --supervised --base --json' ;;
      '/config') options='--help'; words='check show schema explain' ;;
      '/config/check') options='--help --environment --env-file --strict --json' ;;
      '/config/show') options='--help --origin --environment --env-file --json' ;;
      '/config/schema') options='--help --json' ;;
      '/config/explain') options='--help --json' ;;
      '/detect') options='--help --json --explain --probe --environment' ;;
      '/deploy') options='--help --environment --target --use-docker --use-kubernetes --port --workers --log-level --no-health-check --dry-run --output --accessory --yes --json --wait-lock' ;;
      '/rollback') options='--help --list --environment --dry-run --yes --json --wait-lock'; ((given == 0)) && { kind=releases; } ;;
      '/start') options='--help --port --host --workers --dev --daemon --health-check --pid-file --log-level --env-file --environment --json' ;;
      '/stop') options='--help --timeout --json' ;;
      '/reload') options='--help --json' ;;
      '/status') options='--help --json --all --timeout' ;;
      '/logs') options='--help --follow --worker --since --lines --json' ;;
      '/health') options='--help --json --group --format --all --fail-on --timeout --watch --interval --count --until --deadline --maintenance --reason --print-rules --print-grafana'; kind=services ;;
      '/dashboard') options='--help --open --read-only --json' ;;
      '/token') options='--help'; words='create list revoke' ;;
      '/token/create') options='--help --scope --expires --json' ;;
      '/token/list') options='--help --json' ;;
      '/token/revoke') options='--help --json' ;;
      '/profile') options='--help --runs --checkout --json --html --speedscope --budget --compare --verify --resources --watch --hours --overview' ;;
      '/scale') options='--help --apply --auto --no-auto --min --max --backtest --column --capacity-per-replica --startup --step --budget --warmup --plot --decisions --json' ;;
      '/degrade') options='--help --reason --for --permanent --level --restore --list --json'; ((given == 0)) && { kind=services; } ;;
      '/recover') options='--help --dry-run --from --reason --list --history --errors --limit --json'; ((given == 0)) && { kind=services; } ;;
      '/doctor') options='--help --target --json' ;;
      '/schema') options='--help --json' ;;
      '/completion') options='--help'; words='show install' ;;
      '/completion/show') options='--help --json'; ((given == 0)) && { words='bash zsh fish powershell'; } ;;
      '/completion/install') options='--help --json'; ((given == 0)) && { words='bash zsh fish powershell'; } ;;
      '/help') options=''; ((given == 0)) && { words='config environments exit-codes output init config detect deploy rollback start stop reload status logs health dashboard token profile scale degrade recover doctor schema completion guide'; } ;;
    esac
    options+=' --quiet --verbose --color --ci'
  fi
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
