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
            printf '%s\n' $values[2..]
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
            case ' --color' ' --ci'
                set pending $word
            case '/init --base'
                set pending $word
            case '/config/check -e' '/config/check --environment' '/config/check --env-file'
                set pending $word
            case '/config/show -e' '/config/show --environment' '/config/show --env-file'
                set pending $word
            case '/detect -e' '/detect --environment'
                set pending $word
            case '/deploy -e' '/deploy --environment' '/deploy --target' '/deploy -p' '/deploy --port' '/deploy -w' '/deploy --workers' '/deploy --log-level' '/deploy -o' '/deploy --output' '/deploy --accessory' '/deploy --wait-lock'
                set pending $word
            case '/rollback -e' '/rollback --environment' '/rollback --wait-lock'
                set pending $word
            case '/start -p' '/start --port' '/start --host' '/start -w' '/start --workers' '/start --pid-file' '/start --log-level' '/start --env-file' '/start -e' '/start --environment'
                set pending $word
            case '/stop --timeout'
                set pending $word
            case '/status --timeout'
                set pending $word
            case '/logs -w' '/logs --worker' '/logs --since' '/logs -n' '/logs --lines'
                set pending $word
            case '/health --group' '/health --format' '/health --fail-on' '/health --timeout' '/health --interval' '/health --count' '/health --until' '/health --deadline' '/health --maintenance' '/health --reason'
                set pending $word
            case '/token/create --scope' '/token/create --expires'
                set pending $word
            case '/profile --runs' '/profile --html' '/profile --speedscope' '/profile --budget' '/profile --compare' '/profile --hours'
                set pending $word
            case '/scale --min' '/scale --max' '/scale --backtest' '/scale --column' '/scale --capacity-per-replica' '/scale --startup' '/scale --step' '/scale --budget' '/scale --warmup' '/scale --plot' '/scale --decisions'
                set pending $word
            case '/degrade --reason' '/degrade --for' '/degrade --level'
                set pending $word
            case '/recover --from' '/recover --reason' '/recover --limit'
                set pending $word
            case '/doctor --target'
                set pending $word
            case '* --color' '* --ci'
                set pending $word
            case '* -*'
            case '*'
                switch "$place/$word"
                    case '/init' '/config' '/config/check' '/config/show' '/config/schema' '/config/explain' '/detect' '/deploy' '/rollback' '/start' '/stop' '/reload' '/status' '/logs' '/health' '/dashboard' '/token' '/token/create' '/token/list' '/token/revoke' '/profile' '/scale' '/degrade' '/recover' '/doctor' '/schema' '/completion' '/completion/show' '/completion/install' '/help'
                        set place "$place/$word"
                        set given 0
                    case '*'
                        set given (math $given + 1)
                end
        end
    end
    if test -n "$pending"
        switch "$place $pending"
            case ' --color'
                printf '%s\n' 'auto' 'always' 'never'
            case ' --ci'
                printf '%s\n' 'github'
            case '/config/check -e' '/config/check --environment'
                __oatie_remembered environments
            case '/config/check --env-file'
                __fish_complete_path $current
            case '/config/show -e' '/config/show --environment'
                __oatie_remembered environments
            case '/config/show --env-file'
                __fish_complete_path $current
            case '/detect -e' '/detect --environment'
                __oatie_remembered environments
            case '/deploy -e' '/deploy --environment'
                __oatie_remembered environments
            case '/deploy --target'
                printf '%s\n' 'process' 'docker' 'swarm' 'kubernetes'
            case '/deploy --log-level'
                printf '%s\n' 'critical' 'error' 'warning' 'info' 'debug' 'trace'
            case '/rollback -e' '/rollback --environment'
                __oatie_remembered environments
            case '/start --pid-file'
                __fish_complete_path $current
            case '/start --log-level'
                printf '%s\n' 'critical' 'error' 'warning' 'info' 'debug' 'trace'
            case '/start --env-file'
                __fish_complete_path $current
            case '/start -e' '/start --environment'
                __oatie_remembered environments
            case '/logs -w' '/logs --worker'
                __oatie_remembered workers
            case '/health --group'
                printf '%s\n' 'live' 'ready' 'startup'
            case '/health --format'
                printf '%s\n' 'nagios' 'jsonl'
            case '/health --fail-on'
                printf '%s\n' 'fail' 'warn'
            case '/health --until'
                printf '%s\n' 'pass' 'fail'
            case '/profile --html'
                __fish_complete_path $current
            case '/profile --speedscope'
                __fish_complete_path $current
            case '/profile --compare'
                __oatie_remembered releases
            case '/scale --backtest'
                __fish_complete_path $current
            case '/scale --plot'
                __fish_complete_path $current
            case '/scale --decisions'
                __fish_complete_path $current
            case '/doctor --target'
                printf '%s\n' 'process' 'docker' 'swarm' 'kubernetes'
            case '* --color'
                printf '%s\n' auto always never
            case '* --ci'
                echo github
        end
        return
    end
    if string match -q -- '-*' $current
        switch $place
            case ''
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-V' 'Show the version and exit.' '--version' 'Show the version and exit.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/init'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--force' 'Replace an oatie.toml that is there.' '--systemd' 'Write a systemd unit instead (Type=notify).' '--github' 'Write a GitHub Actions workflow instead.' '--gitlab' 'Write a GitLab pipeline instead.' '--docker' 'Write a Dockerfile and .dockerignore instead.' '--supervised' 'With --docker: oatie is process 1 in the container.' '--base' 'With --docker: the image to build on.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/config'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/config/check'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-e' 'As if this environment applied.' '--environment' 'As if this environment applied.' '--env-file' 'Read variables from this file too.' '--strict' 'Exit 3 where there are warnings.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/config/show'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--origin' 'Where each value comes from.' '-e' 'As if this environment applied.' '--environment' 'As if this environment applied.' '--env-file' 'Read variables from this file too.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/config/schema'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'It is JSON in any case.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/config/explain'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/detect'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object with a stable shape.' '--explain' 'Every signal, matched or not, and what it decided.' '--probe' 'Also ask the clouds\' metadata services, for 0.3 s at most.' '-e' 'Say which environment applies.' '--environment' 'Say which environment applies.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/deploy'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-e' 'Use [environments.NAME] of oatie.toml.' '--environment' 'Use [environments.NAME] of oatie.toml.' '--target' 'One of process, docker, swarm, kubernetes.' '--use-docker' 'Same as --target docker.' '--use-kubernetes' 'Same as --target kubernetes.' '-p' 'Listen on this port.' '--port' 'Listen on this port.' '-w' 'How many processes.' '--workers' 'How many processes.' '--log-level' 'One of critical, error, warning, info, debug, trace.' '--no-health-check' 'Wait until the workers are up, not until they are healthy; no bake.' '--dry-run' 'Print the steps that would be done, and do nothing.' '-o' 'With --dry-run: print the objects for Kubernetes.' '--output' 'With --dry-run: print the objects for Kubernetes.' '--accessory' 'Only this accessory: made anew as declared.' '-y' 'Do not ask.' '--yes' 'Do not ask.' '--json' 'One JSON event a line; the last one is the result.' '--wait-lock' 'How long to wait for another run to end.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/rollback'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-l' 'Show the releases and do nothing.' '--list' 'Show the releases and do nothing.' '-e' 'Use [environments.NAME] of oatie.toml.' '--environment' 'Use [environments.NAME] of oatie.toml.' '--dry-run' 'Print the steps that would be done, and do nothing.' '-y' 'Do not ask.' '--yes' 'Do not ask.' '--json' 'One JSON event a line; the last one is the result.' '--wait-lock' 'How long to wait for another run to end.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/start'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-p' 'Listen on this port.' '--port' 'Listen on this port.' '--host' 'Listen on this address (0.0.0.0: all).' '-w' 'How many processes.' '--workers' 'How many processes.' '--dev' 'This checkout, one worker, reload on change, debug log.' '-d' 'In the background; returns when it serves, or says why not.' '--daemon' 'In the background; returns when it serves, or says why not.' '--health-check' 'Return only when it is healthy; a daemon always does.' '--pid-file' 'Write the supervisor\'s pid here too.' '--log-level' 'One of critical, error, warning, info, debug, trace.' '--env-file' 'Variables for the application (KEY=value lines).' '-e' 'Use [environments.NAME] of oatie.toml.' '--environment' 'Use [environments.NAME] of oatie.toml.' '--json' 'With --daemon: the status as one JSON object.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/stop'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--timeout' 'How long requests in flight may take. [default: the app\'s drain]' '--json' 'One JSON object: status, pid, seconds.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/reload'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'JSON lines: each event, the result last.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/status'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object, the same shape in every state.' '--all' 'Ask each replica on the engine what its own oatie says.' '--timeout' 'With --all: how long a replica may take; 15s.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/logs'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-f' 'Go on as lines come; Ctrl-C ends it.' '--follow' 'Go on as lines come; Ctrl-C ends it.' '-w' 'Only this worker, or `supervisor`.' '--worker' 'Only this worker, or `supervisor`.' '--since' 'How long ago (10m, 2h, 1d), or an ISO-8601 time.' '-n' 'At most the last N. [default: 100; all with --since]' '--lines' 'At most the last N. [default: 100; all with --since]' '--json' 'JSON lines with time, worker, stream and text.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/health'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object, the same shape in every state.' '--group' 'One question only: is it alive, may it get traffic, has it started?' '--format' 'nagios: one line with performance data and a plugin\'s exit codes (0, 1, 2, 3).' '--all' 'Ask each replica on the engine what its own checks found.' '--fail-on' 'What exits 1. fail: degraded exits 0; warn: degraded and unknown exit 1, too.' '--timeout' 'How long to wait for the supervisor, for a check where none runs, or for a replica.' '-w' 'Go on looking; live on a terminal, else a line a change.' '--watch' 'Go on looking; live on a terminal, else a line a change.' '--interval' 'With --watch: time between two looks; 2s.' '--count' 'With --watch: end after so many looks.' '--until' 'With --watch: end once it is so, with 0.' '--deadline' 'With --until: exit 1 if it is not so by then.' '--maintenance' 'Expect failures for so long: no alerts meanwhile.' '--reason' 'With --maintenance: why, for everybody who asks.' '--print-rules' 'Print alert rules for Prometheus and exit.' '--print-grafana' 'Print a dashboard for Grafana and exit.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/dashboard'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--open' 'Open it in the browser of this machine.' '--read-only' 'The browser may look, and press nothing.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/token'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/token/create'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--scope' 'read: see details. operate: change things too.' '--expires' 'How long it is valid, such as 90d; else for ever.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/token/list'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/token/revoke'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/profile'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--runs' 'How often it is started; 5, or 20 with --verify.' '--checkout' 'This checkout, although a release is deployed.' '--json' 'One JSON object.' '--html' 'Write a page with the waterfall.' '--speedscope' 'Write imports and stacks for speedscope.app.' '--budget' 'Exit 1 if the median start takes longer.' '--compare' 'Is it slower than this release\'s starts were?' '--verify' 'With --compare: run both in turn, which can confirm it.' '--resources' 'Show what is used, and how it develops.' '-w' 'With --resources: go on, every 2 s.' '--watch' 'With --resources: go on, every 2 s.' '--hours' 'With --resources or --overview: how far back; 1.' '--overview' 'Resources, starts and scaling on one page, with a score.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/scale'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--apply' 'Do what is recommended.' '--auto' 'The supervisor follows the load, within the bounds.' '--no-auto' 'The supervisor follows the load, within the bounds.' '--min' 'With --auto; else [scale] min.' '--max' 'With --auto; else [scale] max.' '--backtest' 'Replay a recorded load: t_s,load.' '--column' 'With --backtest: the column of loads; the first after t_s.' '--capacity-per-replica' 'With --backtest: the load that keeps one replica fully busy.' '--startup' 'With --backtest: until a new replica serves; 60s.' '--step' 'With --backtest: between two decisions; 60s.' '--budget' 'With --backtest: the share of time that may be short; 0.005.' '--warmup' 'With --backtest: not scored; 3h to 14d by its length.' '--plot' 'With --backtest: write a picture of it.' '--decisions' 'With --backtest: write t_s,replicas for every step.' '--json' 'One JSON object; of a change, JSON lines.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/degrade'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--reason' 'Why: for the log, the audit and whoever looks.' '--for' 'How long; 1h without it.' '--permanent' 'Until it is restored.' '--level' 'Percent of requests, 100 without it; 0 keeps it as it is.' '--restore' 'End what degrades it.' '--list' 'What is degraded, by whom, until when.' '--json' 'One JSON object.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/recover'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--dry-run' 'Show the rungs and how each would be proven; do nothing.' '--from' 'The rung to begin with, as numbered.' '--reason' 'Why, for the journal and the audit.' '-l' 'Every ladder: where it stands, what its rungs achieved.' '--list' 'Every ladder: where it stands, what its rungs achieved.' '--history' 'The latest recoveries, each try and its proof.' '--errors' 'Errors in groups, with what was tried against them.' '--limit' 'With --history and --errors: how many.' '--json' 'One JSON object at the end, the same shape in every case.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/doctor'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--target' 'One of process, docker, swarm, kubernetes.' '--json' 'One JSON object with a stable shape.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/schema'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'What is printed is JSON already; the names as a list.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/completion'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/completion/show'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object: shell, script.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/completion/install'
                printf '%s\t%s\n' '-h' 'Show the help and exit.' '--help' 'Show the help and exit.' '--json' 'One JSON object: shell, file, next.' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
            case '/help'
                printf '%s\t%s\n' '-q' 'Results and errors only, no talk.' '--quiet' 'Results and errors only, no talk.' '-v' 'Say more: what was read, how long it took, where an unexpected error came from.' '--verbose' 'Say more: what was read, how long it took, where an unexpected error came from.' '--color' 'auto, always or never.' '--ci' 'github: annotations for what failed, and a summary of the job.'
        end
        return
    end
    switch $place
        case ''
            printf '%s\t%s\n' 'init' 'Write a commented oatie.toml for the application found here.' 'config' 'Check the configuration and show where each value comes from.' 'detect' 'Tell which environment this is, with the evidence.' 'deploy' 'Make a release of this checkout; switch to it once healthy.' 'rollback' 'Switch back to an earlier release, through the same health gate.' 'start' 'Run the application under the supervisor.' 'stop' 'Stop the supervisor and its workers, gracefully.' 'reload' 'Replace the workers by new ones without losing a request.' 'status' 'Show what runs: release, workers, addresses.' 'logs' 'Show what the workers and the supervisor wrote.' 'health' 'Show the health of the application and of what it needs.' 'dashboard' 'Print a link that signs your browser in to the dashboard.' 'token' 'Make, list and revoke tokens for the ops API.' 'profile' 'Say why a start is slow, and what the machine does.' 'scale' 'Say how many workers and replicas it should be; make it so.' 'degrade' 'Take a feature out of the running application, or put it back.' 'recover' 'Repair a service by its ladder and prove that it is well again.' 'doctor' 'Tell what is missing here for which target, and how to get it.' 'schema' 'Print the JSON Schema of what a command prints with --json.' 'completion' 'Complete words at a TAB in bash, zsh, fish and PowerShell.' 'help' 'Show the help of a command, a topic or a page.'
        case '/config'
            printf '%s\t%s\n' 'check' 'Report every problem at once, with file:line:column.' 'show' 'Show every value that applies here; secrets are masked.' 'schema' 'Print the JSON Schema of oatie.toml, for editors.' 'explain' 'Explain a key, a table, or, without KEY, list all keys.'
        case '/rollback'
            test $given -eq 0; and __oatie_remembered releases
        case '/health'
            __oatie_remembered services
        case '/token'
            printf '%s\t%s\n' 'create' 'Make a token, print it once, and keep only its hash.' 'list' 'List the tokens: names, scopes and hashes, never themselves.' 'revoke' 'Refuse a token from now on; sessions at the dashboard that it opened end too.'
        case '/degrade'
            test $given -eq 0; and __oatie_remembered services
        case '/recover'
            test $given -eq 0; and __oatie_remembered services
        case '/completion'
            printf '%s\t%s\n' 'show' 'Print the script for a shell: bash, zsh, fish or powershell.' 'install' 'Write the script to the directory in which the shell looks for the user\'s completions.'
        case '/completion/show'
            test $given -eq 0; and printf '%s\n' 'bash' 'zsh' 'fish' 'powershell'
        case '/completion/install'
            test $given -eq 0; and printf '%s\n' 'bash' 'zsh' 'fish' 'powershell'
        case '/help'
            test $given -eq 0; and printf '%s\n' 'config' 'environments' 'exit-codes' 'output' 'init' 'config' 'detect' 'deploy' 'rollback' 'start' 'stop' 'reload' 'status' 'logs' 'health' 'dashboard' 'token' 'profile' 'scale' 'degrade' 'recover' 'doctor' 'schema' 'completion' 'guide'
    end
end

complete -c oatie -f -a '(__oatie_complete)'
