// @peculiar/x509 refuses to load without it.
// oxlint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import { webcrypto } from "node:crypto";

import {
  BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension,
  PemConverter, SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension, X509Certificate, X509CertificateGenerator,
} from "@peculiar/x509";

/** PEM of a certificate and of its PKCS #8 key. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** The CA that clients trust: its pair, and after a rotation the pair before. */
export interface Authority {
  readonly current: KeyPair;
  readonly previous?: KeyPair;
}

const HOUR = 3_600_000;
const AUTHORITY_LIFE = 365 * 24 * HOUR;
const SERVING_LIFE = 24 * HOUR;
/** Until every node has the new bundle (a kubelet refreshes ConfigMaps every minute or two) the old CA signs. */
const TAKE_OVER = HOUR;
/** Clocks of nodes differ. */
const SKEW = 5 * 60_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A new CA, good for a year. */
export async function createAuthority(now: Date): Promise<Authority> {
  return { current: await createPair(now) };
}

/** A new CA that takes over from `authority`, which stays trusted until it expires. */
export async function rotateAuthority({ current }: Authority, now: Date): Promise<Authority> {
  return { current: await createPair(now), previous: current };
}

/** Two thirds of the CA's life are over. */
export function rotationDue({ current }: Authority, now: Date): boolean {
  return passed(current.certificate, 2 / 3, now);
}

/** What clients are to trust: PEM certificates, one after the other. */
export function bundleOf({ current, previous }: Authority, now: Date): string {
  const live = [current, ...(previous ? [previous] : [])].map(({ certificate }) => certificate);
  return live.filter((pem) => new X509Certificate(pem).notAfter > now).map((pem) => `${pem.trim()}\n`).join("");
}

/** A certificate for `dnsNames`, good for a day. Its key is never stored. */
export async function issueServingCertificate(
  authority: Authority,
  dnsNames: readonly string[],
  now: Date,
): Promise<KeyPair> {
  const signer = signerOf(authority, now);
  const issuer = new X509Certificate(signer.certificate);
  const pkcs8 = PemConverter.decode(signer.key)[0];
  if (pkcs8 === undefined) throw new Error("the CA's key is no PEM");
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, ["sign"]);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    subject: "CN=tierwall-operator",
    issuer: issuer.subjectName,
    notBefore: new Date(now.getTime() - SKEW),
    notAfter: new Date(Math.min(now.getTime() + SERVING_LIFE, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(dnsNames.map((value) => ({ type: "dns", value }))),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await keyText(keys.privateKey) };
}

/** Half of its life is over. */
export function renewalDue({ certificate }: KeyPair, now: Date): boolean {
  return passed(certificate, 1 / 2, now);
}

function signerOf({ current, previous }: Authority, now: Date): KeyPair {
  const age = now.getTime() - SKEW - new X509Certificate(current.certificate).notBefore.getTime();
  if (previous === undefined || age >= TAKE_OVER) return current;
  const left = new X509Certificate(previous.certificate).notAfter.getTime() - now.getTime();
  return left > SERVING_LIFE ? previous : current;
}

function passed(pem: string, share: number, now: Date): boolean {
  const { notBefore, notAfter } = new X509Certificate(pem);
  return now.getTime() - notBefore.getTime() >= (notAfter.getTime() - notBefore.getTime()) * share;
}

async function createPair(now: Date): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // Two CAs of one name in a bundle would leave it to the verifier which of them it tries.
    name: `CN=tierwall-ca-${now.getTime()}`,
    notBefore: new Date(now.getTime() - SKEW),
    notAfter: new Date(now.getTime() + AUTHORITY_LIFE),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await keyText(keys.privateKey) };
}

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}
