import type { NodeAddress } from "../components/cluster-plan.ts";

/** What a first client needs to know. */
export interface ClientFacts {
  /** Absolute path of the project. */
  readonly project: string;
  readonly stack: string;
  /** Of the proxy. */
  readonly address: NodeAddress;
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Redis user to log in as. */
  readonly user: string;
}

/**
 * Shell commands that work as they are pasted, from any directory. The password is read from the stack when a command runs:
 * it stands neither in the outputs nor in an argument list.
 */
export function clientCommands({ project, stack, address, files, user }: ClientFacts): string[] {
  const outputs = `npm --prefix ${quote(project)} run --silent outputs -- --stack ${quote(stack)} --show-secrets`;
  const password = `REDISCLI_AUTH="$(${outputs} | node -p ${quote(`JSON.parse(fs.readFileSync(0)).passwords[${JSON.stringify(user)}]`)})"`;
  const client = [
    ...["redis-cli", "-h", address.host, "-p", String(address.port), "--user", quote(user), "--no-auth-warning"],
    ...["--tls", "--cacert", quote(files.ca), "--cert", quote(files.cert), "--key", quote(files.key)],
  ].join(" ");
  return [`${password} ${client} SET greeting hello`, `${password} ${client} GET greeting`];
}

/** One word for a POSIX shell. */
function quote(word: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
