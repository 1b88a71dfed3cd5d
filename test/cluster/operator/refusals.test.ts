import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy } from "./segment.ts";

describe("the operator: what it refuses", function () {
  this.timeout(60_000);
  let installation: Installation;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    const operator = await installation.startOperator("refusals");
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(() => installation?.stop());

  describe("a field that is not implemented yet", () => {
    const assertions = [{ from: [{ tier: "web" }], to: [{ tier: "db" }], expect: "Allow" }];
    const stalled = async (name: string): Promise<void> => {
      const { status: { conditions = [] } } = await installation.until(name, "Accepted", "False");
      const of = (type: string) => conditions.find((condition) => condition.type === type);
      assert.deepEqual([of("Stalled")?.status, of("Stalled")?.reason], ["True", "NotImplemented"]);
      assert.deepEqual([of("Ready")?.status, of("Ready")?.reason], ["False", "NotImplemented"]);
      assert.match(of("Accepted")?.message ?? "", /^spec\.assertions: .*not implemented/);
    };

    it("stalls the policy, and nothing of it is written", async () => {
      await installation.apply(namespace("asserting", "asserting"), segmentPolicy("asserting", { assertions }));
      await stalled("asserting");
      await calm();
      assert.deepEqual(await installation.networkPolicies("asserting"), []);
    });

    it("in an edit leaves in force what was", async () => {
      await installation.apply(namespace("live", "live"), segmentPolicy("live"));
      await installation.until("live", "Ready", "True");
      const before = await installation.networkPolicies("live");
      assert.equal(before.length, 4);
      await installation.apply(segmentPolicy("live", { assertions, defaultDeny: "TierPods" }));
      await stalled("live");
      await calm();
      assert.deepEqual(await installation.networkPolicies("live"), before);
    });

    it("taken back, lets the policy go on", async () => {
      await installation.apply(segmentPolicy("live", { defaultDeny: "TierPods" }), segmentPolicy("asserting"));
      await installation.until("live", "Ready", "True");
      await installation.until("asserting", "Ready", "True");
      assert.equal((await installation.networkPolicies("live")).length, 3);
      assert.equal((await installation.networkPolicies("asserting")).length, 4);
    });

    it("does not keep a policy from being deleted", async () => {
      await installation.apply(segmentPolicy("live", { assertions }));
      await stalled("live");
      await installation.kubectl("delete", "segpol", "live");
      await installation.untilNamed("live", []);
    });
  });

  describe("a command line", () => {
    const settings = async (name: string, content: string): Promise<string> => {
      const path = join(installation.plane.directory, name);
      await writeFile(path, content);
      return path;
    };
    const cases: readonly {
      readonly name: string;
      readonly args: () => Promise<readonly string[]> | readonly string[];
      readonly says: RegExp;
    }[] = [
      {
        name: "a kubeconfig that does not exist", args: () => ["--kubeconfig=/does/not/exist"],
        says: /kubeconfig \/does\/not\/exist does not exist/,
      },
      {
        name: "a kubeconfig that is none",
        args: async () => [`--kubeconfig=${await settings("none.kubeconfig", "clusters: 7\n")}`],
        says: /none\.kubeconfig/,
      },
      {
        name: "a settings file that does not exist", args: () => ["--config=/does/not/exist.yaml"],
        says: /settings \/does\/not\/exist\.yaml/,
      },
      {
        name: "a key that does not exist",
        args: async () => [`--config=${await settings("key.yaml", "enforcr: Managed\n")}`],
        says: /key\.yaml: .*enforcr/,
      },
      {
        name: "a key deep down",
        args: async () => [`--config=${await settings("deep.yaml", "ports: {probe: 8081}\n")}`],
        says: /deep\.yaml: .*ports\.probe/,
      },
      {
        name: "a value of the wrong kind",
        args: async () => [`--config=${await settings("value.yaml", "dns: {ports: [53, dns]}\n")}`],
        says: /value\.yaml: .*dns\.ports\[1\]/,
      },
      {
        name: "settings that are no YAML",
        args: async () => [`--config=${await settings("broken.yaml", "dns: {ports: [53\n")}`],
        says: /broken\.yaml: .*line 2/,
      },
      { name: "an option that does not exist", args: () => ["--frobnicate"], says: /unknown option '--frobnicate'/ },
      { name: "an argument that nobody asked for", args: () => ["start"], says: /too many arguments/ },
    ];
    for (const { name, args, says } of cases) {
      it(`with ${name} ends with one line and exit code 2`, async () => {
        const { code, stdout, stderr } = await OperatorProcess.run(await args());
        assert.equal(code, 2, stderr);
        assert.match(stderr, says);
        assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
        assert.equal(stdout, "");
      });
    }
  });

  keepsGoodConduct(() => installation);
});
