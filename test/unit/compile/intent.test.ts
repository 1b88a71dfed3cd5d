import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import fc from "fast-check";

import { mergeAddresses, networkText } from "../../../operator/compile/address-blocks.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { partsIn } from "../../../operator/compile/part.ts";
import { segmentNamespaces } from "../../../operator/compile/segment-namespaces.ts";
import { agreesWithIntent, type Compiler } from "./against-intent.ts";
import { SEEDED_BUGS, type SeededBug } from "./seeded-bugs.ts";
import { runs, THOROUGH } from "../runs.ts";

const OPERATOR = fileURLToPath(new URL("../../../operator/", import.meta.url));

describe("compile: what the NetworkPolicies let through", function () {
  this.timeout(60_000);
  let folder = "";
  before(() => { folder = mkdtempSync(join(tmpdir(), "tierwall-seeded-bugs-")); });
  after(() => rmSync(folder, { recursive: true }));

  it("is what the SegmentPolicy says, never more and never less", () => {
    fc.assert(agreesWithIntent({ compile, partsIn, segmentNamespaces, mergeAddresses, networkText }), { numRuns: runs(120) });
  });

  it("is never more while the facts are not known", () => {
    const compiler = { compile, partsIn, segmentNamespaces, mergeAddresses, networkText };
    fc.assert(agreesWithIntent(compiler, false), { numRuns: runs(60) });
  });

  for (const [index, bug] of SEEDED_BUGS.entries()) {
    (THOROUGH ? it : it.skip)(`would not be if ${bug.name}`, async () => {
      const broken = await brokenCompiler(join(folder, `${index}`), bug);
      const { failed, errorInstance } = fc.check(agreesWithIntent(broken), { numRuns: 1_000, endOnFailure: true });
      assert.equal(failed, true, "the bug was not found");
      assert.match(String(errorInstance), /wider|narrower/);
    });
  }
});

/** operator/compile from a copy in which the bug has been made. */
async function brokenCompiler(copy: string, { file, find, replace }: SeededBug): Promise<Compiler> {
  for (const room of ["api", "compile"]) cpSync(join(OPERATOR, room), join(copy, room), { recursive: true });
  writeFileSync(join(copy, "package.json"), JSON.stringify({ type: "module" }));
  const path = join(copy, "compile", file);
  const [before, after, ...more] = readFileSync(path, "utf8").split(find);
  assert.ok(before !== undefined && after !== undefined && more.length === 0, `${file} does not have the text once`);
  writeFileSync(path, `${before}${replace}${after}`);
  const files = ["compile", "part", "segment-namespaces", "address-blocks"];
  const modules: readonly object[] = await Promise.all(
    files.map((name) => import(pathToFileURL(join(copy, "compile", `${name}.ts`)).href)),
  );
  return Object.assign({}, ...modules) as Compiler;
}
