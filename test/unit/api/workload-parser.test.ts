import assert from "node:assert/strict";

import { readNamespace, readNode, readPod } from "../../../operator/api/workload-parser.ts";

const pod = (spec: object, status: object) => readPod({ metadata: { name: "p", namespace: "ns", uid: "u" }, spec, status });

describe("reading what runs", () => {
  it("gives a finished pod no address: it may already be another's", () => {
    assert.deepEqual(["Running", "Succeeded", "Failed"].map((phase) => pod({}, { phase, podIPs: [{ ip: "10.1.0.2" }] }).addresses), [["10.1.0.2"], [], []]);
  });

  it("misses the address of a pod that runs, not of one that starts, ends or has the node's", () => {
    const missing = (phase: string, podIPs?: object[]) => pod({}, { phase, podIPs }).addressMissing;
    assert.deepEqual([missing("Running"), missing("Running", [])], [true, true]);
    assert.deepEqual([missing("Pending"), missing("Failed"), missing("Running", [{ ip: "10.1.0.2" }])], [undefined, undefined, undefined]);
  });

  it("knows the named ports of containers and of sidecars, not of init containers", () => {
    const container = (name: string, port: number) => ({ ports: [{ name, containerPort: port }, { containerPort: port + 1 }] });
    const { ports } = pod({ containers: [container("http", 80)], initContainers: [container("setup", 90), { ...container("mesh", 15000), restartPolicy: "Always" }] }, {});
    assert.deepEqual(ports, [{ name: "http", protocol: "TCP", port: 80 }, { name: "mesh", protocol: "TCP", port: 15000 }]);
  });

  it("calls a namespace terminating by phase or by deletionTimestamp", () => {
    const namespace = (metadata: object, phase: string) => readNamespace({ metadata: { name: "n", uid: "u", ...metadata }, status: { phase } }).terminating;
    assert.deepEqual([namespace({}, "Active"), namespace({}, "Terminating"), namespace({ deletionTimestamp: "x" }, "Active")], [false, true, true]);
  });

  it("calls a node ready only if it says so", () => {
    const node = (status: string) => readNode({ metadata: { name: "n", uid: "u" }, status: { conditions: [{ type: "Ready", status }] } }).ready;
    assert.deepEqual([node("True"), node("False"), node("Unknown"), readNode({ metadata: { name: "n", uid: "u" } }).ready], [true, false, false, false]);
  });
});
