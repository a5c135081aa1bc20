import type { MachineNeeds } from "../components/index.ts";
import { busPortOffset } from "../components/redis-conf.ts";
import type { Settings } from "./settings.ts";

/** What the stack asks of the machine it is made on, in the words of its configuration. */
export function machineNeeds({ directory, nodes, proxyListen, adminListen, redisServer, redisCli, redisParameters }: Settings): MachineNeeds {
  const members = nodes.flatMap(({ host, port }, index) => [port, port + busPortOffset].map((number) => ({ property: `nodes[${index}]`, host, port: number })));
  return {
    directory,
    listens: [...members, { property: "proxyListen", ...proxyListen }, { property: "adminListen", ...adminListen }],
    redisServer,
    redisCli,
    parameters: { property: "redisParameters", values: redisParameters },
  };
}
