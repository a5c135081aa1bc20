import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { readClusterRecord, removeClusterRecord, writeClusterRecord } from "../../../components/provider/cluster-record.ts";

const directory = mkdtempSync(path.join(tmpdir(), "redis-access-cluster-record-"));
after(() => {
  rmSync(directory, { recursive: true });
});

const file = path.join(directory, "cluster.json");
const nodes = [7001, 7002].map((port) => ({ host: "127.0.0.1", port }));
const scaling = { nodes: [...nodes, { host: "127.0.0.1", port: 7003 }], replicasPerMaster: 2, former: [{ host: "127.0.0.1", port: 7009 }] };

test("a cluster is written down as formed, as on its way, and forgotten", async () => {
  assert.equal(await readClusterRecord(file), undefined);
  await writeClusterRecord(file, nodes);
  assert.deepEqual(await readClusterRecord(file), { nodes, scaling: undefined });
  await writeClusterRecord(file, nodes, scaling);
  assert.deepEqual(await readClusterRecord(file), { nodes, scaling: { ...scaling, since: statSync(file).mtime } });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await removeClusterRecord(file);
  assert.equal(await readClusterRecord(file), undefined);
});

test("who goes on with a scaling leaves it written down when that was begun", async () => {
  const begun = new Date("2026-01-02T03:04:05Z");
  await writeClusterRecord(file, nodes, scaling);
  utimesSync(file, begun, begun);
  await writeClusterRecord(file, nodes, scaling);
  assert.deepEqual((await readClusterRecord(file))?.scaling?.since, begun);
});

test("what cannot be read is no record", async () => {
  for (const content of ["", "{", "[]", '{"nodes":[{"host":"127.0.0.1"}]}', '{"nodes":[],"scaling":{"nodes":[]}}']) {
    writeFileSync(file, content);
    assert.equal(await readClusterRecord(file), undefined, content);
  }
});
