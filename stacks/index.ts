/** The program of every stack: configuration -> components -> outputs. */
import { dirname } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { AccessProxy, CertificateAuthority, checkLocalMachine, LeafCertificate, LocalHost, Protection, RedisCluster } from "../components/index.ts";
import type { AuthorityKind, Rotation } from "../components/index.ts";
import { joinCertificates } from "../components/pem-bundle.ts";
import { planRotations, recordFiles } from "../components/rotation-record.ts";
import { formatRotation } from "../components/rotation.ts";
import { clientCommands } from "./client-commands.ts";
import { machineNeeds } from "./machine-needs.ts";
import { declaredRotations, readRotationRecord } from "./rotations.ts";
import { readSettings } from "./settings.ts";

// Pulumi's runner has source maps looked for in every stack trace, and the SDK takes several for each resource: a second for a
// stack like this. Types are stripped in place here, so that line numbers are true without a map.
Reflect.deleteProperty(Error, "prepareStackTrace");

const project = dirname(import.meta.dirname);
const stack = pulumi.getStack();
const settings = readSettings(configurationOf(pulumi.getProject()), { project, stack });
const { directory, keepData, protectAuthorities } = settings;
// Before the first resource: an update without preview, as `npm start` makes it, must refuse before it has changed anything.
await checkLocalMachine(machineNeeds(settings));
const rotations = planRotations(readRotationRecord(directory), declaredRotations(settings));
const host = new LocalHost();

const authority = <Kind extends AuthorityKind>(kind: Kind, rotation?: Rotation): CertificateAuthority<Kind> =>
  new CertificateAuthority(`${stack}-${kind.replace("_", "-")}-ca`, { kind, commonName: `${stack} ${kind} CA`, protectAuthority: protectAuthorities, ...(rotation !== undefined && { rotation }) });
const authorities = {
  redis: authority("redis", settings.redisCaRotation),
  db: authority("db"),
  dbClient: authority("db_client", settings.dbClientCaRotation),
  user: authority("user"),
  proxy: authority("proxy"),
};

const home = host.directory(stack, { path: directory }, {});
// Nodes and proxy are changed only when it is written down what they are changed to: a run that is cut off leaves them on two sides.
const begun = host.file(`${stack}-rotations-begun`, { path: `${directory}/${recordFiles.begun}`, content: rotations.begun }, { dependsOn: home });
const cluster = new RedisCluster(
  `${stack}-redis`,
  {
    host,
    directory: `${directory}/nodes`,
    redisAuthority: authorities.redis,
    dbClientAuthority: authorities.dbClient,
    nodes: settings.nodes,
    replicasPerMaster: settings.replicasPerMaster,
    users: settings.users.map((name) => ({ name })),
    nodeTimeoutMs: settings.nodeTimeoutMs,
    tlsAuthClients: settings.tlsAuthClients,
    parameters: settings.redisParameters,
    redisServer: settings.redisServer,
    redisCli: settings.redisCli,
    passwordRotations: settings.passwordRotations,
    certificateRevision: String(settings.nodeCertificates),
    keepData,
  },
  { dependsOn: begun },
);

const proxy = new AccessProxy(
  `${stack}-proxy`,
  {
    host,
    directory: `${directory}/proxy`,
    authorities,
    listen: settings.proxyListen,
    admin: settings.adminListen,
    databaseName: settings.databaseName,
    labels: { env: stack },
    // Only the addresses: the proxy's configuration must not wait for, or change with, what a node is called by its id.
    seeds: [...settings.nodes],
    startAfter: [cluster],
    serviceUser: "proxy",
    servicePassword: cluster.passwordOf("proxy"),
    auditCommands: settings.auditCommands,
    workers: settings.proxyWorkers,
    certificateRevision: String(settings.proxyCertificate),
    keepAudit: keepData,
  },
  { dependsOn: begun },
);

