import assert from "node:assert/strict";

import { StreamAuthenticator, type TokenReviewStatus } from "../../../operator/stream/authenticator.ts";

const USER = "system:serviceaccount:tierwall-system:tierwall-enforcer";
const good: TokenReviewStatus = {
  authenticated: true,
  username: USER,
  audiences: ["tierwall-operator"],
  extra: {
    "authentication.kubernetes.io/node-name": ["node-a"],
    "authentication.kubernetes.io/pod-name": ["enforcer-a"],
    "authentication.kubernetes.io/pod-uid": ["uid-a"],
  },
};
const extra = (key: string, ...values: readonly string[]) => ({ ...good, extra: { ...good.extra, [`authentication.kubernetes.io/${key}`]: values } });

/** An authenticator whose API server gives `answer`, one review at a time on `open`. */
function scene(answer: TokenReviewStatus | Error = good) {
  const seen = { now: 0, putBack: 0, reviews: 0, answer, pods: new Map([["enforcer-a/uid-a", { nodeName: "node-a" }]]) };
  const authenticator = new StreamAuthenticator({
    review: async () => {
      seen.reviews += 1;
      await Promise.resolve();
      if (seen.answer instanceof Error) throw seen.answer;
      return seen.answer;
    },
    enforcerPods: (name, uid) => seen.pods.get(`${name}/${uid}`),
    audience: "tierwall-operator",
    username: USER,
    now: () => 1_000_000 + seen.now - seen.putBack,
    monotonic: () => seen.now,
  });
  return { seen, ask: async (token = "t", node = "node-a") => {
    const result = await authenticator.authenticate(token, node);
    return result.allowed ? 200 : result.status;
  } };
}

describe("stream authenticator", () => {
  const cases: readonly { name: string; answer: TokenReviewStatus | Error; node?: string; token?: string; status: number }[] = [
    { name: "the node's enforcer", answer: good, status: 200 },
    { name: "no token", answer: good, token: "", status: 401 },
    { name: "an unknown token", answer: { ...good, authenticated: false }, status: 401 },
    { name: "another audience", answer: { ...good, audiences: ["kubernetes"] }, status: 401 },
    { name: "no audience", answer: { ...good, audiences: [] }, status: 401 },
    { name: "another ServiceAccount", answer: { ...good, username: "system:serviceaccount:shop:tierwall-enforcer" }, status: 403 },
    { name: "another node's stream", answer: good, node: "node-b", status: 403 },
    { name: "a token of no node", answer: extra("node-name"), status: 403 },
    { name: "a token of two nodes", answer: extra("node-name", "node-a", "node-b"), status: 403 },
    { name: "a token of no pod", answer: extra("pod-name"), status: 403 },
    { name: "a pod that is no enforcer", answer: extra("pod-name", "web"), status: 403 },
    { name: "an earlier pod of that name", answer: extra("pod-uid", "uid-old"), status: 403 },
    { name: "an unreachable API server", answer: new Error("down"), status: 503 },
  ];
  for (const { name, answer, node, token, status } of cases) {
    it(`answers ${status} to ${name}`, async () => assert.equal(await scene(answer).ask(token, node), status));
  }

  it("refuses a pod that others see on another node", async () => {
    const { seen, ask } = scene();
    seen.pods.set("enforcer-a/uid-a", { nodeName: "node-b" });
    assert.equal(await ask(), 403);
  });

  it("asks once for concurrent requests, and again after a minute", async () => {
    const { seen, ask } = scene();
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [200, 200, 200]);
    seen.now += 59_999;
    await ask();
    assert.equal(seen.reviews, 1);
    seen.now += 1;
    await ask();
    assert.equal(seen.reviews, 2);
  });

  it("believes a token no longer than it lives", async () => {
    const { seen, ask } = scene();
    const token = `h.${Buffer.from(JSON.stringify({ exp: 1_010 })).toString("base64url")}.s`;
    await ask(token);
    seen.now += 9_999;
    await ask(token);
    assert.equal(seen.reviews, 1);
    seen.now += 1;
    await ask(token);
    assert.equal(seen.reviews, 2);
  });

  it("sees at once that a pod is gone", async () => {
    const { seen, ask } = scene();
    assert.equal(await ask(), 200);
    seen.pods.clear();
    assert.equal(await ask(), 403);
  });

  it("forgets a bad answer soon, and a failure at once", async () => {
    const { seen, ask } = scene({ ...good, authenticated: false });
    assert.equal(await ask(), 401);
    seen.answer = good;
    seen.now += 4_999;
    assert.equal(await ask(), 401);
    seen.now += 1;
    assert.equal(await ask(), 200);
    seen.now += 60_000;
    seen.answer = new Error("down");
    assert.equal(await ask(), 503);
    seen.answer = good;
    assert.equal(await ask(), 200);
  });

  for (const authenticated of [true, false]) {
    it(`believes ${authenticated ? "a good" : "a bad"} answer no longer when the wall clock is put back`, async () => {
      const { seen, ask } = scene({ ...good, authenticated });
      await ask();
      seen.putBack = 3_600_000;
      seen.now += 60_000;
      await ask();
      assert.equal(seen.reviews, 2);
    });
  }

  it("remembers that a token is refused, whatever it says of its own end", async () => {
    const { seen, ask } = scene({ ...good, authenticated: false });
    const token = `h.${Buffer.from(JSON.stringify({ exp: 1 })).toString("base64url")}.s`;
    await Promise.all([ask(token), ask(token)]);
    await ask(token);
    assert.equal(seen.reviews, 1);
  });
});
