import assert from "node:assert/strict";

import { parse } from "yaml";

import { Reader, ReadError } from "../../../operator/api/reader.ts";
import { DEFAULT_SETTINGS, readSettings } from "../../../operator/api/settings.ts";

const read = (yaml: string) => readSettings(new Reader(parse(yaml) as unknown));

describe("settings", () => {
  it("are the defaults for an empty file", () => assert.deepEqual(read(""), DEFAULT_SETTINGS));
  it("keep the defaults of what is not written", () => {
    const settings = read("{enforcer: Managed, timings: {heartbeatMs: 50}, dns: {ports: [53]}}");
    assert.deepEqual(settings, { ...DEFAULT_SETTINGS, enforcer: "Managed", timings: { ...DEFAULT_SETTINGS.timings, heartbeatMs: 50 }, dns: { ...DEFAULT_SETTINGS.dns, ports: [53] } });
  });

  const bad: readonly { yaml: string; says: RegExp }[] = [
    { yaml: "enforcr: Managed", says: /^enforcr: unknown field; known here: enforcer, / },
    { yaml: "enforcer: Yes", says: /^enforcer: must be one of Auto, Managed, Disabled; not "Yes"$/ },
    { yaml: "timings: {heartbeatMs: 0}", says: /^timings\.heartbeatMs: must be a whole number from 1 to / },
    { yaml: "dns: {peers: [{podSelector: {matchLabel: {}}}]}", says: /^dns\.peers\[0\]\.podSelector\.matchLabel: unknown field/ },
    { yaml: "ports: {stream: 70000}", says: /^ports\.stream: must be a whole number from 1 to 65535; not 70000$/ },
    { yaml: "[]", says: /must be an object/ },
  ];
  for (const { yaml, says } of bad) {
    it(`refuse ${yaml}`, () => assert.throws(() => read(yaml), (error) => error instanceof ReadError && says.test(error.message)));
  }
});
