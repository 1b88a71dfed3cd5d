// Makes this machine ready for a level, then runs a command: `node set-up.mjs <level> [-- command args…]`.
// Needs nothing but Node 18: it is what runs before anything is installed. Silent when all is there.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { delimiter, join } from "node:path";
import { buildControlPlane, controlPlaneIsBuilt } from "./test/controlplane/build.mjs";
import { projectRoot } from "./test/controlplane/cache.mjs";
import { runLong } from "./test/controlplane/run-long.mjs";
import { buildTraffic } from "./test/image/build-traffic.mjs";

const binaries = join(projectRoot, "node_modules/.bin");

/** A program that must be on PATH (or a file that must exist), and the Debian package that has it. */
const needed = [
  ["iptables", "iptables"], ["ipset", "ipset"], ["ip", "iproute2"], ["nsenter", "util-linux"],
  ["conntrack", "conntrack"], ["containerd", "containerd"], ["ctr", "containerd"], ["runc", "runc"],
  ["/usr/lib/cni/ptp", "containernetworking-plugins"], ["mmdebstrap", "mmdebstrap"], ["openssl", "openssl"],
  ["lua5.1", "lua5.1"], ["sysctl", "procps"], ["ulogd", "ulogd2"],
  [`/usr/lib/${debianArchitecture()}/ulogd/ulogd_output_JSON.so`, "ulogd2-json"],
  ...(hasIpvs() ? [["ipvsadm", "ipvsadm"]] : []),
];

/** What is wrong and how to mend it, in one line. */
class Unmet extends Error {}

const levels = {
  modules: async () => { await modules(); },
  "control-plane": async () => {
    await modules();
    requireLinux();
    requireProgram("openssl", "install the package openssl");
    requireProgram("setpriv", "install the package util-linux");
    requireProgram("lua5.1", "install the package lua5.1");
    await controlPlane();
  },
  lab: async () => {
    requireLinux();
    if (process.getuid() !== 0) {
      throw new Unmet("the lab needs root (network namespaces, iptables): run it with sudo; npm run test:unit does not");
    }
    requireGo();
    await modules();
    await packages();
    await controlPlane();
    await images();
  },
};

async function modules() {
  const folder = join(projectRoot, "node_modules");
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Unmet(`${folder} is a symbolic link, and npm ci would empty what it points to: remove the link`);
  }
  const lock = readFileSync(join(projectRoot, "package-lock.json"));
  const digest = createHash("sha256").update(lock).digest("hex");
  const stamp = join(projectRoot, "node_modules/.tierwall-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  await runLong("installing npm packages (npm ci)", "npm", ["ci", "--no-progress"], { cwd: projectRoot });
  writeFileSync(stamp, digest);
}

/** As in the names of Debian's library folders. */
function debianArchitecture() {
  return { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch] ?? process.arch;
}

/** Whether the kernel can do what kube-proxy's IPVS mode asks of it, maybe by a module that nobody has needed yet. */
function hasIpvs() {
  return existsSync("/proc/net/ip_vs") || spawnSync("modprobe", ["--dry-run", "--quiet", "ip_vs"]).status === 0;
}

function requireLinux() {
  if (process.platform !== "linux") throw new Unmet(`the lab needs Linux, this is ${process.platform}: use a Linux VM`);
}

function requireProgram(program, remedy) {
  if (!isThere(program)) throw new Unmet(`${program} is missing: ${remedy}`);
}

function requireGo() {
  requireProgram("go", `install Go ${goVersion()} or newer`);
  // Outside the module: inside it, Go would try to download the version it asks for.
  const found = execFileSync("go", ["env", "GOVERSION"], { cwd: "/", encoding: "utf8" }).trim().replace(/^go/, "");
  const [major, minor] = found.split(".").map((part) => Number.parseInt(part, 10));
  const [wantedMajor, wantedMinor] = goVersion().split(".").map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new Unmet(`Go ${found} is too old: install Go ${goVersion()} or newer`);
}

function goVersion() {
  const text = readFileSync(join(projectRoot, "test/controlplane/go.mod"), "utf8");
  return /^go (\d+\.\d+)/m.exec(text)[1];
}

/** Only what is missing: an installed containerd or Docker package stays as it is. */
async function packages() {
  const missing = [...new Set(needed.filter(([program]) => !isThere(program)).map(([, name]) => name))];
  if (missing.length === 0) return;
  if (!isThere("apt-get")) {
    throw new Unmet(`these packages are missing and there is no apt-get to install them: ${missing.join(" ")}`);
  }
  const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  await runLong("reading the package lists (apt-get update)", "apt-get", ["update", "-q"], options);
  await runLong(
    `installing ${missing.join(" ")} with apt-get`,
    "apt-get", ["install", "-q", "--yes", "--no-install-recommends", "--no-upgrade", "--no-remove", ...missing], options,
  );
  // Only the program is wanted: its service would write a log of its own.
  if (missing.includes("ulogd2") && isThere("systemctl")) await run(["systemctl", "disable", "--now", "ulogd2"]);
}

async function controlPlane() {
  if (controlPlaneIsBuilt()) return;
  requireGo();
  await buildControlPlane();
}

/** The images are TypeScript's business: its Node is there by now. */
async function images() {
  await buildTraffic();
  const code = await run(["node", join(projectRoot, "test/image/build.ts"), "--quiet"]);
  if (code !== 0) throw new Error("building the images failed");
}

function isThere(program) {
  if (program.startsWith("/")) return existsSync(program);
  const folders = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Runs a command with the project's own Node first on PATH. @returns its exit code. */
function run([program, ...args]) {
  const path = [binaries, process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, PATH: path } });
    const forward = (signal) => child.kill(signal);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, forward);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      for (const each of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(each, forward);
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}

async function main([level, separator, ...command]) {
  const prepare = levels[level];
  if (prepare === undefined || (separator !== undefined && (separator !== "--" || command.length === 0))) {
    throw new Unmet(`usage: node set-up.mjs ${Object.keys(levels).join("|")} [-- command args…]`);
  }
  await prepare();
  return command.length === 0 ? 0 : run(command);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exitCode = error instanceof Unmet ? 2 : 1;
}
