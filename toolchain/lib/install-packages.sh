#!/usr/bin/env bash
# Installs Debian packages; run as root by setup.sh. A redis-server that is installed here starts no service of its own:
# Debian's would take port 6379, and nobody has asked for it. A service that was there before is left alone.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  # 101 is "action not allowed" to invoke-rc.d and deb-systemd-invoke: packages start nothing while it is there.
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

# An archive that has nothing to do with these packages may be out of order, and then this fails: the lists that are there
# may do. Another apt-get, as a machine's first upgrade of its own, is waited for.
apt-get update || echo "Going on with the package lists that are there."
apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"

for package in "$@"; do
  # Without systemctl there is nothing that would start it at boot.
  if [[ $package == redis-server ]] && type -P systemctl >/dev/null; then
    systemctl disable redis-server.service
  fi
done
