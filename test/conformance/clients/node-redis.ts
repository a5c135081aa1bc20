import { readFileSync } from "node:fs";
import { createClient, RESP_TYPES } from "redis";
import { allBytes } from "./client-report.ts";
import type { ClientReport, ClientTarget } from "./client-report.ts";

interface Overrides {
  readonly password?: string;
  readonly withCertificate?: boolean;
}

/** The scenario by node-redis, with the settings that the README names. */
export async function runNodeRedis(target: ClientTarget): Promise<ClientReport> {
  const make = ({ password = target.password, withCertificate = true }: Overrides = {}) => {
    const client = createClient({
      ...{ username: target.user, password, RESP: 2 },
      socket: {
        ...{ host: target.host, port: target.port, tls: true, servername: target.serverName, ca: readFileSync(target.ca), reconnectStrategy: false },
        ...(withCertificate && { cert: readFileSync(target.cert), key: readFileSync(target.key) }),
      },
    });
    client.on("error", () => undefined);
    open.push(client);
    return client;
  };
  const open: { isOpen: boolean; destroy: () => void }[] = [];
  const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => "no error", (error: unknown) => (error as Error).message);
  const key = (name: string): string => `${target.prefix}:${name}`;
  try {
    const client = await make().connect();
    await client.set(key("greeting"), "hello");
    const pipeline = client.multi();
    for (let i = 0; i < 100; i++) pipeline.incr(key("counter"));
    const counted = (await pipeline.execAsPipeline()).map(Number);
    for (let i = 0; i < 10; i += 2) await client.set(key(`m${i}`), String(i));
    const [name, value, seven] = (await client.eval("return {KEYS[1], ARGV[1], 7}", { keys: [key("k")], arguments: ["v"] })) as unknown as [string, string, number];

    const waiting = (await make().connect()).blPop(key("list"), 10);
    await client.lPush(key("list"), "x");
    const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const binaryKey = Buffer.concat([Buffer.from(key("")), allBytes]);
    await client.set(binaryKey, allBytes);

    const subscriber = await make().connect();
    const messages: string[] = [];
    const last = Promise.withResolvers<undefined>();
    const listener = (text: string, channel: string): void => {
      messages.push(`${channel.slice(key("").length)} ${text}`);
      if (text === "4") last.resolve(undefined);
    };
    await subscriber.subscribe([key("a"), key("b")], listener);
    await client.publish(key("a"), "1");
    await client.publish(key("b"), "2");
    await subscriber.unsubscribe(key("a"));
    await client.publish(key("a"), "3");
    await client.publish(key("b"), "4");
    await last.promise;
    await subscriber.unsubscribe();

    return {
      // After subscriptions node-redis gives buffers where it gave strings before, in front of a plain server too.
      get: String(await subscriber.get(key("greeting"))),
      missing: await client.get(key("missing")),
      pipeline: counted,
      mget: await client.mGet(Array.from({ length: 10 }, (_, i) => key(`m${i}`))),
      eval: [name.slice(key("").length), value, seven],
      blpop: (await waiting)?.element ?? null,
      blpopEmpty: (await client.blPop(key("empty"), 1))?.element ?? null,
      binary: (await bytes.get(binaryKey))?.toString("hex") ?? "",
      messages,
      error: await failure(client.lPush(key("greeting"), "x")),
      refused: await failure(client.info()),
      wrongPassword: await failure(make({ password: "wrong" }).connect()),
      servedWithoutCertificate: await make({ withCertificate: false }).connect().then(async (stranger) => stranger.ping()).then(() => true, () => false),
    };
  } finally {
    for (const client of open) if (client.isOpen) client.destroy();
  }
}
