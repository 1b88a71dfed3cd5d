/** A packet that a rule of ours logged. */
export interface LoggedPacket {
  /** The chain that logged it. */
  readonly chain: string;
  readonly source: string;
  readonly destination: string;
  /** `TCP`, `UDP`, `SCTP`, `ICMP`, or the protocol's number. */
  readonly protocol: string;
  /** Of the destination; `undefined` where the protocol has none. */
  readonly port: number | undefined;
  readonly sourcePort: number | undefined;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMP", 132: "SCTP" };

/** A line of ulogd's JSON output. `undefined` if it is none of a packet. */
export function parseLoggedPacket(line: string): LoggedPacket | undefined {
  const fields = objectOf(line);
  const { "oob.prefix": chain, src_ip: source, dest_ip: destination, "ip.protocol": number } = fields;
  if (typeof chain !== "string" || typeof source !== "string" || typeof destination !== "string") return undefined;
  if (typeof number !== "number") return undefined;
  return {
    chain,
    source,
    destination,
    protocol: PROTOCOLS[number] ?? String(number),
    port: numberOf(fields["dest_port"]),
    sourcePort: numberOf(fields["src_port"]),
  };
}

function objectOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    // A line that was cut short when the reader ended.
    return {};
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
