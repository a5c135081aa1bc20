import type * as pulumi from "@pulumi/pulumi";
import { Directory, File, Process } from "./provider/resources.ts";
import type { DirectoryArgs, FileArgs, ProcessArgs } from "./provider/resources.ts";

/** A program that a host keeps running. */
export type HostProcess = pulumi.Resource & {
  /** Another one whenever it has been started anew. */
  readonly pid: pulumi.Output<number>;
};

/**
 * A machine that components put their parts on. They never say how: on this machine it is the provider's own resources,
 * on another one it can be anything that places files and keeps programs running.
 */
export interface Host {
  directory(name: string, args: DirectoryArgs, opts: pulumi.CustomResourceOptions): pulumi.Resource;
  file(name: string, args: FileArgs, opts: pulumi.CustomResourceOptions): pulumi.Resource;
  process(name: string, args: ProcessArgs, opts: pulumi.CustomResourceOptions): HostProcess;
}

/** The machine that runs `pulumi up`. */
export class LocalHost implements Host {
  directory(name: string, args: DirectoryArgs, opts: pulumi.CustomResourceOptions): pulumi.Resource {
    return new Directory(name, args, opts);
  }

  file(name: string, args: FileArgs, opts: pulumi.CustomResourceOptions): pulumi.Resource {
    return new File(name, args, opts);
  }

  process(name: string, args: ProcessArgs, opts: pulumi.CustomResourceOptions): HostProcess {
    return new Process(name, args, opts);
  }
}
