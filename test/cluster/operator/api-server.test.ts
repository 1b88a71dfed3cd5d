import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer, NOTED } from "./api-server.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, partsOf, segmentPolicy } from "./segment.ts";

/** Retries are at most 30 s apart, and after so short an outage a few seconds. */
const BACK_MS = 40_000;

describe("the operator: an API server that is not there", function () {
  this.timeout(120_000);
  let installation: Installation;
  let server: ApiServer;
  let operator: OperatorProcess;

  before(async () => {
    installation = await Installation.start({ wrapper: NOTED });
    server = new ApiServer(installation.plane);
  });

  after(async () => {
    await server?.stop();
    await installation?.stop();
  });

  describe("at the start", () => {
    before(async () => {
      // Its token and its file are made while the API server is there.
      const kubeconfig = await installation.operatorKubeconfig("waiting");
      await server.kill();
      operator = await installation.startOperatorWith("waiting", kubeconfig);
      await operator.until("answers", () => operator.probe("/healthz"), 10_000);
      await sleep(5_000);
    });

    it("does not end the operator, which is alive and not ready", async () => {
      operator.assertRunning();
      assert.equal(await operator.probe("/healthz"), 200);
      assert.equal(await operator.probe("/readyz"), 503);
    });

    it("is said in one line that names it and the cause", async () => {
      const said = (await operator.log()).filter(({ level }) => level !== "info");
      assert.equal(said.length, 1, JSON.stringify(said, undefined, 1));
      assert.match(String(said[0]?.message), /^the API server does not answer/);
      assert.match(String(said[0]?.["error"]), /ECONNREFUSED/);
      assert.equal(said[0]?.["server"], installation.plane.url);
    });

    it("is tried until it answers", async () => {
      await server.restart();
      await operator.untilReady(BACK_MS);
      const said = (await operator.log()).filter(({ message }) => message === "the API server answers again");
      assert.ok(said.length > 0);
    });

    it("and then the operator does its work", async () => {
      await installation.apply(namespace("late", "late"), segmentPolicy("late"));
      await installation.until("late", "Ready", "True", 30_000);
    });
  });

  describe("in the middle", () => {
    before(async () => {
      await server.kill();
      await sleep(3_000);
    });

    it("leaves the operator alive, and ready: what it has seen still holds", async () => {
      operator.assertRunning();
      assert.equal(await operator.probe("/healthz"), 200);
      assert.equal(await operator.probe("/readyz"), 200);
    });

    it("comes back on the same port, and the operator goes on", async () => {
      await server.restart();
      await installation.apply(namespace("late-two", "late"), segmentPolicy("late", { defaultDeny: "TierPods" }));
      const shown = await installation.until("late", "Ready", "True", BACK_MS);
      const names = partsOf(shown).map(({ name }) => name);
      assert.equal(names.length, 3);
      for (const place of ["late", "late-two"]) await installation.untilNamed(place, names, BACK_MS);
    });

    it("was said once more, and not once for each kind that is followed", async () => {
      const said = (await operator.log()).filter(({ message }) => message.startsWith("the API server does not answer"));
      // A server that is coming up may take a connection and drop it.
      assert.ok(said.length >= 2 && said.length <= 4, JSON.stringify(said, undefined, 1));
    });
  });

  keepsGoodConduct(() => installation, ({ at }) => server.wasAway(at));
});
