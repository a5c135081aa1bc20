import { pulumiOutput } from "./pulumi.ts";

/** A node of the cluster, as the stack tells of it. */
export interface NodeOutput {
  readonly host: string;
  readonly port: number;
  readonly id?: string;
}

/** The outputs of a stack (stacks/index.ts). Those of a stack that has not been made are absent. */
export interface StackOutputs {
  readonly connectionUri?: string;
  readonly clusterUri?: string;
  readonly caCertificate?: string;
  readonly nodes?: readonly NodeOutput[];
  readonly users?: readonly string[];
  /** Only where secrets were asked for. */
  readonly passwords?: Readonly<Record<string, string>>;
  readonly clientFiles?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** How far each rotation is, and the numbers of certificates, by configuration key. */
  readonly rotationSteps?: Readonly<Record<string, string>>;
  readonly tryIt?: readonly string[] | Readonly<Record<string, string>>;
}

/** Reads a stack's outputs; secret ones read `[secret]` unless they are asked for. */
export async function stackOutputs(stack: string, showSecrets: boolean): Promise<StackOutputs> {
  const secrets = showSecrets ? ["--show-secrets"] : [];
  return JSON.parse(await pulumiOutput(["stack", "output", "--json", "--stack", stack, ...secrets])) as StackOutputs;
}
