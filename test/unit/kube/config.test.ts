import assert from "node:assert/strict";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { ConfigError, loadKubeConfig } from "../../../operator/kube/config.ts";

function kubeconfig(name: string, contexts = `[{name: ${name}, context: {cluster: ${name}, user: ${name}}}]`): string {
  return `apiVersion: v1
kind: Config
clusters: [{name: ${name}, cluster: {server: "https://${name}.example:6443"}}]
users: [{name: ${name}, user: {token: secret}}]
contexts: ${contexts}
current-context: ${name}
`;
}

describe("kubeconfig", () => {
  let folder = "";
  let home = "";

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tierwall-config-"));
    home = join(folder, "home");
    mkdirSync(join(home, ".kube"), { recursive: true });
    const files = { one: kubeconfig("one"), two: kubeconfig("two"), nowhere: kubeconfig("x", "[]"), torn: "a: [" };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    writeFileSync(join(home, ".kube", "config"), kubeconfig("home"));
  });

  after(() => rmSync(folder, { recursive: true }));

  const cases: readonly {
    name: string; path?: string; variable?: readonly string[]; home?: string; is: string | RegExp;
  }[] = [
    { name: "--kubeconfig wins over the environment", path: "one", variable: ["two"], is: "https://one.example:6443" },
    { name: "$KUBECONFIG wins over the home folder", variable: ["two"], is: "https://two.example:6443" },
    { name: "the first of several files", variable: ["one", "two"], is: "https://one.example:6443" },
    { name: "an empty $KUBECONFIG is none", variable: [], is: "https://home.example:6443" },
    { name: "the home folder", is: "https://home.example:6443" },
    { name: "a named file that is missing", path: "gone", is: /^kubeconfig \S+\/gone does not exist$/ },
    { name: "a listed file that is missing", variable: ["one", "gone"], is: /^kubeconfig \S+\/gone does not exist$/ },
    { name: "a file that is no YAML", path: "torn", is: /^kubeconfig \S+\/torn cannot be read: ./ },
    { name: "a context without a cluster", path: "nowhere", is: /nowhere: its current context names no cluster$/ },
    { name: "nothing anywhere", home: "/nonexistent", is: /^no kubeconfig: .*\/nonexistent\S+ does not exist$/ },
  ];
  for (const { name, path, variable, home: at, is } of cases) {
    it(name, () => {
      const env = {
        HOME: at ?? home,
        ...(variable && { KUBECONFIG: variable.map((file) => join(folder, file)).join(delimiter) }),
      };
      const load = (): string | undefined => {
        return loadKubeConfig(path && join(folder, path), env).getCurrentCluster()?.server;
      };
      if (typeof is === "string") return assert.equal(load(), is);
      assert.throws(load, (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, is);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    });
  }
});
