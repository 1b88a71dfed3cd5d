import assert from "node:assert/strict";

import { disagreements } from "../../../operator/compile/disagreements.ts";
import { specOf } from "./specs.ts";

/** A client that may call the db on `outOf`, and a db that the client may call on `into`. */
function told(outOf: string, into: string): readonly string[] {
  return disagreements(specOf(`
    namespaceSelector: {matchLabels: {s: shop}}
    tiers:
    - {name: web, egress: ${outOf === "" ? "[]" : `[{to: [{tier: db}]${outOf === "any" ? "" : `, ports: ${outOf}`}}]`}}
    - {name: db, ingress: ${into === "" ? "[]" : `[{from: [{tier: web}]${into === "any" ? "" : `, ports: ${into}`}}]`}}
  `));
}

describe("rules that disagree", () => {
  const agree: readonly { name: string; outOf: string; into: string }[] = [
    { name: "one side alone", outOf: "", into: "[{port: 5432}]" },
    { name: "the same on both sides, in another order", outOf: "[{port: 1}, {port: 2}]", into: "[{port: 2}, {port: 1}]" },
    { name: "a range and the ports it is made of", outOf: "[{port: 80, endPort: 82}]", into: "[{port: 81, endPort: 82}, {port: 80}]" },
    { name: "every port on both sides", outOf: "any", into: "any" },
  ];
  for (const { name, outOf, into } of agree) it(`says nothing of ${name}`, () => assert.deepEqual(told(outOf, into), []));

  const differ: readonly { name: string; outOf: string; into: string; says: RegExp }[] = [
    { name: "different numbers", outOf: "[{port: 5433}]", into: "[{port: 5432}]", says: /^web to db: egress of web says TCP 5433, ingress of db says TCP 5432$/ },
    { name: "different protocols", outOf: "[{protocol: UDP, port: 1}]", into: "[{port: 1}]", says: /UDP 1.*TCP 1/ },
    { name: "a name and a number", outOf: "[{port: postgres}]", into: "[{port: 5432}]", says: /TCP postgres.*TCP 5432/ },
    { name: "every port and one", outOf: "any", into: "[{port: 5432}]", says: /every port.*TCP 5432/ },
  ];
  for (const { name, outOf, into, says } of differ) {
    it(`names both sides of ${name}`, () => {
      const [text = "", ...more] = told(outOf, into);
      assert.match(text, says);
      assert.deepEqual(more, []);
    });
  }
});
