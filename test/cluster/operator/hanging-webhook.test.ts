import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { HANGING, HangingWebhook } from "./hanging-webhook.ts";
import { Installation } from "./installation.ts";
import { namespace, partsOf, segmentPolicy, type Manifest } from "./segment.ts";
import type { ShownStatus } from "./status-contract.ts";

/** More than the operator works on at once. */
const SEGMENTS = Array.from({ length: 6 }, (_, index) => `slow-${index}`);
/** Far less than the 30 s for which the API server waits for the webhook. */
const SOON_MS = 20_000;

describe("the operator: an admission webhook of one namespace never answers", function () {
  this.timeout(60_000);
  let installation: Installation;
  let webhook: HangingWebhook;

  const placesOf = (segment: string) => ["a", "b", "c"].map((letter) => `${segment}-${letter}`);
  const hanging = (segment: string) => `${segment}-b`;

  function placeOf(name: string, segment: string): Manifest {
    const place = namespace(name, segment);
    const labels = { ...place.metadata.labels, ...HANGING };
    return name === hanging(segment) ? { ...place, metadata: { ...place.metadata, labels } } : place;
  }

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    webhook = await HangingWebhook.start(installation.plane);
    const operator = await installation.startOperator("patient");
    await operator.untilReady();
    await operator.untilLeading();
    await installation.apply(
      webhook.configuration(),
      ...SEGMENTS.flatMap((segment) => placesOf(segment).map((place) => placeOf(place, segment))),
    );
    await waitFor("the webhook is asked", async () => {
      const metadata = { name: "probe", namespace: hanging("slow-0") };
      const probe = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec: { podSelector: {} } };
      const create = ["create", "--dry-run=server", "--request-timeout=500ms", "--filename=-"];
      await installation.plane.kubectl(create, { input: JSON.stringify(probe) });
      return webhook.bites || undefined;
    }, { timeoutMs: 20_000 });
    await installation.apply(...SEGMENTS.map((segment) => segmentPolicy(segment)));
  });

  after(async () => {
    // Before the API server, which waits for it when it ends.
    webhook?.letGo();
    await installation?.stop();
    await webhook?.stop();
  });

  for (const segment of SEGMENTS) {
    it(`${segment}: its other namespaces are done, and the status says which one is not, and why`, async () => {
      const wanted = ({ namespaces, conditions = [] }: ShownStatus) =>
        namespaces?.summary === "2/3" && conditions.some(({ reason }) => reason === "WriteFailed");
      const shown = await installation.untilShown(segment, "one namespace is missing", wanted, SOON_MS);
      const ready = shown.status.conditions?.find(({ type }) => type === "Ready");
      assert.match(ready?.message ?? "", new RegExp(`namespace ${hanging(segment)}: .*no answer`));
      const names = partsOf(shown).map(({ name }) => name);
      for (const place of placesOf(segment)) {
        await installation.untilNamed(place, place === hanging(segment) ? [] : names);
      }
    });
  }

  it("another policy is rolled out", async () => {
    await installation.apply(namespace("beside", "beside"), segmentPolicy("beside"));
    await installation.until("beside", "Ready", "True", SOON_MS);
  });

  it("an edit of such a policy reaches its other namespaces", async () => {
    const [segment = ""] = SEGMENTS;
    const tiers = [{ name: "web", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 9090 }] }] }];
    await installation.apply(segmentPolicy(segment, { tiers }));
    const parts = partsOf(await installation.policy(segment));
    for (const place of placesOf(segment)) {
      if (place === hanging(segment)) continue;
      await installation.untilNamed(place, parts.map(({ name }) => name), SOON_MS);
      const web = parts.find(({ kind }) => kind === "tier");
      await waitFor(`${place} has the new port`, async () => {
        const { spec } = await installation.networkPolicy(place, web?.name ?? "") ?? {};
        return JSON.stringify(spec).includes("9090") || undefined;
      }, { timeoutMs: SOON_MS });
    }
  });

  it("and all that while no question was answered, nor asked a second time", () => {
    const asked = webhook.asked;
    assert.equal(webhook.held, SEGMENTS.length);
    assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted());
    assert.equal(asked.length, SEGMENTS.length);
  });

  it("when it answers after all: what it was asked is done, and the rest follows", async () => {
    const waiting = webhook.asked;
    webhook.letGo();
    for (const segment of SEGMENTS) {
      const shown = await installation.until(segment, "Ready", "True", 30_000);
      assert.equal(shown.status.namespaces?.summary, "3/3");
      await installation.untilNamed(hanging(segment), partsOf(shown).map(({ name }) => name));
    }
    // The very writes that hung have taken place.
    const calls = await installation.audit.calls();
    for (const segment of SEGMENTS) {
      const creates = calls.filter(({ verb, resource, namespace: place, code }) =>
        verb === "create" && resource === "networkpolicies" && place === hanging(segment) && code !== 504);
      assert.deepEqual([`CREATE ${hanging(segment)}/${creates[0]?.name}`, creates[0]?.code], [
        waiting.find((question) => question.includes(` ${hanging(segment)}/`)), 201,
      ]);
    }
  });

  keepsGoodConduct(() => installation);
});
