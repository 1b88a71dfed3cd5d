import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

import { parse } from "yaml";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";

const CORPUS = new URL("../../corpus/", import.meta.url);

/** What the parser says: the path of the mistake and what to write, or "accepted". */
function judged(text: string): string {
  const { verdict } = readSegmentPolicy(parse(text) as unknown);
  return verdict.accepted ? "accepted" : verdict.message;
}

function files(folder: string): readonly { readonly name: string; readonly text: string }[] {
  const url = new URL(folder, CORPUS);
  return readdirSync(url).toSorted().map((name) => ({ name, text: readFileSync(new URL(name, url), "utf8") }));
}

/** The API server refuses these as well, with words of its own; here it is about the exact place. */
describe("reading the corpus of mistakes", () => {
  for (const { name, text } of files("invalid/")) {
    it(`finds the place in ${name}`, () => {
      const at = /^# at: (.+)$/m.exec(text)?.[1];
      assert.ok(at, "the second line says where the mistake is");
      const said = judged(text);
      assert.ok(said.startsWith(`${at}: `), said);
      assert.match(said.slice(at.length + 2), /must |unknown field|no tier|declared twice|needs |works only|does not list|is no label key|not implemented/);
    });
  }

  for (const { name, text } of files("valid/")) {
    it(`accepts ${name}, but for what is not built yet`, () => {
      assert.match(judged(text), /^accepted$|^spec\.assertions: not implemented/);
    });
  }
});
