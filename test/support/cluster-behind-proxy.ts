import { after, before } from "node:test";
import { TestProxy } from "./access-proxy.ts";
import type { TestProxyOptions } from "./access-proxy.ts";
import { TestCluster } from "./redis-cluster.ts";
import type { TestClusterOptions } from "./redis-cluster.ts";

/** What a file's tests run against; there from the first test on. */
export interface Fixtures {
  readonly cluster: TestCluster;
  readonly proxy: TestProxy;
}

/** Three masters without replicas: up in two seconds, and enough wherever no master goes away. */
export const threeMasters: TestClusterOptions = { nodes: 3, replicasPerMaster: 0 };

/**
 * Has a cluster and a proxy in front of it started before the tests of this file, and ended after them.
 * @param prepare called once both are there; returns what is to be done before they end. A second `before` of the file
 *   itself would not wait for this one.
 */
export function clusterBehindProxy(
  clusterOptions: TestClusterOptions = threeMasters,
  proxyOptions: TestProxyOptions = {},
  prepare: (fixtures: Fixtures) => Promise<() => void> = () => Promise.resolve(() => undefined),
): Fixtures {
  let cluster: TestCluster | undefined;
  let proxy: TestProxy | undefined;
  let cleanUp: (() => void) | undefined;
  before(async () => {
    cluster = await TestCluster.start(clusterOptions);
    proxy = await TestProxy.start(cluster, proxyOptions);
    cleanUp = await prepare({ cluster, proxy });
  });
  after(async () => {
    cleanUp?.();
    await proxy?.stop();
    await cluster?.stop();
  });
  return {
    get cluster() {
      return cluster!;
    },
    get proxy() {
      return proxy!;
    },
  };
}
