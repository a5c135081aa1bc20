# Debian packages. Sourced by setup.sh.

# The oldest redis-server that can serve TLS and ACLs.
minimum_redis=6.0

# Makes sure that the commands of the environment are there; `--tests` asks for those of the tests as well.
ensure_packages() {
  local -a missing=()
  redis_present || missing+=(redis-server)
  type -P redis-cli >/dev/null || missing+=(redis-tools)
  type -P openssl >/dev/null || missing+=(openssl)
  if [[ $1 == --tests ]]; then
    [[ -f /usr/share/dict/american-english ]] || missing+=(wamerican)
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  fi
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
  redis_present || fail "redis-server on PATH" "every node of the cluster is a redis-server process" "export PATH=\"\$PATH:/usr/bin\", or put redis-server where PATH finds it"
  redis_new_enough
}

redis_present() {
  type -P redis-server >/dev/null
}

redis_new_enough() {
  local version
  version=$(redis-server --version 2>/dev/null | sed -nE 's/.* v=([0-9]+\.[0-9]+[0-9.]*).*/\1/p')
  if [[ -z $version || $(printf '%s\n%s\n' "$minimum_redis" "$version" | sort -V | head -n 1) != "$minimum_redis" ]]; then
    fail "redis-server $minimum_redis or newer: $(type -P redis-server) is ${version:-of unknown version}" \
      "older ones have neither TLS nor access control lists" \
      "sudo apt-get install redis-server   (and remove the old one from PATH)"
  fi
}

# Installs packages, as root or by sudo. What each is for is in `why_package`.
install_packages() {
  local -a as_root=() reasons=()
  local package
  for package in "$@"; do reasons+=("$package: $(why_package "$package")"); done
  local why="${reasons[*]/%/;}"
  if ! type -P apt-get >/dev/null; then
    fail "$*" "${why%;}" "install them with this system's own tools (set-up installs packages on Debian and its kin only), then run the command again"
  fi
  if ((EUID != 0)); then
    if ! type -P sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
      fail "the right to install Debian packages ($*)" "${why%;}" "apt-get install $*   (as root), then run the command again"
    fi
    as_root=(sudo -n)
  fi
  with_progress "Installing Debian packages: $*" "${as_root[@]}" bash "$root/toolchain/lib/install-packages.sh" "$@" && return 0
  if grep -qE "Unable to locate package|has no installation candidate" "$log"; then
    fail "a Debian package of the name $*" "${why%;}" "cat /etc/apt/sources.list /etc/apt/sources.list.d/*   (does it name a Debian archive with main?), then: apt-get update && apt-get install $*"
  fi
  log_tail
  fail "Debian packages that apt-get could not install: $*" "${why%;}" "apt-get update && apt-get install $*   (as root), and see what it says; all of it is in $log"
}

why_package() {
  case $1 in
    redis-server) echo "every node of the cluster is a redis-server process" ;;
    redis-tools) echo "redis-cli creates the cluster" ;;
    openssl) echo "the tests look at certificates with it" ;;
    wamerican) echo "the tests store its 100,000 words" ;;
    python3-venv) echo "the tests run redis-py in an environment of its own" ;;
  esac
}
