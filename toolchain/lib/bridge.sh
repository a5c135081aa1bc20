# The language host and resource plugins that stand in for the official ones. Sourced by setup.sh.

# Builds and installs the bridge, unless what is installed was built from these very sources.
ensure_bridge() {
  local stamp=$root/.pulumi/bridge.sha256 wanted
  wanted=$(bridge_hash)
  [[ -f $stamp && $(<"$stamp") == "$wanted" && -x $root/.pulumi/bin/pulumi-language-nodejs ]] && finds_bridge_plugins && return 0
  with_progress "Installing the Node language host and the tls and command plugins" \
    "$root/node_modules/.bin/node" "$root/toolchain/bridge/install.ts" "$root/.pulumi" ||
    { fail_if_disk_is_full; log_tail; fail "plugins for Pulumi that could not be built from toolchain/bridge" "Pulumi runs the stacks through them" "npm ci && npm run setup   (all of what happened is in $log)"; }
  printf '%s\n' "$wanted" >"$stamp"
}

# What the bridge is made of: its sources, what it shares with the project's own provider, and the versions of the libraries that are bundled with them.
bridge_hash() {
  (cd "$root" && { find toolchain/bridge components/provider/engine-log.ts -type f -name '*.ts' | LC_ALL=C sort | xargs sha256sum; sha256sum package-lock.json; } | sha256sum | cut -d ' ' -f 1)
}

finds_bridge_plugins() {
  local plugin name version
  for plugin in "${required_plugins[@]}"; do
    read -r name version <<<"$plugin"
    [[ -x $root/.pulumi/home/plugins/resource-$name-v$version/pulumi-resource-$name ]] || return 1
  done
}
