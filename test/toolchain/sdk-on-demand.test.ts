import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

const project = path.resolve(import.meta.dirname, "../..");
const preload = path.join(project, "toolchain/launcher/sdk-on-demand.cjs");
const run = createRequire(import.meta.url).resolve("@pulumi/pulumi/cmd/run");
/** Packages that a program of this project has no use for. */
const onDemand = ["@npmcli/arborist", "normalize-package-data", "typescript", "@opentelemetry/sdk-trace-base", "source-map-support"];

describe("in a Pulumi program", () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(path.join(tmpdir(), "redis-access-sdk-"));
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  /** Runs code in the place of a program, once the SDK's runner has loaded; `sdk` requires as that does. */
  function inProgram(code: string, environment: Readonly<Record<string, string>> = {}, args: readonly string[] = []): unknown {
    const probe = path.join(directory, "probe.cjs");
    writeFileSync(probe, `
      const sdk = require("node:module").createRequire(process.argv[1]);
      const exit = process.exit;
      process.exit = () => undefined; // at its end the runner says that it was given no program
      const loaded = () => [...new Set(Object.keys(require.cache).filter((file) => require.cache[file].children.length > 0 || require.cache[file].constructor.name === "Module").map((file) => /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1]))];
      (async () => { ${code} })().then((answer) => { console.log(JSON.stringify(answer)); exit(0); }, (error) => { console.error(error); exit(1); });
    `);
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--require", preload, "--require", probe, run, ...args], { encoding: "utf8", env: { ...process.env, ...environment } });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout.split("\n")[0]!);
  }

  test("the SDK loads without what is only of use elsewhere", () => {
    const loaded = inProgram(`sdk("./run"); sdk("../.."); await sdk("../../runtime/closure/v8Hooks").isInitializedAsync(); return loaded();`) as string[];
    assert.ok(loaded.includes("@grpc/grpc-js"), loaded.join(" "));
    assert.deepEqual(onDemand.filter((name) => loaded.includes(name)), []);
  });

  test("all of that is loaded when it is asked for", () => {
    const answers = inProgram(`
      const [ts, arborist, normalize, hooks, pulumi] = ["../../typescript-shim", "@npmcli/arborist", "normalize-package-data", "../../runtime/closure/v8Hooks", "../.."].map((name) => sdk(name));
      const session = await hooks.getSessionAsync();
      return [ts.createSourceFile, arborist.Arborist, arborist.default, normalize.default, pulumi.automation.LocalWorkspace.createStack, session.post].map((one) => typeof one)
        .concat(session === await hooks.getSessionAsync(), arborist.Arborist === sdk("@npmcli/arborist").Arborist);
    `);
    assert.deepEqual(answers, ["function", "function", "function", "function", "function", "function", true, true]);
  });

  test("a function that becomes a resource is serialized as ever", () => {
    const { text } = inProgram(`const add = 2; return sdk("../..").runtime.serializeFunction((n) => n + add);`) as { text: string };
    assert.match(text, /n\) => n \+ add/);
  });

  test("spans are those of the tracer where traces are asked for, and nobody's elsewhere", () => {
    const span = `const span = sdk("./tracing").newSpan("one"); span.setAttribute("a", 1).end(); return [span.isRecording(), loaded().includes("@opentelemetry/sdk-trace-base")];`;
    assert.deepEqual(inProgram(span), [false, false]);
    assert.deepEqual(inProgram(span, {}, ["--tracing", "http://127.0.0.1:1"]), [false, true]);
  });

  test("lines of debugging go nowhere unless the launcher says that they are asked for", () => {
    const isOwn = `return sdk("../../log").debug.toString().includes("getEngine");`;
    assert.equal(inProgram(isOwn), false);
    assert.equal(inProgram(isOwn, { REDIS_ACCESS_PULUMI_DEBUG: "true" }), true);
  });

  test("a promise tells where it was made only where leaks are looked for", () => {
    const made = `const promise = Promise.resolve(); sdk("../../runtime/debuggable").debuggablePromise(promise, "one"); return [promise._debugCtx, promise._debugStackTrace.includes("probe.cjs"), new Error().stack.includes("probe.cjs")];`;
    assert.deepEqual(inProgram(made), ["one", false, true]);
    assert.deepEqual(inProgram(made, { PULUMI_DEBUG_PROMISE_LEAKS: "true" }), ["one", true, true]);
  });
});

test("any other program is left alone", () => {
  const { stdout } = spawnSync(process.execPath, ["--require", preload, "-p", "Object.keys(require.cache).join()"], { encoding: "utf8" });
  assert.equal(stdout, `${preload}\n`);
});
