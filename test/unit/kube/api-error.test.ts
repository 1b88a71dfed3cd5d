import assert from "node:assert/strict";
import { errorFromAnswer, hasStatus, retryAfterMs, Unreachable } from "../../../operator/kube/api-error.ts";

describe("API errors", () => {
  const cases: readonly {
    name: string; text: string; header?: string; reason: string; message: string; waitMs: number;
  }[] = [
    {
      name: "a Status object", text: '{"kind":"Status","reason":"Conflict","message":"not now"}',
      reason: "Conflict", message: "not now", waitMs: 0,
    },
    {
      name: "a Status object that says how long to wait",
      text: '{"reason":"TooManyRequests","message":"slow down","details":{"retryAfterSeconds":3}}',
      reason: "TooManyRequests", message: "slow down", waitMs: 3000,
    },
    {
      name: "a header that says so too: it counts", header: "5",
      text: '{"reason":"TooManyRequests","message":"slow down","details":{"retryAfterSeconds":3}}',
      reason: "TooManyRequests", message: "slow down", waitMs: 5000,
    },
    { name: "a header that is a date", text: "{}", header: "Wed, 01 Jan 2030", reason: "", message: "{}", waitMs: 0 },
    { name: "a proxy's page, shortened", text: "x".repeat(1000), reason: "", message: "x".repeat(200), waitMs: 0 },
    { name: "nothing", text: "", reason: "", message: "", waitMs: 0 },
    { name: "JSON that is no object", text: "null", reason: "", message: "null", waitMs: 0 },
  ];
  for (const { name, text, header, reason, message, waitMs } of cases) {
    it(`reads ${name}`, () => {
      const error = errorFromAnswer("GET", "/x", 429, text, header);
      assert.deepEqual([error.reason, error.message], [reason, `GET /x: 429 ${message}`]);
      assert.equal(retryAfterMs(error), waitMs);
      assert.ok(hasStatus(error, 429) && !hasStatus(error, 404));
    });
  }

  it("keeps the cause when no answer came, and asks for no wait then", () => {
    const cause = new Error("connect ECONNREFUSED 127.0.0.1:1");
    const error = new Unreachable("GET", "/x", cause);
    assert.deepEqual([error.message, error.cause], ["GET /x: connect ECONNREFUSED 127.0.0.1:1", cause]);
    assert.equal(retryAfterMs(error), 0);
  });
});
