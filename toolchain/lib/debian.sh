# Debian packages. Sourced by setup.sh.

# The oldest redis-server that can serve TLS and ACLs.
minimum_redis=6.0

# Prints the packages that have commands of the environment and are missing; `--tests` asks for those of the tests as well.
missing_packages() {
  redis_present || echo redis-server
  type -P redis-cli >/dev/null || echo redis-tools
  if [[ $1 == --tests ]]; then
    type -P openssl >/dev/null || echo openssl
    type -P ip >/dev/null || echo iproute2
    type -P ssh-keygen >/dev/null || echo openssh-client
    [[ -f /usr/share/dict/american-english ]] || echo wamerican
    python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
  fi
}

# Installs packages where there are any to install, and checks what is there then.
ensure_packages() {
  (($# == 0)) || install_packages "$@"
  redis_present || fail "redis-server on PATH" "every node of the cluster is a redis-server process" "export PATH=\"\$PATH:/usr/bin\"   (or put redis-server where PATH finds it)"
  require_new_redis
}

redis_present() {
  type -P redis-server >/dev/null
}

# Ends set-up if the redis-server that is there is too old.
require_new_redis() {
  local version
  redis_present || return 0
  version=$(redis-server --version 2>/dev/null | sed -nE 's/.* v=([0-9]+\.[0-9]+[0-9.]*).*/\1/p')
  if [[ -z $version || $(printf '%s\n%s\n' "$minimum_redis" "$version" | sort -V | head -n 1) != "$minimum_redis" ]]; then
    fail "redis-server $minimum_redis or newer: $(type -P redis-server) is ${version:-of unknown version}" \
      "older ones have neither TLS nor access control lists" \
      "$(for_root "apt-get update && apt-get install redis-server")   (and remove the old one from PATH)"
  fi
}

# Ends set-up if these packages cannot be installed by this user on this system.
require_right_to_install() {
  (($# > 0)) || return 0
  if ! type -P apt-get >/dev/null; then
    fail "$*" "$(why_packages "$@")" "install them with this system's own tools (set-up installs packages on Debian and its kin only), then run the command again"
  fi
  ((EUID == 0)) && return 0
  if ! type -P sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
    fail "the right to install Debian packages ($*)" "$(why_packages "$@")" "$(for_root "apt-get update && apt-get install $*")   (then the command again; nothing else here needs root)"
  fi
}

# Installs packages, as root or by sudo.
install_packages() {
  local -a as_root=()
  ((EUID == 0)) || as_root=(sudo -n)
  with_progress "Installing Debian packages: $*" "${as_root[@]}" bash "$root/toolchain/lib/install-packages.sh" "$@" && return 0
  fail_if_disk_is_full
  local unreachable unknown
  unreachable=$(sed -nE 's/^[EW]: Failed to fetch ([a-z+]+:\/\/[^/ ]+).*/\1/p' "$log" | sort -u | tr '\n' ' ')
  unknown=$(sed -nE "s/^E: Unable to locate package (.*)/\1/p; s/^E: Package '(.*)' has no installation candidate/\1/p" "$log" | tr '\n' ' ')
  if [[ -n $unreachable ]]; then
    fail "the Debian archive: ${unreachable% } does not answer" "$(why_packages "$@")" \
      "$(for_root "apt-get update")   (and see what it says: is there a network, a proxy to be named in /etc/apt/apt.conf.d, a nearer mirror?)"
  fi
  if [[ -n $unknown ]]; then
    fail "Debian packages that no archive known to apt has: ${unknown% }" "$(why_packages $unknown)" \
      "apt-cache policy   (it lists the archives; a Debian archive with main must be named below /etc/apt), then: $(for_root "apt-get update && apt-get install $*")"
  fi
  log_tail
  fail "Debian packages that apt-get could not install: $*" "$(why_packages "$@")" "$(for_root "apt-get update && apt-get install $*")   (and see what it says; all of it is in $log)"
}

why_packages() {
  local package
  local -a reasons=()
  for package in "$@"; do reasons+=("$package: $(why_package "$package");"); done
  local why="${reasons[*]}"
  echo "${why%;}"
}

why_package() {
  case $1 in
    redis-server) echo "every node of the cluster is a redis-server process" ;;
    redis-tools) echo "redis-cli creates the cluster" ;;
    openssl) echo "the tests look at certificates with it" ;;
    openssh-client) echo "the tests have ssh-keygen read keys that the toolchain makes" ;;
    wamerican) echo "the tests store its 100,000 words" ;;
    python3-venv) echo "the tests run redis-py in an environment of its own" ;;
  esac
}
