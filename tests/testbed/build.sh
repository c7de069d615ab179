#!/usr/bin/env bash
# Builds kubernaut-testbed for a Kubernetes version (a folder here; v1.36 by
# default) and prints the path of the binary. It is kept in the user's cache
# under a hash of its sources, so that every checkout shares one build: a cold
# one takes ten minutes of CPU time, one after a change of our files 15 seconds.
set -euo pipefail
version=${1:-v1.36}
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../../tools/env.sh"
cd "$here"

release=$(awk '$1 == "k8s.io/kubernetes" || $2 == "k8s.io/kubernetes" { print $NF; exit }' "$version/go.mod")
minor=${version#v1.}
# Without these the server calls itself v0.0.0-master, which kubectl cannot
# read and which switches features off.
v=k8s.io/component-base/version
ldflags="-s -w -X $v.gitVersion=$release -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitCommit=testbed \
-X $v.gitTreeState=clean -X $v.buildDate=1970-01-01T00:00:00Z"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubernaut/testbed
hash=$(cat ./*.go build.sh "$version"/go.* | sha256sum | cut -c1-16)
folder=$cache/$version-$hash
binary=$folder/kubernaut-testbed
mkdir -p "$cache"

exec 9>"$cache/lock"
flock 9 # a second checkout waits, then finds the binary
if [ ! -x "$binary" ]; then
    echo "testbed: building Kubernetes $release (a cold build takes about ten minutes)" >&2
    mkdir -p "$folder"
    CGO_ENABLED=0 go build -modfile="$version/go.mod" -p "${JOBS:-2}" -trimpath -buildvcs=false \
        -ldflags "$ldflags" -o "$binary.part" . >&2
    mv "$binary.part" "$binary"
    # Old builds are 130 MB each; the six that were used last stay.
    ls -1dt "$cache"/v*-* | tail -n +7 | xargs -r rm -rf
fi
touch "$folder"
echo "$binary"
