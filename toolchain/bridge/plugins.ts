/** A resource plugin of the bridge: the official plugin it stands in for, and where its source begins. */
export interface BridgePlugin {
  readonly name: string;
  /** Version of the official plugin whose inputs, outputs and state this one has. */
  readonly version: string;
  /** Relative to this directory. */
  readonly entryPoint: string;
}

/** The resource plugins of the bridge; the versions are those of the SDKs in package.json. */
export const BRIDGE_PLUGINS: readonly BridgePlugin[] = [
  { name: "tls", version: "5.6.1", entryPoint: "tls/main.ts" },
  { name: "command", version: "1.2.1", entryPoint: "command/main.ts" },
];
