import { createSecureContext } from "node:tls";
import type { ProxyConfig } from "../config.ts";
import { ConfigError } from "../config.ts";
import type { ListenerTls } from "./listener.ts";
import { LoadedFiles } from "./loaded-files.ts";

/** What the files that a configuration names hold. */
export interface Materials {
  readonly listener: ListenerTls;
  readonly dbClient: { readonly caCert: string; readonly caKey: string };
  /** By the databases' names: PEM of who signs the nodes' certificates, and the service user's password. */
  readonly databases: ReadonlyMap<string, { readonly ca: string | undefined; readonly password: string | undefined }>;
  /** SHA-256 over all of them and the configuration's own, as `LoadedFiles` makes it. */
  readonly sha256: string;
}

/**
 * Reads all files that a configuration names.
 *
 * @throws ConfigError where one cannot be read, or the listeners' certificate and key do not belong together
 */
export async function readMaterials(config: ProxyConfig): Promise<Materials> {
  const { tls, dbClient, dbCaFile, databases, source, directory } = config;
  const files = new LoadedFiles(directory);
  if (source !== undefined) files.remember(source.file, source.sha256);
  // Also where every database brings an authority of its own: a file that is named must be there.
  if (dbCaFile !== undefined) await files.read(dbCaFile);
  const listener = { cert: await files.read(tls.certFile), key: await files.read(tls.keyFile), clientCa: await files.read(tls.clientCaFile) };
  checkUsable(config, listener);
  const entries = databases.map(async ({ name, caFile, tls: encrypted, serviceUser }) => {
    const ca = encrypted ? await files.read((caFile ?? dbCaFile)!) : undefined;
    const password = serviceUser === undefined ? undefined : (await files.read(serviceUser.passwordFile)).trim();
    return [name, { ca, password }] as const;
  });
  const dbClientFiles = { caCert: await files.read(dbClient.caCertFile), caKey: await files.read(dbClient.caKeyFile) };
  return { listener, dbClient: dbClientFiles, databases: new Map(await Promise.all(entries)), sha256: files.sha256 };
}

function checkUsable({ tls }: ProxyConfig, { cert, key, clientCa }: ListenerTls): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new ConfigError([`${tls.certFile} and ${tls.keyFile}: cannot be used as certificate and key (${messageOf(error)})`]);
  }
  try {
    createSecureContext({ ca: clientCa });
  } catch (error) {
    throw new ConfigError([`${tls.clientCaFile}: cannot be used as the authority of users (${messageOf(error)})`]);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
