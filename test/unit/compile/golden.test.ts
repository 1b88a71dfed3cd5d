import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

import { stringify } from "yaml";

import { compile } from "../../../operator/compile/compile.ts";
import type { Facts } from "../../../operator/compile/facts.ts";
import { FACTS, NO_FACTS } from "./facts.ts";
import { specOf } from "./specs.ts";

const folder = new URL("golden/", import.meta.url);
/** Set to rewrite the files from what compile says now: then the diff in version control is what to read. */
const rewrite = process.env.TIERWALL_REWRITE_GOLDEN !== undefined;

/**
 * Golden files: a SegmentPolicy's spec, `---`, and the parts that it has to compile to. A file whose first line says
 * `# nothing known` is compiled before the cluster's facts are known.
 */
describe("compile: golden text", () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".yaml")).toSorted()) {
    it(name.slice(0, -".yaml".length), () => {
      const path = new URL(name, folder);
      const [source = "", expected = ""] = readFileSync(path, "utf8").split("\n---\n");
      const text = partsText(source, source.startsWith("# nothing known") ? NO_FACTS : FACTS);
      if (rewrite) writeFileSync(path, `${source}\n---\n${text}`);
      else assert.equal(text, expected);
    });
  }
});

function partsText(source: string, facts: Facts): string {
  const parts = compile("shop", specOf(source), facts).map(({ gaps, concerns, ...part }) => ({
    ...part,
    ...(gaps.length > 0 && { gaps }),
    ...(concerns.length > 0 && { concerns }),
  }));
  return stringify(parts, { lineWidth: 0, aliasDuplicateObjects: false });
}
