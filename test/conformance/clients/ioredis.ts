import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import type { RedisOptions } from "ioredis";
import { allBytes } from "./client-report.ts";
import type { ClientReport, ClientTarget } from "./client-report.ts";

/** The scenario by ioredis, with the settings that the README names. */
export async function runIoredis(target: ClientTarget): Promise<ClientReport> {
  const open: Redis[] = [];
  const connect = (options: RedisOptions = {}): Redis => {
    const client = new Redis({
      ...{ host: target.host, port: target.port, username: target.user, password: target.password },
      tls: { ca: readFileSync(target.ca), cert: readFileSync(target.cert), key: readFileSync(target.key), servername: target.serverName },
      ...{ protocol: 2, enableReadyCheck: false },
      ...options,
    });
    client.on("error", () => undefined);
    open.push(client);
    return client;
  };
  const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => "no error", (error: unknown) => (error as Error).message);
  const key = (name: string): string => `${target.prefix}:${name}`;
  try {
    const client = connect();
    await client.set(key("greeting"), "hello");
    const pipeline = client.pipeline();
    for (let i = 0; i < 100; i++) pipeline.incr(key("counter"));
    const counted = (await pipeline.exec())!.map(([, reply]) => Number(reply));
    for (let i = 0; i < 10; i += 2) await client.set(key(`m${i}`), i);
    const [name, value, seven] = (await client.eval("return {KEYS[1], ARGV[1], 7}", 1, key("k"), "v")) as [string, string, number];

    const waiting = connect().blpop(key("list"), 10);
    await client.lpush(key("list"), "x");
    const binaryKey = Buffer.concat([Buffer.from(key("")), allBytes]);
    await client.set(binaryKey, allBytes);

    const subscriber = connect();
    const messages: string[] = [];
    const last = new Promise((resolve) => {
      subscriber.on("message", (channel: string, text: string) => {
        messages.push(`${channel.slice(key("").length)} ${text}`);
        if (text === "4") resolve(undefined);
      });
    });
    await subscriber.subscribe(key("a"), key("b"));
    await client.publish(key("a"), "1");
    await client.publish(key("b"), "2");
    await subscriber.unsubscribe(key("a"));
    await client.publish(key("a"), "3");
    await client.publish(key("b"), "4");
    await last;
    await subscriber.unsubscribe();

    return {
      get: await subscriber.get(key("greeting")),
      missing: await client.get(key("missing")),
      pipeline: counted,
      mget: await client.mget(...Array.from({ length: 10 }, (_, i) => key(`m${i}`))),
      eval: [name.slice(key("").length), value, seven],
      blpop: (await waiting)?.[1] ?? null,
      blpopEmpty: (await client.blpop(key("empty"), 1))?.[1] ?? null,
      binary: (await client.getBuffer(binaryKey))?.toString("hex") ?? "",
      messages,
      error: await failure(client.lpush(key("greeting"), "x")),
      refused: await failure(client.info()),
      // The login's own error is an event; commands that wait for it fail with it.
      wrongPassword: await failure(new Promise((_, reject) => connect({ password: "wrong" }).once("error", reject))),
      servedWithoutCertificate: await connect({ tls: { ca: readFileSync(target.ca), servername: target.serverName }, retryStrategy: () => null }).ping().then(() => true, () => false),
    };
  } finally {
    for (const client of open) client.disconnect();
  }
}
