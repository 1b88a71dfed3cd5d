import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, contentKey } from "../controlplane/cache.mjs";
import { runLong } from "../controlplane/run-long.mjs";

/** What the enforcer runs and what a person looking into a node's pod wants; Node itself needs libstdc++. */
const packages = [
  "iptables", "ipset", "conntrack", "nftables", "iproute2", "tcpdump", "ulogd2", "ulogd2-json", "dnsmasq-base", "libstdc++6", "ca-certificates",
];
const suite = "bookworm";
const dropped = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];

/** The root file system of the images as a tar file, from Debian packages; made once per list of packages. */
export async function baseLayer(): Promise<string> {
  const key = contentKey([`text:${suite}:${packages.join()}:${dropped.join()}`]);
  const mirror = await debianMirror();
  const directory = await cached("image-base", key, (temporary) => runLong(
    "making the image's root file system from Debian packages, about 40 seconds, once",
    "mmdebstrap", [
      "--variant=minbase", `--include=${packages.join()}`, ...dropped.map((path) => `--dpkgopt=path-exclude=${path}`),
      suite, join(temporary, "base.tar"), ...mirror,
    ],
  ));
  return join(directory, "base.tar");
}

/**
 * The Debian mirror that this machine's own apt uses, so that the build works wherever apt works; none on another
 * distribution, where mmdebstrap's own default has to do.
 */
async function debianMirror(): Promise<readonly string[]> {
  const folder = "/etc/apt/sources.list.d";
  const names = await readdir(folder).catch((): string[] => []);
  const sources = names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(folder, name));
  for (const file of ["/etc/apt/sources.list", ...sources]) {
    const text = await readFile(file, "utf8").catch(() => "");
    const uri = /^(?:deb\s(?:\[[^\]]*\]\s*)?|URIs:).*?(https?:\/\/\S*\/debian)\/?(?:\s|$)/m.exec(text)?.[1];
    if (uri !== undefined) return [uri];
  }
  return [];
}
