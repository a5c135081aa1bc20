import type { Properties } from "./properties.ts";

/** Why an input is refused. */
export interface InputFailure {
  readonly property: string;
  readonly reason: string;
}

/** How a property differs, and whether the resource must be replaced for it. */
export interface PropertyChange {
  readonly kind: "add" | "delete" | "update";
  readonly replace: boolean;
}

/** Which resource a call is about. */
export interface ResourceIdentity {
  readonly urn: string;
  /** The logical name: the last part of the URN. */
  readonly name: string;
}

/** A resource in its state: its outputs, which include its inputs. */
export interface ResourceState {
  readonly id: string;
  readonly outputs: Properties;
}

/**
 * One type of resource of a provider. Secrets arrive marked or not, as the provider has chosen; `reveal` takes the
 * marks away. In a preview nothing may be changed, and what is not known before the update is `UNKNOWN`.
 */
export interface ResourceType {
  /** The inputs as they will be used (with secret marks), or why they cannot be. */
  check(inputs: Properties): { readonly inputs: Properties; readonly failures: readonly InputFailure[] };
  /** What would have to change, by property; empty when the resource is as declared. */
  diff(state: ResourceState, inputs: Properties): Readonly<Record<string, PropertyChange>>;
  create(identity: ResourceIdentity, inputs: Properties, preview: boolean): Promise<ResourceState>;
  read(state: ResourceState): Properties;
  update(identity: ResourceIdentity, state: ResourceState, inputs: Properties, preview: boolean): Promise<Properties>;
  delete(identity: ResourceIdentity, state: ResourceState): Promise<void>;
}

/** A provider: its resource types and functions, by token. */
export interface Provider {
  readonly version: string;
  /** Whether secrets arrive marked; otherwise the engine takes the marks off. */
  readonly acceptSecrets: boolean;
  readonly resources: Readonly<Record<string, ResourceType>>;
  readonly functions: Readonly<Record<string, (args: Properties) => Promise<Properties>>>;
  /** The error for a token that is neither in `resources` nor in `functions`. */
  unsupported(token: string): Error;
  /** Stops what runs; called when the user cancels and when the engine is gone. */
  cancel(): void;
}
