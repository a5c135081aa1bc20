import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { signsServers } from "../../../components/certificate-profile.ts";
import { withNode } from "../../../components/provider/node-client.ts";
import { authorityGenerations, passwordGenerations } from "../../../components/rotation.ts";
import type { Rotation } from "../../../components/rotation.ts";
import { isSignedBy, probeLeaf, shakeHands } from "./node-probe.ts";
import type { KeyPair } from "./node-probe.ts";
import type { NodeOutput } from "./outputs.ts";
import { proxyStatus } from "./proxy-status.ts";
import type { CertificatesTarget, PhasedTarget } from "./rotation-target.ts";
import type { StackSecrets } from "./stack-secrets.ts";

/** Where an environment is, for whoever looks at it. */
export interface Place {
  readonly stack: string;
  /** Absolute path of the environment's directory. */
  readonly directory: string;
  readonly nodes: readonly NodeOutput[];
  /** Where the proxy listens for clients. */
  readonly proxy: NodeOutput;
}

/** What an environment shows is not what the step should have made of it. Has a line for every difference. */
export class UnprovenStepError extends Error {
  override readonly name = "UnprovenStepError";
  readonly code = "UNPROVEN_STEP";
}

/** Generations that a rotation has seen, by number; an old one stays known when it is gone, to see that nobody accepts it. */
export class Generations {
  readonly authorities = new Map<number, KeyPair>();
  readonly passwords = new Map<number, string>();

  /** Takes in what a stack's state holds now. */
  learn(target: PhasedTarget, stack: string, secrets: StackSecrets): void {
    for (const [resource, outputs] of secrets) {
      if (target.kind === "authority") this.#learnAuthority(`${stack}-${target.authority!.replace("_", "-")}-ca`, resource, secrets);
      else this.#learnPassword(generationIn(resource, `${stack}-redis-password`, `-${target.user!}`), outputs.get("value"));
    }
  }

  #learnAuthority(name: string, resource: string, secrets: StackSecrets): void {
    const generation = generationIn(resource, `${name}-certificate`, "");
    const cert = secrets.get(resource)?.get("certPem");
    const key = secrets.get(resource.replace(`${name}-certificate`, `${name}-key`))?.get("privateKeyPemPkcs8");
    if (generation !== undefined && cert !== undefined && key !== undefined) this.authorities.set(generation, { cert, key });
  }

  #learnPassword(generation: number | undefined, value: string | undefined): void {
    if (generation !== undefined && value !== undefined) this.passwords.set(generation, value);
  }
}

/** The generation in a resource's name, between what is before and behind it; the first has no number there. */
function generationIn(resource: string, before: string, behind: string): number | undefined {
  if (!resource.startsWith(before) || !resource.endsWith(behind) || resource.length < before.length + behind.length) return undefined;
  const number = /^(?:-?([2-9]|[1-9]\d+))?$/.exec(resource.slice(before.length, resource.length - behind.length));
  return number === null ? undefined : Number(number[1] ?? 1);
}

/**
 * Proves by handshakes and logins at every node, and at the proxy, that a step has come to its end.
 * @returns what was proven, in a sentence
 * @throws {UnprovenStepError}
 */
export async function proveStep(target: PhasedTarget, step: Rotation, place: Place, known: Generations): Promise<string> {
  const problems = await Promise.all([
    ...place.nodes.map((node) => (target.kind === "authority" ? examineTrust(target, step, node, known) : examineLogins(target, step, node, place, known))),
    examineProxy(place),
  ]);
  refuse(problems.flat());
  return target.kind === "authority" ? describeTrust(target, step, place, known) : describeLogins(target, step, place, known);
}

async function examineTrust({ authority }: PhasedTarget, step: Rotation, node: NodeOutput, known: Generations): Promise<string[]> {
  const kind = authority!;
  const { signer, trustedByServers } = authorityGenerations(step, signsServers(kind) ? "servers" : "clients");
  const problems: string[] = [];
  const where = `node ${node.host}:${node.port}`;
  for (const [generation, pair] of known.authorities) {
    const { served, accepted } = await shakeHands(node, await probeLeaf(kind, pair));
    const name = new X509Certificate(pair.cert).subject;
    if (accepted !== trustedByServers.includes(generation)) problems.push(`${where} ${accepted ? "accepts" : "refuses"} a client's certificate of ${name}`);
    if (signsServers(kind) && generation === signer && !isSignedBy(served, pair.cert)) problems.push(`${where} serves a certificate of ${served.issuer}; expected one of ${name}`);
  }
  return problems;
}

