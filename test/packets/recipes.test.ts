import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import type { Cluster } from "../../operator/analyze/cluster.ts";
import { verdict } from "../../operator/analyze/verdict.ts";
import { readNetworkPolicy } from "../../operator/api/network-policy-parser.ts";
import { readSegmentPolicy } from "../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicySpec } from "../../operator/api/segment-policy.ts";
import { readNamespace, readPod } from "../../operator/api/workload-parser.ts";
import { ADDRESSES, FAMILIES, NODES } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import type { RawCluster } from "./bed/cluster-feed.ts";
import { describe as words, type Probe } from "./bed/prober.ts";
import { readGrid } from "./recipes-grid.ts";
import { RECIPES } from "./recipes-matrices.ts";
import { clusterOf, type Scene } from "./recipes-scene.ts";

const root = new URL("../../", import.meta.url);
const folder = new URL("config/samples/recipes/", root);
const files = readdirSync(folder).filter((file) => file !== "README.md").toSorted();

/** Of the corpus, those that the page of the language tells of. */
const MISTAKES = [
  "undeclared-tier", "from-empty", "ports-outside-the-rule", "namespace-name-for-selector", "cidr-host-bits",
];

/** A probe of one family with what must come of it, in the words of the matrix. */
interface Question {
  readonly probe: Probe;
  readonly open: boolean;
  readonly told: string;
}

describe("the recipes", function () {
  this.timeout(30_000);
  let bed: Bed;

  before(async () => {
    bed = await Bed.create("ptp");
    await bed.install({ backend: "nft" });
  });

  after(async () => await bed?.remove());

  it("have a matrix each", () => {
    assert.deepEqual(files, Object.keys(RECIPES).map((name) => `${name}.yaml`).toSorted());
  });

  for (const [name, scenes] of Object.entries(RECIPES)) {
    describe(name, () => {
      it("says what is allowed, what is denied and what one would change", () => {
        const comments = textOf(name).split("\n").filter((line) => /^\s*#/.test(line)).join("\n");
        for (const word of ["Allowed:", "Denied:", "To change:"]) assert.ok(comments.includes(`# ${word}`), word);
      });

      for (const scene of scenes) {
        it(scene.name, async () => {
          const cluster = clusterOf(name, specOf(name), scene);
          const questions = questionsOf(scene);
          assert.deepEqual(differences(questions, judged(cluster, questions)), [], "by the evaluator");
          await bed.apply(cluster);
          const expected = questions.map(({ open }) => open);
          const passed = await bed.prober.passes(questions.map(({ probe }) => probe), expected);
          assert.deepEqual(differences(questions, passed), [], "by packets");
        });
      }
    });
  }

  it("quarantine cuts connections that are open", async () => {
    const [before, after] = RECIPES["quarantine"] ?? [];
    assert.ok(before !== undefined && after !== undefined);
    const spec = specOf("quarantine");
    await bed.apply(clusterOf("quarantine", spec, before));
    const flows = (await bed.prober.open(FAMILIES.map((family): Probe => (
      { from: "wan", to: ADDRESSES.d[family], protocol: "TCP", port: 80 }
    )))).filter((flow) => flow !== undefined);
    assert.deepEqual(await bed.prober.echo(flows), FAMILIES.map(() => true));
    await bed.apply(clusterOf("quarantine", spec, after));
    assert.deepEqual(await bed.prober.echo(flows), FAMILIES.map(() => false));
    await bed.prober.close(flows);
  });
});

describe("the page of the language", () => {
  const page = textIn("docs/language.md");

  it("lists every recipe", () => {
    const listed = [...page.matchAll(/config\/samples\/recipes\/([a-z-]+\.yaml)/g)].map(([, file]) => file);
    assert.deepEqual(listed.toSorted(), files);
  });

  it("begins with the sample", () => {
    const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? "";
    assert.deepEqual(specIn(example), specIn(textIn("config/samples/shop.yaml")));
  });

  // Those words are what the API server is held to.
  for (const mistake of MISTAKES) {
    it(`quotes what is said of ${mistake}`, () => {
      const [, expected = ""] = /^# expect: (.+?)( \||$)/m.exec(textIn(`test/corpus/invalid/${mistake}.yaml`)) ?? [];
      assert.ok(expected !== "" && page.includes(expected), expected);
    });
  }
});

function textIn(file: string): string {
  return readFileSync(new URL(file, root), "utf8");
}

function textOf(recipe: string): string {
  return readFileSync(new URL(`${recipe}.yaml`, folder), "utf8");
}

/** As the product reads it. @throws AssertionError with its words where it refuses */
function specOf(recipe: string): SegmentPolicySpec {
  const text = textOf(recipe);
  assert.equal(readSegmentPolicy(parse(text)).metadata.name, recipe, "the policy is called as its file");
  return specIn(text);
}

function specIn(text: string): SegmentPolicySpec {
  const found = readSegmentPolicy(parse(text)).verdict;
  assert.ok(found.accepted, found.accepted ? "" : found.message);
  return found.spec;
}

/** Every cell of the matrix in both families. What the matrix leaves out must be none of our business. */
function questionsOf({ cast, matrix, ports }: Scene): readonly Question[] {
  const roles = Object.keys(cast);
  const expectations = readGrid(matrix, roles, ports);
  const asked = new Set(expectations.map(({ from, to }) => `${from} ${to}`));
  for (const from of roles) {
    for (const to of roles) {
      const ours = from !== to && [from, to].some((role) => cast[role]?.namespace !== undefined);
      assert.equal(asked.has(`${from} ${to}`), ours, `${from} → ${to}: "." is for machines and for itself`);
    }
  }
  return expectations.flatMap(({ from, to, open, ...shot }) => FAMILIES.map((family) => {
    const [client, server] = [cast[from]?.on ?? "wan", cast[to]?.on ?? "wan"];
    const probe: Probe = { from: client, to: ADDRESSES[server][family], ...shot };
    return { probe, open, told: `${from} → ${to}: ${words(probe)}` };
  }));
}

function judged(cluster: RawCluster, questions: readonly Question[]): readonly boolean[] {
  const read: Cluster = {
    namespaces: cluster.namespaces.map(readNamespace),
    pods: cluster.pods.map(readPod),
    networkPolicies: cluster.networkPolicies.map(readNetworkPolicy),
    nodes: new Map(NODES.map((name) => [name, Object.values(ADDRESSES[name])])),
    enforce: cluster.enforce,
    nodeTraffic: cluster.nodeTraffic,
  };
  return questions.map(({ probe: { from, to: destination, protocol, port } }) => {
    const source = ADDRESSES[from][destination.includes(":") ? "ipv6" : "ipv4"];
    return verdict(read, { source, destination, protocol, ...(port !== undefined && { port }) }).allowed;
  });
}

/** In words, what is not as the matrix says. */
function differences(questions: readonly Question[], found: readonly boolean[]): readonly string[] {
  return questions.flatMap(({ told, open }, index) => (
    found[index] === open ? [] : [`${told} is ${open ? "denied, and should be open" : "open, and should be denied"}`]
  ));
}
