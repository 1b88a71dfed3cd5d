import assert from "node:assert/strict";

import { parse } from "yaml";

import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { Reader, ReadError } from "../../../operator/api/reader.ts";
import { DEFAULT_SETTINGS, enforcerSettings, readSettings } from "../../../operator/api/settings.ts";

const { connmarkMask: _, ...DEFAULTS } = DEFAULT_ENFORCER_SETTINGS;
const read = (yaml: string) => readSettings(new Reader(parse(yaml) as unknown));

describe("settings", () => {
  it("are the defaults for an empty file", () => assert.deepEqual(read(""), DEFAULT_SETTINGS));
  it("keep the defaults of what is not written", () => {
    const settings = read("{enforcer: Managed, timings: {heartbeatMs: 50}, dns: {ports: [53]}}");
    assert.deepEqual(settings, { ...DEFAULT_SETTINGS, enforcer: "Managed", timings: { ...DEFAULT_SETTINGS.timings, heartbeatMs: 50 }, dns: { ...DEFAULT_SETTINGS.dns, ports: [53] } });
  });

  it("tell the enforcers what concerns them", () => {
    const { connmarkMask, ...rest } = enforcerSettings(read("{connmark: {mask: 0xff00}, backend: legacy, failClosed: true}"));
    assert.equal(connmarkMask, 0xff00);
    assert.deepEqual(rest, { ...DEFAULTS, backend: "legacy", failClosed: true });
  });

  it("take DNS peers in the form in which the API server stores them", () => {
    const { dns } = read("dns: {peers: [{namespaceSelector: {matchLabels: {}}, podSelector: {matchLabels: {dns: x}, matchExpressions: []}}, {ipBlock: {cidr: fd00::a/128, except: []}}]}");
    assert.deepEqual(dns.peers, [
      { kind: "peer", peer: { namespaceSelector: {}, podSelector: { matchLabels: { dns: "x" } } } },
      { kind: "peer", peer: { ipBlock: { cidr: "fd00::a/128" } } },
    ]);
  });

  const bad: readonly { yaml: string; says: RegExp }[] = [
    { yaml: "enforcr: Managed", says: /^enforcr: unknown field; known here: enforcer, / },
    { yaml: "enforcer: Yes", says: /^enforcer: must be one of Auto, Managed, Disabled; not "Yes"$/ },
    { yaml: "timings: {heartbeatMs: 0}", says: /^timings\.heartbeatMs: must be a whole number from 1 to / },
    { yaml: "dns: {peers: [{podSelector: {matchLabel: {}}}]}", says: /^dns\.peers\[0\]\.podSelector\.matchLabel: unknown field/ },
    { yaml: "dns: {peers: [{ipBlock: {cidr: 169.254.20.10}}]}", says: /^dns\.peers\[0\]\.ipBlock\.cidr: must be a network such as 169\.254\.20\.10\/32; not "169\.254\.20\.10"$/ },
    { yaml: "dns: {peers: [{ipBlock: {cidr: 10.96.0.10/16}}]}", says: /^dns\.peers\[0\]\.ipBlock\.cidr: must be a network without host bits/ },
    { yaml: "dns: {peers: [{ipBlock: {cidr: 10.96.0.0/16, except: [10.97.0.0/24]}}]}", says: /^dns\.peers\[0\]\.ipBlock\.except\[0\]: must be a network inside 10\.96\.0\.0\/16 and smaller/ },
    { yaml: "dns: {peers: [{podSelector: {matchLabels: {a/b/c: x}}}]}", says: /^dns\.peers\[0\]\.podSelector\.matchLabels\.a\/b\/c: is no label key/ },
    { yaml: "dns: {peers: [{podSelector: {}, ipBlock: {cidr: 10.96.0.0/16}}]}", says: /^dns\.peers\[0\]: must be an ipBlock alone, or podSelector and\/or namespaceSelector/ },
    { yaml: "ports: {stream: 70000}", says: /^ports\.stream: must be a whole number from 1 to 65535; not 70000$/ },
    { yaml: "nodeTraffic: Deny", says: /^nodeTraffic: must be one of Allow, Enforce; not "Deny"$/ },
    { yaml: "establishedFlows: cut", says: /^establishedFlows: must be one of Cut, Keep; not "cut"$/ },
    { yaml: "failClosed: yes please", says: /^failClosed: must be true or false; not "yes please"$/ },
    { yaml: "connmark: {mask: 0xff00ff00}", says: /^connmark\.mask: must be one run of at least 8 bits, such as 0xffff0000; not 4278255360$/ },
    { yaml: "connmark: {mask: 0x7f}", says: /^connmark\.mask: must be one run of at least 8 bits/ },
    { yaml: "log: {drops: Everything}", says: /^log\.drops: must be one of Audit, All, None; not "Everything"$/ },
    { yaml: "log: {perSecond: 0}", says: /^log\.perSecond: must be / },
    { yaml: "ports: {probes: 0}", says: /^ports\.probes: must be a whole number from 1 to 65535; not 0$/ },
    { yaml: "connmark: {mark: 1}", says: /^connmark\.mark: unknown field; known here: mask$/ },
    { yaml: "backend: iptables", says: /^backend: must be one of Auto, nft, legacy; not "iptables"$/ },
    { yaml: "nodeCIDRs: [10.0.0.0/33]", says: /^nodeCIDRs\[0\]: must be a network such as 10\.0\.0\.0\/16; not "10\.0\.0\.0\/33"$/ },
    { yaml: "[]", says: /must be an object/ },
  ];
  for (const { yaml, says } of bad) {
    it(`refuse ${yaml}`, () => assert.throws(() => read(yaml), (error) => error instanceof ReadError && says.test(error.message)));
  }
});
