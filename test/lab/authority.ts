import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { output } from "./command.ts";

/** Whom a certificate names: a Kubernetes user with its groups, and the names it answers to as a server. */
export interface Subject {
  readonly user: string;
  readonly groups?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
}

/** PEM text of both halves. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];

/** The certificate authority of one lab, by openssl; everything it signs is valid for two days. */
export class Authority {
  /** PEM text. */
  readonly certificate: string;
  readonly #directory: string;
  #issued = 0;

  private constructor(directory: string, certificate: string) {
    this.#directory = directory;
    this.certificate = certificate;
  }

  /** @param directory a folder of its own; the authority's key is in it. */
  static async create(directory: string): Promise<Authority> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = (name: string): string => join(directory, name);
    await output([
      "openssl", "req", "-x509", "-config", "/dev/null", "-days", "2", ...newKey, "-subj", "/CN=tierwall-lab",
      "-keyout", file("authority.key"), "-out", file("authority.crt"),
      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
      "-addext", "subjectKeyIdentifier=hash",
    ]);
    return new Authority(directory, await readFile(file("authority.crt"), "utf8"));
  }

  /** A certificate for both ends of TLS. */
  async issue(subject: Subject): Promise<KeyPair> {
    const file = (name: string): string => join(this.#directory, name);
    const number = (this.#issued += 1);
    const [key, certificate] = [file(`${number}.key`), file(`${number}.crt`)];
    const names = [
      ...(subject.dnsNames ?? []).map((name) => `DNS:${name}`),
      ...(subject.addresses ?? []).map((address) => `IP:${address}`),
    ];
    const groups = (subject.groups ?? []).map((group) => `/O=${group}`).join("");
    await output([
      "openssl", "req", "-x509", "-config", "/dev/null", "-days", "2", ...newKey,
      "-subj", `${groups}/CN=${subject.user}`, "-CA", file("authority.crt"), "-CAkey", file("authority.key"),
      "-keyout", key, "-out", certificate,
      "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature",
      "-addext", "extendedKeyUsage=clientAuth,serverAuth",
      ...(names.length > 0 ? ["-addext", `subjectAltName=${names.join(",")}`] : []),
    ]);
    return { certificate: await readFile(certificate, "utf8"), key: await readFile(key, "utf8") };
  }
}
