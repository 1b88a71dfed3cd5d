// Asks the cluster's DNS once over UDP and once over TCP, from the network namespace it is run in; exit code 0 if both answer.
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";

const server = process.argv[2] ?? "10.96.0.10";
const name = "kubernetes.default.svc.cluster.local";

async function overUdp() {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([server]);
  return (await resolver.resolve4(name))[0];
}

function overTcp() {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const question = Buffer.concat([...labels, Buffer.from([0, 0, 1, 0, 1])]);
  const message = Buffer.concat([Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), question]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server, port: 53, timeout: 1000 });
    socket.on("timeout", () => socket.destroy(new Error("no answer over TCP")));
    socket.on("error", reject);
    // The answer's last four bytes are the address.
    socket.on("data", (data) => {
      socket.destroy();
      resolve([...data.subarray(-4)].join("."));
    });
    socket.end(Buffer.concat([length, message]));
  });
}

try {
  console.log(JSON.stringify({ udp: await overUdp(), tcp: await overTcp() }));
  process.exit(0);
} catch (error) {
  console.error(String(error));
  process.exit(1);
}
