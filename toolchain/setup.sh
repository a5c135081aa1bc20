#!/usr/bin/env bash
# Sets this checkout up on a bare machine: Debian packages, npm packages with Node 24, Pulumi. Does what is missing and
# nothing else; run again, it is done in a moment.
#
# Usage: setup.sh [--tests]     --tests: what the tests need as well
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
for part in messages debian npm engine pulumi-build bridge; do
  # shellcheck source=/dev/null
  source "$root/toolchain/lib/$part.sh"
done

mode=${1-}
if [[ -n $mode && $mode != --tests ]]; then
  sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ $mode == --help || $mode == -h ]] && exit 0 || exit 2
fi
require_own_checkout
log=$root/.pulumi/setup.log
started=$SECONDS
# One at a time in a checkout: the second waits, and finds everything done.
exec 8>"$root/.pulumi/setup.lock"
flock --nonblock 8 || with_progress "Waiting for another set-up of this checkout" flock 8
: >"$log"

# What set-up cannot help comes first, so that nothing has been changed where it cannot go on.
mapfile -t packages < <(missing_packages "$mode")
require_new_redis
require_right_to_install "${packages[@]}"
npm_packages_present || require_npm
pulumi_at_hand || find_go >/dev/null

ensure_packages "${packages[@]}"
npm_packages_present || install_npm_packages
if ! official_pulumi >/dev/null && ! complete_installed_pulumi; then
  ensure_pulumi_engine
  ensure_bridge
fi
((SECONDS - started < 3)) || say "Set up in $((SECONDS - started)) s."