async function examineLogins({ user }: PhasedTarget, step: Rotation, node: NodeOutput, { directory }: Place, known: Generations): Promise<string[]> {
  const { valid } = passwordGenerations(step);
  const at = (name: string): string => path.join(directory, "nodes", String(node.port), name);
  const access = { host: node.host, port: node.port, caFile: at("ca.crt"), certFile: at("server.crt"), keyFile: at("server.key"), user: user! };
  const problems: string[] = [];
  for (const [generation, password] of known.passwords) {
    const entered = await withNode({ ...access, password }, (call) => call("PING")).then(
      () => true,
      (error: unknown) => !/NOAUTH|WRONGPASS/.test(String(error)),
    );
    if (entered !== valid.includes(generation)) problems.push(`node ${node.host}:${node.port} ${entered ? "lets in" : "does not let in"} ${user!} with password ${generation}`);
  }
  return problems;
}

async function examineProxy({ directory }: Place): Promise<string[]> {
  const { health } = await proxyStatus(directory, undefined);
  return health === "ready" ? [] : [`the proxy is ${health}`];
}

function describeTrust({ authority }: PhasedTarget, step: Rotation, { nodes }: Place, known: Generations): string {
  const kind = authority!;
  const { signer, trustedByServers } = authorityGenerations(step, signsServers(kind) ? "servers" : "clients");
  const name = (generation: number): string => (known.authorities.has(generation) ? new X509Certificate(known.authorities.get(generation)!.cert).subject : `generation ${generation}`);
  const gone = [...known.authorities.keys()].filter((generation) => !trustedByServers.includes(generation));
  const serves = signsServers(kind) ? ` serve certificates of ${name(signer)},` : "";
  return `Proven by handshakes: all ${nodes.length} nodes${serves} accept clients of ${trustedByServers.map(name).join(" and of ")}${gone.length === 0 ? "" : `, and refuse those of ${gone.map(name).join(" and of ")}`}.`;
}

function describeLogins({ user }: PhasedTarget, step: Rotation, { nodes }: Place, known: Generations): string {
  const { valid } = passwordGenerations(step);
  const gone = [...known.passwords.keys()].some((generation) => !valid.includes(generation));
  return `Proven by logins: all ${nodes.length} nodes let ${user!} in with ${valid.length === 2 ? "the old and the new password" : gone ? "the new password" : "its password"}${gone ? ", and no more with the old one" : ""}.`;
}

/** Fingerprints of the certificates that are served, or of the first client the one in its file, by where. */
export async function fingerprints({ property }: CertificatesTarget, { nodes, proxy, directory }: Place): Promise<ReadonlyMap<string, string>> {
  const client = { cert: readFileSync(path.join(directory, "client/client.crt"), "utf8"), key: readFileSync(path.join(directory, "client/client.key"), "utf8") };
  if (property === "clientCertificate") {
    const { accepted } = await shakeHands(proxy, client);
    if (!accepted) throw new UnprovenStepError("The proxy refuses the first client's certificate.");
    return new Map([["the first client", new X509Certificate(client.cert).fingerprint256]]);
  }
  const servers = property === "proxyCertificate" ? [["the proxy", proxy] as const] : nodes.map((node) => [`node ${node.host}:${node.port}`, node] as const);
  return new Map(await Promise.all(servers.map(async ([name, server]): Promise<[string, string]> => [name, (await shakeHands(server, client)).served.fingerprint256])));
}

/**
 * Proves that every certificate is another one than before.
 * @throws {UnprovenStepError}
 */
export function proveRenewed(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string {
  refuse([...after].filter(([name, fingerprint]) => before.get(name) === fingerprint).map(([name]) => `${name} still shows the certificate that it showed before`));
  return `Proven by handshakes: ${after.size === 1 ? `${[...after.keys()][0]!} shows` : `all ${after.size} nodes show`} a new certificate.`;
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new UnprovenStepError(`The step is not proven:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
}
