/** What `@pulumi/pulumi/cmd/run` is told on its command line and in its environment; plain data from a RunRequest. */
export interface ProgramRun {
  readonly monitorAddress: string;
  readonly engineAddress: string;
  readonly project: string;
  readonly stack: string;
  readonly organization: string;
  readonly rootDirectory: string;
  readonly pwd: string;
  readonly dryRun: boolean;
  readonly parallel: number;
  readonly entryPoint: string;
  readonly args: readonly string[];
  readonly config: Readonly<Record<string, string>>;
  readonly configSecretKeys: readonly string[];
}

/** The command line of `cmd/run` (see its own usage text), without the path of the script itself. */
export function runArguments(run: ProgramRun): string[] {
  const flags: readonly (readonly [string, string])[] = [
    ["monitor", run.monitorAddress],
    ["engine", run.engineAddress],
    ["organization", run.organization],
    ["project", run.project],
    ["root-directory", run.rootDirectory],
    ["stack", run.stack],
    ["pwd", run.pwd],
    ["parallel", String(run.parallel)],
  ];
  const given = flags.filter(([, value]) => value !== "").flatMap(([name, value]) => [`--${name}`, value]);
  return [...given, ...(run.dryRun ? ["--dry-run"] : []), run.entryPoint === "" ? "." : run.entryPoint, ...run.args];
}

/**
 * The environment of `cmd/run`: configuration goes here, not on the command line, because it holds secrets.
 * `typescript` is the project's runtime option of that name; Pulumi's default is true (ts-node).
 */
export function runEnvironment(run: ProgramRun, typescript: boolean): Record<string, string> {
  return {
    PULUMI_CONFIG: JSON.stringify(run.config),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(run.configSecretKeys),
    PULUMI_NODEJS_TYPESCRIPT: String(typescript),
  };
}
