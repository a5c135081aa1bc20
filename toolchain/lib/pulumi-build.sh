# The Pulumi CLI, built from Go modules where none is installed. Sourced by setup.sh.

# The version is that of go.mod and of @pulumi/pulumi in package.json.
pulumi_version=v3.259.0
# The oldest Go that go.mod accepts.
minimum_go=1.25

pulumi_package=github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

# Whether no Pulumi has to be built: an installed one is complete or may be completed, or one has been built.
pulumi_at_hand() {
  official_pulumi >/dev/null || may_be_completed || engine_in_place || [[ -x $(cached_engine) ]]
}

engine_in_place() {
  local stamp=$root/.pulumi/bin/pulumi.version
  [[ -x $root/.pulumi/bin/pulumi && -f $stamp && $(<"$stamp") == "$pulumi_version" ]]
}

# Where the user's cache has the CLI, or will have it.
cached_engine() {
  local architecture
  architecture=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
  printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/redis-access/pulumi/$pulumi_version-$architecture/pulumi"
}

# Puts the CLI at .pulumi/bin/pulumi: from the per-user cache, which is filled first if need be.
ensure_pulumi_engine() {
  local target=$root/.pulumi/bin/pulumi cached
  engine_in_place && return 0
  cached=$(cached_engine)
  mkdir -p "${cached%/*}" "${target%/*}"
  [[ -x $cached ]] || build_once "$cached"
  # A hard link saves space; the engine looks for language hosts beside itself, so it cannot be a symbolic one.
  ln -f "$cached" "$target" 2>/dev/null || { cp "$cached" "$target.new" && mv -f "$target.new" "$target"; }
  printf '%s\n' "$pulumi_version" >"$target.version"
}

# Builds under a lock: of two set-ups at a time one builds, and the other waits and takes what it has built.
build_once() {
  local cached=$1
  exec 9>"${cached%/*}/lock"
  if ! flock -n 9; then
    with_progress "Waiting for another set-up that builds the Pulumi CLI" flock 9
  fi
  [[ -x $cached ]] || build_pulumi "$cached"
  exec 9>&-
}

build_pulumi() {
  local cached=$1 go temporary
  go=$(find_go)
  temporary=$(mktemp "$cached.XXXXXX")
  # No C compiler is needed or used.
  export CGO_ENABLED=0
  packages_of_pulumi=$temporary.packages
  if ! with_progress "Fetching the Go modules of the Pulumi CLI $pulumi_version" list_packages "$go" "$packages_of_pulumi" || ! compile_pulumi "$go" "$temporary"; then
    rm -f "$temporary" "$packages_of_pulumi"
    fail_if_disk_is_full
    log_tail
    fail "the Pulumi CLI: it is not installed, and building it from Go modules failed" "Pulumi makes and changes the environment" \
      "cd toolchain && go build -o /dev/null $pulumi_package   (is the Go module proxy reachable: go env GOPROXY?)
or install Pulumi: https://www.pulumi.com/docs/install/"
  fi
  rm -f "$packages_of_pulumi"
  chmod 755 "$temporary"
  mv -f "$temporary" "$cached"
}

# Writes down which packages the CLI consists of; Go fetches their modules for that.
list_packages() {
  "$1" -C "$root/toolchain" list -deps "$pulumi_package" >"$2"
}

# -trimpath and the version make the result the same wherever it is built; -v names each package that has been compiled.
compile_pulumi() {
  local go=$1 program=$2
  lines_before=$(wc -l <"$log")
  with_progress --note compiled_packages "Building the Pulumi CLI $pulumi_version (once per user; some minutes)" \
    "$go" -C "$root/toolchain" build -v -trimpath -buildvcs=false -o "$program" \
    -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$pulumi_version" "$pulumi_package"
}

compiled_packages() {
  echo "$(($(wc -l <"$log") - lines_before)) of $(wc -l <"$packages_of_pulumi") packages"
}

# Prints the path of a Go that can build the CLI.
find_go() {
  local go version=
  go=$(type -P go || { [[ -x /usr/local/go/bin/go ]] && echo /usr/local/go/bin/go; }) || true
  [[ -z $go ]] || version=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null | sed -nE 's/^go([0-9]+\.[0-9]+).*/\1/p')
  # Since 1.21 an older Go fetches the one that go.mod asks for, unless GOTOOLCHAIN forbids it.
  local needed=$minimum_go
  [[ -n $go && $("$go" env GOTOOLCHAIN 2>/dev/null) != local ]] && needed=1.21
  if [[ -z $version || $(printf '%s\n%s\n' "$needed" "$version" | sort -V | head -n 1) != "$needed" ]]; then
    fail "Pulumi, and Go $needed or newer to build it${version:+ (this machine has Go $version)}" "Pulumi makes and changes the environment" \
      "curl -fsSL https://get.pulumi.com | sh   (Pulumi itself), or install Go from https://go.dev/dl/ and run the command again"
  fi
  printf '%s\n' "$go"
}
