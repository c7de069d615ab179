#!/usr/bin/env bash
# Builds a preset, runs its tests and ends with the line
# "N passed, N failed, N skipped".
#
#   tools/test.sh PRESET [CTEST ARGUMENTS...]
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh
preset=$1
shift
jobs=${JOBS:-$(nproc)}
build=build/$preset
reports=$build/reports

cmake --preset "$preset" --log-level=WARNING
cmake --build "$build" -j "$jobs"

rm -rf "$reports"
mkdir -p "$reports"
export KUBERNAUT_BIN=$PWD/$build/apps/kubernaut/kubernaut
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
if [ "$preset" = coverage ]; then
    export LLVM_PROFILE_FILE=$PWD/$build/profiles/%p-%m.profraw
    rm -rf "$build/profiles"
fi
# The summary says whether it failed: a test program that crashes counts as well.
ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error \
    --output-junit "$PWD/$reports/ctest.xml" "$@" || true
python3 tools/test-summary.py "$reports"
