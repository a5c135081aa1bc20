# npm packages, among them Node 24. Sourced by setup.sh.

# The oldest Node whose npm can read the lock file and installs from it; Debian 12 has it. All else runs on Node 24.
minimum_node=18

# Whether node_modules holds what package-lock.json names.
npm_packages_present() {
  local stamp=$root/node_modules/.redis-access-set-up wanted
  wanted=$(lock_hash)
  [[ -x $root/node_modules/node/bin/node && -x $root/node_modules/.bin/pulumi ]] || return 1
  [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && return 0
  # Installed by hand, perhaps: compare before installing again.
  "$root/node_modules/node/bin/node" "$root/toolchain/lib/installed-packages.mjs" "$root" || return 1
  printf '%s\n' "$wanted" >"$stamp"
}

lock_hash() {
  sha256sum "$root/package-lock.json" | cut -d ' ' -f 1
}

# Ends set-up if there is no npm, or no Node for it, that can install the packages.
require_npm() {
  local version why="the components and the proxy are TypeScript, and their libraries and Node 24 come from npm"
  local type="$(for_root "apt-get update && apt-get install npm")   (or install Node 24: https://nodejs.org/)"
  type -P npm >/dev/null || fail "npm, with Node $minimum_node or newer" "$why" "$type"
  # npm runs on whatever Node is first on PATH.
  version=$(node --version 2>/dev/null) || fail "Node for npm: $(type -P npm) is there, but no node that runs" "$why" "$type"
  version=${version#v}
  ((${version%%.*} >= minimum_node)) || fail "Node $minimum_node or newer for npm: $(type -P node) is $version" "$why" "install Node 24 from https://nodejs.org/, put it before $(type -P node) on PATH, and run the command again"
}

# Installs what package-lock.json names.
install_npm_packages() {
  # Scripts of packages run by name only: Node's own fetches the binary for this machine, esbuild's puts its own in
  # place. That of @pulumi/command would look for its plugin on the internet.
  # npm's own patience with a registry that does not answer is minutes; as variables it holds for npm's children, too.
  export npm_config_fetch_retries=2 npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=5000
  with_progress "Installing npm packages" npm ci --prefix "$root" --ignore-scripts --no-audit --no-fund || npm_failed
  with_progress "Fetching Node 24 for this machine" npm rebuild --prefix "$root" --no-audit --no-fund node esbuild || npm_failed
  "$root/node_modules/node/bin/node" --version >>"$log" 2>&1 || { log_tail; fail "Node 24 for this machine ($(uname -m))" "Pulumi's Node libraries want Node 22 or newer, and programs here are run as TypeScript" "npm rebuild node   (and see what it says; all of it is in $log)"; }
  lock_hash >"$root/node_modules/.redis-access-set-up"
}

npm_failed() {
  fail_if_disk_is_full
  if grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|network request' "$log"; then
    local registry
    registry=$(npm config get registry)
    fail "the npm registry: $registry does not answer" "the components and the proxy are TypeScript, and their libraries and Node 24 come from npm" "npm ping   (is there a network, a proxy to be named by npm config set https-proxy, a mirror to be named by npm config set registry?)"
  fi
  log_tail
  fail "npm packages that npm could not install" "the components and the proxy stand on them" "npm ci   (and see what it says; all of it is in $log)"
}
