import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/**
 * Shell scripts that this process finds instead of the kernel's tools, first of all on its PATH. They are found until
 * `remove`, so at most one of these may be there at a time.
 */
export class StandInTools {
  readonly #folder: string;
  readonly #path: string;

  private constructor(folder: string, path: string) {
    this.#folder = folder;
    this.#path = path;
    process.env["PATH"] = [folder, path].join(delimiter);
  }

  static async create(): Promise<StandInTools> {
    return new StandInTools(await mkdtemp(join(tmpdir(), "tierwall-tools-")), process.env["PATH"] ?? "");
  }

  /** @param script may write to `$NOTES` */
  async set(program: string, script: string): Promise<void> {
    const file = join(this.#folder, program);
    await writeFile(file, `#!/bin/sh\nNOTES=${join(this.#folder, "notes")}\n${script}\n`);
    await chmod(file, 0o755);
  }

  async drop(program: string): Promise<void> {
    await rm(join(this.#folder, program));
  }

  /** Only these are found from now on, and nothing that this machine has. */
  hideOthers(): void {
    process.env["PATH"] = this.#folder;
  }

  /** Lines that scripts have written. */
  async notes(): Promise<readonly string[]> {
    const text = await readFile(join(this.#folder, "notes"), "utf8").catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }

  async remove(): Promise<void> {
    process.env["PATH"] = this.#path;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
