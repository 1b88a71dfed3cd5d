import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Answers on these ports, over TCP and UDP, with its name. It ends with this process, however that ends.
 * @param enter words that run what follows them in the host
 */
export function serveTraffic(
  enter: readonly string[], traffic: string, name: string, ports: readonly number[],
): ChildProcess {
  const list = [...new Set(ports)].join();
  const argv = [...enter, traffic, "serve", `-name=${name}`, `-tcp=${list}`, `-udp=${list}`];
  return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], { stdio: "ignore" });
}

export async function endServers(servers: readonly ChildProcess[]): Promise<void> {
  for (const server of servers) {
    server.kill("SIGKILL");
    if (server.exitCode === null && server.signalCode === null) await once(server, "close");
  }
}
