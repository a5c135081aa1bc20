#!/usr/bin/env bash
# What a CI job does with a stack, whatever runs the job: `pipeline.sh preview|up|drift [STACK]`.
#
# It runs on the machine that the stack is on, as the user that the stack belongs to. PULUMI_BACKEND_URL and
# PULUMI_CONFIG_PASSPHRASE (or the login and secrets provider of your own) come from the job's secrets.
# Exit codes: of `drift`, 0 if nothing differs and 7 if something does; of the others, Pulumi's.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

action=${1:-} stack=${2:-dev}
case $action in preview | up | drift) ;; *)
  echo "usage: pipeline.sh preview|up|drift [STACK]" >&2
  exit 2
  ;;
esac

bash toolchain/setup.sh >&2
export PATH="$PWD/node_modules/.bin:$PATH"

case $action in
  preview) pulumi preview --stack "$stack" --refresh --diff --non-interactive ;;
  # --diff shows what changes and how; without it each resource that is looked at has two lines.
  up) pulumi up --stack "$stack" --refresh --diff --yes --skip-preview --suppress-outputs --non-interactive ;;
  drift)
    # Where there is a job summary it gets the table, else standard output does.
    node toolchain/commands/drift.ts --stack "$stack" --markdown | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"
    ;;
esac
