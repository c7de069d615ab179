#!/usr/bin/env bash
# Line coverage of the coverage preset's last test run: a table, and pages in
# build/coverage/html.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/coverage
llvm-profdata-19 merge -sparse -o $build/all.profdata $build/profiles/*.profraw
objects=()
while read -r program; do
    objects+=(-object "$program")
done < <(find $build -type f -executable \( -name '*_test' -o -name kubernaut \))
options=(-instr-profile $build/all.profdata -ignore-filename-regex '/(tests|build|usr)/' "${objects[@]:1}")
llvm-cov-19 show -format=html -output-dir $build/html "${options[@]}"
llvm-cov-19 report -show-region-summary=false -show-branch-summary=false "${options[@]}"
