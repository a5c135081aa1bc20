"use strict";
/**
 * Loaded by the launcher before whatever Node runs (`node --require`). In a Pulumi program, and nowhere else, it has the SDK
 * load only when it is asked for what few programs use: npm's dependency solver and the TypeScript compiler (for functions
 * that become resources), V8's debugger (the same), the automation API, the exporters of traces. It also has the SDK keep to
 * itself what nobody would see: lines of debugging, and where a promise was made. All of this took two thirds of a
 * program's processor time. Nothing is gone: what is used is loaded then, and where traces, lines of debugging or leaked
 * promises are asked for, the SDK is as it was.
 *
 * The SDK's version is pinned; test/toolchain/sdk-on-demand.test.ts holds that each part is where it is looked for.
 */
const { createRequire } = require("node:module");

const program = process.argv[1] ?? "";

if (/[\\/]@pulumi[\\/]pulumi[\\/]cmd[\\/]run[\\/]index\.js$/.test(program)) {
  const sdk = createRequire(program);

  /** Has a module be what `stand` makes of a function that loads the real one. */
  const replace = (request, stand) => {
    let file;
    try {
      file = sdk.resolve(request);
    } catch {
      return; // another version of the SDK, which does without
    }
    const load = () => {
      if (require.cache[file] === standing) delete require.cache[file];
      return sdk(file);
    };
    const standing = { id: file, filename: file, path: file, loaded: true, exports: stand(load), children: [], paths: [] };
    require.cache[file] = standing;
  };

  /** A module that is loaded when something of it is first read, in the terms of TypeScript's `__importStar` too. */
  const onDemand = (load) => new Proxy({}, { get: (_, name) => (name === "__esModule" ? true : name === "default" ? (load().default ?? load()) : load()[name]) });

  for (const request of ["@npmcli/arborist", "normalize-package-data", "../../typescript-shim", "../../automation"]) replace(request, onDemand);
  // Connects a debugger to this very program, and switches to a syntax for which all compiled code must be compiled anew.
  replace("../../runtime/closure/v8Hooks", (load) => ({
    isInitializedAsync: () => Promise.resolve(),
    getSessionAsync: () => load().getSessionAsync(),
    getScriptUrl: (id) => load().getScriptUrl(id),
  }));
  // Looks for source maps in every stack trace, also of the SDK's sources, which nobody has. Types are stripped in place here.
  replace("source-map-support/register", () => ({}));
  if (!process.argv.includes("--tracing")) {
    const { trace } = sdk("@opentelemetry/api");
    replace("./tracing", () => ({ newSpan: (name) => trace.getTracer("nodejs-runtime").startSpan(name) }));
  }

  if (process.env.REDIS_ACCESS_PULUMI_DEBUG === undefined) {
    // Several for each resource, a call to the engine each, which drops them.
    sdk("../../log").debug = () => Promise.resolve();
  }
  const promises = sdk("../../runtime/debuggable");
  if (promises.debugPromiseLeaks === false) {
    const { debuggablePromise } = promises;
    promises.debuggablePromise = (promise, context) => {
      const limit = Error.stackTraceLimit;
      Error.stackTraceLimit = 0;
      try {
        return debuggablePromise(promise, context);
      } finally {
        Error.stackTraceLimit = limit;
      }
    };
  }
}
