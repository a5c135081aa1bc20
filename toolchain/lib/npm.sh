# npm packages, among them Node 24. Sourced by setup.sh.

# Installs what package-lock.json names, unless it is there.
ensure_npm_packages() {
  local stamp=$root/node_modules/.redis-access-set-up wanted
  wanted=$(sha256sum "$root/package-lock.json" | cut -d ' ' -f 1)
  if [[ -x $root/node_modules/node/bin/node && -x $root/node_modules/.bin/pulumi ]]; then
    [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && return 0
    # Installed by hand, perhaps: compare before installing again.
    if "$root/node_modules/node/bin/node" "$root/toolchain/lib/installed-packages.mjs" "$root"; then
      printf '%s\n' "$wanted" >"$stamp"
      return 0
    fi
  fi
  type -P npm >/dev/null || fail "npm (it comes with Node 20 or newer)" "the components and the proxy are TypeScript, and their libraries come from npm" "apt-get install npm nodejs   (as root), or see https://nodejs.org/"
  # Scripts of packages run by name only: Node's own fetches the binary for this machine, esbuild's puts its own in
  # place. That of @pulumi/command would look for its plugin on the internet.
  with_progress "Installing npm packages" npm ci --prefix "$root" --ignore-scripts --no-audit --no-fund --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 || npm_failed
  with_progress "Fetching Node 24 for this machine" npm rebuild --prefix "$root" --no-audit --no-fund node esbuild || npm_failed
  "$root/node_modules/node/bin/node" --version >>"$log" 2>&1 || { log_tail; fail "Node 24 for this machine ($(uname -m))" "Pulumi's Node libraries want Node 22 or newer, and programs here are run as TypeScript" "npm rebuild node   (and see what it says; all of it is in $log)"; }
  printf '%s\n' "$wanted" >"$stamp"
}

npm_failed() {
  if grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|network request' "$log"; then
    local registry
    registry=$(npm config get registry)
    fail "the npm registry: $registry does not answer" "the components and the proxy are TypeScript, and their libraries and Node 24 come from npm" "npm ping   (is there a network, a proxy to be named by npm config set https-proxy, a mirror to be named by npm config set registry?)"
  fi
  log_tail
  fail "npm packages that npm could not install" "the components and the proxy stand on them" "npm ci   (and see what it says; all of it is in $log)"
}
