import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterBehindProxy, threeMasters } from "../support/cluster-behind-proxy.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { waitFor } from "../support/wait-for.ts";

const fixtures = clusterBehindProxy(threeMasters, { limits: { max_connections: 2 } });

test("a client beyond max_connections is told so and cut off, even where it does not leave; once another has left there is room", async () => {
  const [first, second] = await Promise.all([RawConnection.open(fixtures.proxy), RawConnection.open(fixtures.proxy)]);
  const third = await RawConnection.anonymous(fixtures.proxy);
  third.socket.allowHalfOpen = true;
  third.socket.on("error", () => undefined);
  assert.equal(await third.reply(), "-ERR max number of clients reached\r\n");
  const sending = setInterval(() => { third.write("PING\r\n"); }, 50);
  try {
    await third.closed(5_000);
  } finally {
    clearInterval(sending);
  }
  assert.equal(third.waiting, 0, "nothing that it sent was answered");
  assert.equal(await first.ask("PING"), "+PONG\r\n");
  second.close();
  const fourth = await waitFor("there is room for another", 5_000, () => RawConnection.open(fixtures.proxy));
  assert.equal(await fourth.ask("PING"), "+PONG\r\n");
  first.close();
  fourth.close();
});
