# Which Pulumi runs, and in what environment. Sourced by setup.sh and by the launcher; $root is the checkout.

# The plugins that the stacks need, as pinned in package.json (name and version).
required_plugins=("tls 5.6.1" "command 1.2.1")

# Where the user's own Pulumi keeps its plugins and its login.
user_pulumi_home() {
  printf '%s\n' "${REDIS_ACCESS_USER_PULUMI_HOME:-${PULUMI_HOME:-$HOME/.pulumi}}"
}

# The first `pulumi` on PATH that is neither the launcher nor the engine that set-up built; fails if there is none.
installed_pulumi() {
  local candidate real
  while IFS= read -r candidate; do
    real=$(readlink -f -- "$candidate")
    case $real in
      */toolchain/launcher/pulumi | */.pulumi/bin/pulumi) ;;
      *) printf '%s\n' "$candidate"; return 0 ;;
    esac
  done < <(type -aP pulumi)
  return 1
}

# Whether this `pulumi` finds the Node language host: on PATH, or beside itself.
finds_language_host() {
  type -P pulumi-language-nodejs >/dev/null || [[ -x $(dirname -- "$(readlink -f -- "$1")")/pulumi-language-nodejs ]]
}

# Whether every required resource plugin is on PATH or among the user's installed plugins.
finds_resource_plugins() {
  local plugin name version
  for plugin in "${required_plugins[@]}"; do
    read -r name version <<<"$plugin"
    type -P "pulumi-resource-$name" >/dev/null || [[ -d $(user_pulumi_home)/plugins/resource-$name-v$version ]] || return 1
  done
}

# Prints the installed Pulumi if it is complete; fails otherwise, and then the bridge is used.
official_pulumi() {
  local pulumi
  pulumi=$(installed_pulumi) && finds_language_host "$pulumi" && finds_resource_plugins && printf '%s\n' "$pulumi"
}

# Puts the checkout's Node 24 before any other `node`: language hosts and plugins take the first one on PATH. What it has
# compiled it keeps: every command starts a handful of them, which load the same libraries.
use_project_node() {
  export PATH="$root/node_modules/.bin:$PATH"
  export NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$root/.pulumi/compiled}
  local preload=$root/toolchain/launcher/sdk-on-demand.cjs
  preload=${preload//\\/\\\\}
  export NODE_OPTIONS="${NODE_OPTIONS:+$NODE_OPTIONS }--require=\"${preload//\"/\\\"}\""
}

# Whether these arguments ask Pulumi for lines of debugging (-d, -v, --debug, --logtostderr). Rather once too often: then the
# SDK says all it has.
asks_for_debugging() {
  local argument
  for argument in "$@"; do
    case $argument in
      --debug* | --log* | --verbose*) return 0 ;;
      --*) ;;
      -*[dv]*) return 0 ;;
    esac
  done
  return 1
}

# Whether the user's own Pulumi is logged in to a backend.
logged_in() {
  [[ -n ${PULUMI_ACCESS_TOKEN-} ]] && return 0
  local credentials="${PULUMI_CREDENTIALS_PATH:-$(user_pulumi_home)}/credentials.json"
  [[ -f $credentials ]] && grep -Eq '"current"[[:space:]]*:[[:space:]]*"[^"]+"' "$credentials"
}

# The bridge keeps its plugins in the checkout; the login stays where the user's own Pulumi has it.
use_project_home() {
  local user_home
  user_home=$(user_pulumi_home)
  if [[ -z ${PULUMI_CREDENTIALS_PATH-} ]] && { logged_in || [[ $1 == login || $1 == logout ]]; }; then
    export PULUMI_CREDENTIALS_PATH=$user_home
  fi
  export REDIS_ACCESS_USER_PULUMI_HOME=$user_home
  export PULUMI_HOME=$root/.pulumi/home
  # Nothing here may wait for a network that is not there.
  export PULUMI_SKIP_UPDATE_CHECK=true PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
}

# State goes to the checkout's .pulumi directory unless the user has said or shown otherwise. It is encrypted with a
# generated passphrase, unless the user has one.
use_project_backend() {
  local command=$1
  [[ -n ${PULUMI_BACKEND_URL-} || $command == login || $command == logout ]] && return 0
  logged_in && return 0
  grep -Eq '^backend:' "$root/Pulumi.yaml" 2>/dev/null && return 0
  # Beside each file of its state Pulumi keeps another with its attributes, which it does not write at once: killed at the
  # wrong moment it leaves an empty one, and then reads no state any more (`failed to load checkpoint: EOF`).
  export PULUMI_BACKEND_URL="file://$root?metadata=skip"
  remove_torn_attributes
  if [[ -z ${PULUMI_CONFIG_PASSPHRASE+set} && -z ${PULUMI_CONFIG_PASSPHRASE_FILE+set} ]]; then
    make_passphrase
    export PULUMI_CONFIG_PASSPHRASE_FILE="$root/.pulumi/passphrase"
  fi
}

# Removes what Pulumi left behind that was killed before attributes were switched off here; without attributes it does well.
remove_torn_attributes() {
  local directory
  for directory in "$root"/.pulumi/{stacks,history,backups,locks}; do
    [[ ! -d $directory ]] || find "$directory" -name '*.attrs' -empty -delete
  done
}

# Makes the passphrase file once: linked into place, so that two commands at a time agree on one.
make_passphrase() {
  local file=$root/.pulumi/passphrase temporary
  [[ -s $file ]] && return 0
  mkdir -p "$root/.pulumi"
  temporary=$(mktemp "$root/.pulumi/passphrase.XXXXXX") # mktemp's mode is 0600
  head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$temporary"
  ln "$temporary" "$file" 2>/dev/null || true
  rm -f "$temporary"
}

# Whether an installed Pulumi has its language host and may yet fetch the plugins it lacks. That is tried once for each
# such Pulumi, because without a network it takes long.
may_be_completed() {
  local pulumi tried=$root/.pulumi/plugins-tried
  pulumi=$(installed_pulumi) && finds_language_host "$pulumi" && [[ ! -f $tried || $(<"$tried") != "$pulumi" ]]
}

# Lets an installed Pulumi fetch the plugins it lacks; fails if it cannot.
complete_installed_pulumi() {
  local pulumi plugin name version tried=$root/.pulumi/plugins-tried
  may_be_completed || return 1
  pulumi=$(installed_pulumi)
  for plugin in "${required_plugins[@]}"; do
    read -r name version <<<"$plugin"
    if ! with_progress "Installing the $name plugin of $pulumi" timeout 60 "$pulumi" plugin install resource "$name" "$version"; then
      printf '%s\n' "$pulumi" >"$tried"
      return 1
    fi
  done
  official_pulumi >/dev/null
}
