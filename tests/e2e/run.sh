#!/usr/bin/env bash
# For ctest: `run.sh page` drives the page in a browser, `run.sh logic` runs the page's own tests and its type check. Exit 77: not possible on this machine.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
source "$root/tools/env.sh"
kn_node_is_new_enough || { echo "skipped: no Node that is new enough"; exit 77; }
[ -d "$root/web/node_modules" ] || { echo "skipped: web/node_modules is missing (make web)"; exit 77; }
case ${1:-page} in
page) exec node "$here/run.mjs" ;;
logic) cd "$root/web" && npx vitest run && npm run --silent check ;;
*) echo "usage: run.sh page|logic" >&2; exit 2 ;;
esac
