import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";

import {
  bundleOf, createAuthority, issueServingCertificate, renewalDue, rotateAuthority, rotationDue,
} from "../../../operator/stream/certificates.ts";

const DAY = 86_400_000;
const start = new Date("2030-01-01T00:00:00Z");
const later = (days: number) => new Date(start.getTime() + days * DAY);
const issuedBy = (pem: string, authority: string) => new X509Certificate(pem).verify(new X509Certificate(authority).publicKey);

describe("certificates", () => {
  let authority: Awaited<ReturnType<typeof createAuthority>>;
  before(async () => {
    authority = await createAuthority(start);
  });

  it("are issued for the names, by the authority, for a day", async () => {
    const { certificate } = await issueServingCertificate(authority, ["tierwall-operator.tierwall-system.svc"], later(1));
    const parsed = new X509Certificate(certificate);
    assert.equal(parsed.checkHost("tierwall-operator.tierwall-system.svc"), "tierwall-operator.tierwall-system.svc");
    assert.equal(parsed.checkHost("localhost"), undefined);
    assert.ok(issuedBy(certificate, authority.current.certificate));
    assert.equal(parsed.ca, false);
    assert.equal(new Date(parsed.validTo).getTime(), later(2).getTime());
    assert.equal(new X509Certificate(authority.current.certificate).ca, true);
  });

  it("are renewed at half life, an authority at two thirds", async () => {
    const serving = await issueServingCertificate(authority, ["a.svc"], start);
    assert.deepEqual([renewalDue(serving, later(0.45)), renewalDue(serving, later(0.55))], [false, true]);
    assert.deepEqual([rotationDue(authority, later(243)), rotationDue(authority, later(244))], [false, true]);
  });

  it("are signed by the previous authority until the new one is known everywhere", async () => {
    const second = await rotateAuthority(authority, later(250));
    const { certificate: early } = await issueServingCertificate(second, ["a.svc"], later(250.01));
    const { certificate: late } = await issueServingCertificate(second, ["a.svc"], later(250.1));
    assert.ok(issuedBy(early, authority.current.certificate));
    assert.ok(issuedBy(late, second.current.certificate));
  });

  it("stay trusted after a rotation until they expire", async () => {
    const second = await rotateAuthority(authority, later(250));
    const count = (days: number) => bundleOf(second, later(days)).match(/BEGIN CERTIFICATE/g)?.length;
    assert.deepEqual([count(250), count(366)], [2, 1]);
  });
});