/** A first client that the proxy accepts: a certificate of the user CA with the built-in role. */
const client = new LeafCertificate(`${stack}-client`, { authority: authorities.user, commonName: `${stack}-client`, organization: "access", revision: String(settings.clientCertificate) });
const clientDirectory = host.directory(`${stack}-client-directory`, { path: `${directory}/client`, purge: true }, { dependsOn: home });
const files = { ca: `${directory}/client/ca.crt`, cert: `${directory}/client/client.crt`, key: `${directory}/client/client.key` };
const placed = [
  host.file(`${stack}-client-ca.crt`, { path: files.ca, content: authorities.proxy.certPem, mode: "0600" }, { dependsOn: clientDirectory }),
  host.file(`${stack}-client-client.crt`, { path: files.cert, content: client.certPem, mode: "0600" }, { dependsOn: clientDirectory }),
  host.file(`${stack}-client-client.key`, { path: files.key, content: client.keyPem, mode: "0600" }, { dependsOn: clientDirectory }),
];

const done = host.file(`${stack}-rotations-done`, { path: `${directory}/${recordFiles.done}`, content: rotations.done }, { dependsOn: [begun, cluster, proxy, ...placed] });

new Protection(
  `${stack}-protection`,
  {
    on: protectAuthorities,
    howToLift: [
      "Its authorities cannot be made again: all that they have signed would lose its worth.",
      `To keep them and remove the rest, type: npm run down -- --stack ${stack}`,
      `To lift the protection, type: pulumi config set protectAuthorities false --stack ${stack} && pulumi up --stack ${stack}`,
    ].join("\n"),
  },
  { dependsOn: [...Object.values(authorities), home, cluster, cluster.protection, proxy, proxy.protection, client, clientDirectory, ...placed, done] },
);

/** The address for applications: one, with any Redis client. */
export const connectionUri = proxy.uri(cluster.users[0]);
/** The cluster itself, past the proxy; a node's own certificate, or one of the db_client CA, opens it. */
export const clusterUri = cluster.uri;
/** Verifies the proxy at `connectionUri`. */
export const caCertificate = authorities.proxy.certPem;
/** Verifies the nodes at `clusterUri`. While the Redis CA is rotated, the old and the new one. */
export const redisCaCertificate = authorities.redis.trustedByClients.apply(joinCertificates);
/** What a database that this stack has not made must trust for clients, for the proxy to reach it. While it is rotated, the old and the new one. */
export const dbClientCaCertificate = authorities.dbClient.trustedByServers.apply(joinCertificates);
/** Host, port and node id of each node, in the declared order. */
export const nodes = cluster.nodes;
/** Names of the declared Redis users. */
export const users = cluster.users;
/** Redis user -> password, for the declared users. */
export const passwords = pulumi.secret(cluster.passwords.apply((all) => Object.fromEntries(cluster.users.map((name) => [name, all[name]!]))));
/** Where the files of the first client are: known once all of them stand. */
export const clientFiles = pulumi.all(placed.map((file) => file.urn)).apply(() => files);
/** How far each rotation is, and the numbers of certificates, by configuration key; known once this update has come to its end. */
export const rotationSteps = done.urn.apply(() => ({
  ...Object.fromEntries(declaredRotations(settings).map(({ property, step }) => [property, formatRotation(step)])),
  nodeCertificates: String(settings.nodeCertificates),
  proxyCertificate: String(settings.proxyCertificate),
  clientCertificate: String(settings.clientCertificate),
}));
/** Commands for a shell that work when pasted, once the proxy is ready. */
export const tryIt = pulumi.all([proxy.address, clientFiles]).apply(([address]) => clientCommands({ project, stack, address, files, user: cluster.users[0]! }));

/** The stack's configuration in the project's namespace; other namespaces are those of providers. */
function configurationOf(name: string): Record<string, string> {
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(`${name}:`));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(name.length + 1), value]));
}
