# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of weir for bash: source it, or install it as share/bash-completion/completions/weir.

_weir_options() {
    case $1 in
    serve)
        echo "--config --listen --workers --store --on-store-failure --nodes --access-log
            --admin-listen --help"
        ;;
    mock)
        echo "--listen --workers --seed --output-tokens --first-token-ms --tokens-per-s --fail
            --abort --retry-after-ms --cached --api-key --models --help"
        ;;
    load)
        echo "--target --clients --rate --duration --trace --speed --keys --key-ids
            --key-count --key-prefix --zipf --prompt-tokens --max-tokens --stream --model
            --seed --json --html --record --help"
        ;;
    verify)
        echo "--limits --window --json --help"
        ;;
    sim)
        echo "--nodes --keys --zipf --rate --duration --burst --pause --limits --window
            --input --output --used --hold --settle --balance --mode --rtt --shards
            --store-us-per-call --seed --json --help"
        ;;
    tokens)
        echo "--encoding --model --data --lines --pack --help"
        ;;
    replay)
        echo "--keys --zipf --limits --max-output --fixed --quantile --default-output
            --first-token --tokens-per-s --seed --seeds --json --help"
        ;;
    check-config)
        echo "--help"
        ;;
    check)
        echo "--model --input --output --requests --admin --token-file --json --help"
        ;;
    top)
        echo "--admin --token-file --once --json --help"
        ;;
    keys)
        echo "--plan --team --org --limits --clear --admin --token-file --json --help"
        ;;
    teams)
        echo "--plan --org --limits --clear --admin --token-file --json --help"
        ;;
    orgs)
        echo "--plan --limits --clear --admin --token-file --json --help"
        ;;
    plans)
        echo "--limits --shadow --clear --json-body --admin --token-file --json --help"
        ;;
    grant)
        echo "--window --admin --token-file --json --help"
        ;;
    usage | reset | reload)
        echo "--admin --token-file --json --help"
        ;;
    esac
}

# The values of an option: words, or + for files. Fails for one that has no value.
_weir_values() {
    case "$1 $2" in
    *' --help' | 'load --stream' | 'tokens --lines' | 'verify --json' | 'sim --json' | \
        'replay --json' | 'usage --json' | 'check --json' | 'reset --json' | 'reload --json' | 'keys --json' | \
        'plans --json' | 'teams --json' | 'orgs --json' | 'grant --json' | 'top --json' | 'top --once')
        return 1
        ;;
    'serve --config' | 'serve --access-log' | 'load --trace' | 'load --json' | 'load --html' | \
        'load --record' | 'tokens --data' | 'tokens --pack' | 'plans --json-body' | *' --token-file')
        echo +
        ;;
    'serve --store')
        echo 'embedded redis:// redis+unix:/// redis+cluster:// redis+sentinel:// rediss:// rediss+cluster:// rediss+sentinel://'
        ;;
    'serve --on-store-failure') echo 'local closed open' ;;
    'load --max-tokens') echo 'none exact' ;;
    'sim --settle') echo 'same random' ;;
    'sim --balance') echo 'random key' ;;
    'sim --mode') echo 'lease exact' ;;
    'plans --shadow') echo 'true false' ;;
    'tokens --encoding') echo 'o200k_base cl100k_base' ;;
    esac
}

_weir() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} values words='' files=no
    COMPREPLY=()
    # An equals sign is a word of its own: --mode = lease.
    if [ "$cur" = = ]; then
        cur=
    elif [ "$prev" = = ] && [ "$COMP_CWORD" -gt 3 ]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [ "$COMP_CWORD" = 1 ]; then
        words='serve mock load verify sim tokens replay check-config top usage check reset reload keys teams orgs plans grant help version --help --version'
    elif [ "$prev" = : ] || [ "$cur" = : ]; then
        return # within an address
    elif [[ $prev = --* ]] && values=$(_weir_values "$command" "$prev"); then
        if [ "$values" = + ]; then
            files=yes
        else
            words=$values
        fi
    elif [[ $cur = -* ]]; then
        words=$(_weir_options "$command")
    else
        case $command in
        verify | tokens | replay | check-config) files=yes ;;
        keys) words='list show create set enable disable rotate delete' ;;
        teams | orgs) words='list show set enable disable delete' ;;
        plans) words='list show set delete' ;;
        esac
    fi
    if [ "$files" = yes ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        [[ ${COMPREPLY[0]-} != *:// && ${COMPREPLY[0]-} != *:/// ]] || compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -F _weir weir
