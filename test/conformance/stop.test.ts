import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { clusterBehindProxy } from "../support/cluster-behind-proxy.ts";
import { keyOnEachMaster, onEach } from "../support/keys.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor, within } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy();
const open = (): Promise<RawConnection> => RawConnection.open(fixtures.proxy);

/** Keeps its node busy for two seconds, by the node's own clock. */
const busyScript = `
  local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
  local till = now() + 2000
  repeat for i = 1, 10000 do end until now() >= till
  return redis.call('INCR', KEYS[1])`;

test("SIGTERM: what is under way is answered, who is on the way in is let in, who waits or listens is let go, nothing is popped for nobody, and the proxy ends", async () => {
  const { proxy, cluster } = fixtures;
  const [[slowPort, slow], [, list]] = [...(await keyOnEachMaster(cluster, "key:"))] as [[number, string], [number, string]];
  const [busy, waiting, subscribed, idle] = await Promise.all([open(), open(), open(), open()]);
  await subscribed.ask("SUBSCRIBE", "news");
  waiting.send("BLPOP", list, "0");
  const blocked = async (): Promise<number> => {
    const infos = await onEach(cluster, cluster.nodes, "INFO", "clients");
    return infos.map((info) => Number(/blocked_clients:(\d+)/.exec(String(info))![1])).reduce((a, b) => a + b);
  };
  await waitFor("the client waits in Redis", 5_000, async () => (await blocked()) === 1);
  busy.send("EVAL", busyScript, "1", slow);
  busy.send("GET", slow);
  const owner = cluster.direct(cluster.nodes.find((node) => node.port === slowPort));
  await waitFor("the script keeps its node busy", 5_000, () => within("PONG", 100, owner.ping()).then(() => false, () => true));
  owner.disconnect();
  const late = connect(proxy.port, "127.0.0.1");
  await once(late, "connect");
  const lateAt = performance.now() + 4_000;
  proxy.child.signal("SIGTERM");
  await Promise.all([waiting.closed(5_000), subscribed.closed(5_000), idle.closed(5_000)]);
  assert.deepEqual(await busy.replies(2), [":1\r\n", "$1\r\n1\r\n"]);
  await busy.closed(5_000);
  // Nobody else is there any more, and this one was accepted before.
  await pause(lateAt - performance.now());
  const visitor = connectTls({ socket: late, ...proxy.tls() });
  await within("the handshake", 2_000, once(visitor, "secureConnect"));
  const guest = RawConnection.over(visitor);
  assert.equal(await guest.ask("AUTH", "alice", cluster.passwords["alice"]!), "+OK\r\n");
  guest.close();
  await waitFor("the proxy has ended", 8_000, () => proxy.child.end !== undefined);
  assert.equal(proxy.child.end, 0);
  assert.equal(await blocked(), 0);
});
