import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MetricNameError, renderMetrics } from "../../proxy/server/metrics.ts";
import type { MetricFamily } from "../../proxy/server/metrics.ts";

const up: MetricFamily = { name: "up", help: "Whether it is.", type: "gauge", samples: [{ labels: {}, value: 1 }] };

/** Reads a label's value as the format's own readers do. */
function unescapeLabel(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

describe("metrics in Prometheus's text format", () => {
  test("have help, type and samples of each family together", () => {
    const requests: MetricFamily = {
      name: "requests_total",
      help: "Requests.",
      type: "counter",
      samples: [
        { labels: { method: "get", code: "200" }, value: 3 },
        { labels: { method: "set", code: "500" }, value: 0.5 },
      ],
    };
    assert.equal(
      renderMetrics([up, requests]),
      "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n" +
        '# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{method="get",code="200"} 3\nrequests_total{method="set",code="500"} 0.5\n',
    );
  });

  test("are empty without families, and have no sample line without samples", () => {
    assert.equal(renderMetrics([]), "");
    assert.equal(renderMetrics([{ ...up, samples: [] }]), "# HELP up Whether it is.\n# TYPE up gauge\n");
  });

  test("escape backslash and line feed in help, and the double quote in labels as well", () => {
    const family: MetricFamily = { ...up, help: 'a\\b\n"c"', samples: [{ labels: { l: 'a\\b\n"c"' }, value: 1 }] };
    assert.equal(renderMetrics([family]), '# HELP up a\\\\b\\n"c"\n# TYPE up gauge\nup{l="a\\\\b\\n\\"c\\""} 1\n');
  });

  test("give back any label value, on one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const rendered = renderMetrics([{ ...up, samples: [{ labels: { l: value }, value: 1 }] }]);
        const lines = rendered.split("\n");
        return lines.length === 4 && unescapeLabel(/^up\{l="(.*)"\} 1$/s.exec(lines[2]!)![1]!) === value;
      }),
    );
  });

  test("have numbers as Go reads them", () => {
    const value = (number: number): string => /up (.*)\n$/.exec(renderMetrics([{ ...up, samples: [{ labels: {}, value: number }] }]))![1]!;
    assert.deepEqual([NaN, Infinity, -Infinity, 1e21, 2 ** 53, -0.25].map(value), ["NaN", "+Inf", "-Inf", "1e+21", "9007199254740992", "-0.25"]);
  });

  test("have the suffixes of a histogram's samples", () => {
    const family: MetricFamily = {
      name: "seconds",
      help: "Time.",
      type: "histogram",
      samples: [
        { suffix: "_bucket", labels: { le: "+Inf" }, value: 2 },
        { suffix: "_sum", labels: {}, value: 0.5 },
        { suffix: "_count", labels: {}, value: 2 },
      ],
    };
    assert.match(renderMetrics([family]), /\nseconds_bucket\{le="\+Inf"\} 2\nseconds_sum 0\.5\nseconds_count 2\n$/);
  });

  test("are refused where a name is none, or is there twice", () => {
    for (const name of ["", "1up", "a-b", "a b", "a\nb"]) assert.throws(() => renderMetrics([{ ...up, name }]), MetricNameError, name);
    for (const label of ["", "1", "a-b", "__name__", "a:b"]) {
      assert.throws(() => renderMetrics([{ ...up, samples: [{ labels: { [label]: "x" }, value: 1 }] }]), MetricNameError, label);
    }
    assert.throws(() => renderMetrics([up, up]), /up is there twice/);
  });
});
