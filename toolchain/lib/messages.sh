# What set-up says. Sourced by setup.sh; $log is the file that keeps what the tools said.

# One step that was taken.
say() {
  printf '  %s\n' "$*"
}

# Ends set-up where it cannot go on: what is missing, why it is needed, and what to type, one line or more each.
fail() {
  local missing=$1 why=$2 type=$3
  printf '\nSet-up cannot go on.\n  Missing: %s\n  Why:     %s\n  Type:    %s\n' "$missing" "$why" "${type//$'\n'/$'\n'           }" >&2
  exit 1
}

# Runs a command that may take long, keeps its output in $log, and returns its exit code. On a terminal one line tells
# how long it has taken; elsewhere further lines do, after 15 seconds for the first time. The command ends with set-up
# when that is interrupted.
#
# with_progress [--note FUNCTION] TITLE COMMAND…    FUNCTION prints how far the command is, in a few words
with_progress() {
  local note=true title pid started=$SECONDS next=15 status=0
  [[ $1 != --note ]] || { note=$2; shift 2; }
  title=$1
  shift
  [[ -t 1 ]] || say "$title …"
  "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    if [[ -t 1 ]]; then
      # Back to the line's beginning, and what stood there is gone.
      printf '\r\033[K  %s … %s' "$title" "$(how_far "$started" "$note")"
    elif ((SECONDS - started >= next)); then
      say "  still at it after $(how_far "$started" "$note")"
      next=$((SECONDS - started + (next < 60 ? 15 : 60)))
    fi
    sleep 0.2
  done
  trap - INT TERM
  wait "$pid" || status=$?
  [[ ! -t 1 ]] || printf '\r\033[K  %s: %s, %s\n' "$title" "$(((status)) && echo failed || echo done)" "$((SECONDS - started)) s"
  return "$status"
}

how_far() {
  local started=$1 note
  note=$("$2")
  printf '%s' "$((SECONDS - started)) s${note:+, $note}"
}

# The end of what the tools said, for an error that set-up cannot explain better.
log_tail() {
  tail -n 15 "$log" | sed 's/^/    | /' >&2
}

# Ends set-up if what the tools said is that a disk is full: of whatever went wrong then, that is the reason.
fail_if_disk_is_full() {
  grep -qiE "no space left on device|ENOSPC|enough free space|disk quota exceeded" "$log" || return 0
  local places=("$root" "$HOME" "${TMPDIR:-/tmp}")
  fail "free space on a disk" "the checkout needs about 0.8 GB; where Pulumi is built, $HOME needs another 4 GB and ${TMPDIR:-/tmp} 1 GB until that is done" \
    "df -h ${places[*]}   (make room where little is available; another place than ${TMPDIR:-/tmp} is named by TMPDIR)"
}

# Ends set-up if files here are not this user's to write, as those that another one's set-up has left.
require_own_checkout() {
  local place
  mkdir -p "$root/.pulumi" 2>/dev/null || true
  for place in "$root" "$root"/.pulumi{,/setup.log,/setup.lock,/home,/bin} "$root/node_modules"; do
    [[ ! -e $place || -w $place ]] || fail "the right to write $place, which belongs to $(stat -c %U "$place")" "set-up keeps packages and Pulumi's state in the checkout" "$(for_root "chown -R $(id -un) $root")   (or run the command as $(stat -c %U "$place"))"
  done
}

# A command line that root has to type, as the user types it.
for_root() {
  if ((EUID == 0)); then
    echo "$1"
  elif type -P sudo >/dev/null; then
    echo "sudo sh -c '$1'"
  else
    echo "su -c '$1'"
  fi
}
