import assert from "node:assert/strict";
import { readArguments, readCleanupArguments } from "../../../operator/enforcer/arguments.ts";

const POD = { NODE_NAME: "n1", KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("an enforcer's arguments", () => {
  it("come from the pod, but for the operator's address", () => {
    const read = readArguments(["--operator=10.96.0.7:8443"], POD);
    assert.deepEqual([read.node, read.operator.host, read.operator.port], ["n1", "10.96.0.7", 8443]);
    assert.equal(read.operator.name, "tierwall-operator.tierwall-system.svc");
    assert.equal(read.api.server, "https://10.96.0.1:443");
    assert.deepEqual(read.probes, { host: "127.0.0.1", port: 9474 });
    assert.equal(read.stateDirectory, "", "nothing is kept unless it is said where");
  });

  it("may say where the disk copy is kept", () => {
    const read = readArguments(["--operator=10.96.0.7:8443", "--state-directory=/var/lib/tierwall"], POD);
    assert.equal(read.stateDirectory, "/var/lib/tierwall");
  });

  it("may be IPv6", () => {
    const read = readArguments(["--operator=[fd00::7]:8443"], { ...POD, KUBERNETES_SERVICE_HOST: "fd00::1" });
    assert.equal(read.operator.host, "fd00::7");
    assert.equal(read.api.server, "https://[fd00::1]:443");
  });

  const wrong: readonly (readonly [string, readonly string[], Readonly<NodeJS.ProcessEnv>, RegExp])[] = [
    ["no node", ["--operator=a:1"], { ...POD, NODE_NAME: undefined }, /--node is missing/],
    ["no operator", [], POD, /--operator must be <host>:<port>, not ""/],
    ["an operator without port", ["--operator=10.96.0.7"], POD, /--operator must be/],
    ["a port too high", ["--operator=10.96.0.7:70000"], POD, /--operator must be/],
    ["not in a cluster", ["--operator=a:1"], { NODE_NAME: "n1" }, /--api-server is missing/],
    ["an unknown option", ["--operator=a:1", "--opertor=b:1"], POD, /--opertor/],
  ];
  for (const [name, argv, env, message] of wrong) {
    it(`are refused: ${name}`, () => assert.throws(() => readArguments(argv, env), message));
  }
});

describe("the arguments of cleanup", () => {
  it("name the state directory, if it is another", () => {
    assert.deepEqual(readCleanupArguments([]), { stateDirectory: "/var/lib/tierwall" });
    assert.deepEqual(readCleanupArguments(["--state-directory=/x"]), { stateDirectory: "/x" });
  });

  for (const argv of [["--everything"], ["now"]]) {
    it(`are refused: ${argv.join(" ")}`, () => assert.throws(() => readCleanupArguments(argv)));
  }
});
