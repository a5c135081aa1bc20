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

# Runs a command that may take long: says that it runs at least every 15 seconds, keeps its output in $log, and
# returns its exit code. The command ends with set-up when that is interrupted.
with_progress() {
  local title=$1 pid started=$SECONDS next=15
  shift
  say "$title …"
  "$@" >>"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - started >= next)); then
      say "  still at it after $((SECONDS - started)) s"
      next=$((SECONDS - started + 15))
    fi
  done
  trap - INT TERM
  wait "$pid"
}

# The end of what the tools said, for an error that set-up cannot explain better.
log_tail() {
  tail -n 15 "$log" | sed 's/^/    | /' >&2
}
